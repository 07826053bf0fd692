"""A database that takes nothing shows in the health of the syncs that wait for it, while it lasts."""

from typing import Any

from holding import holding
from shop import open_shop

from headrace.db.pool import Database
from headrace.engine import status

NO_ROOM = """
create function no_room() returns trigger language plpgsql as
  $$ begin raise exception 'no space left on device' using errcode = 'disk_full'; end $$;
create trigger full_of_records before insert on records for each statement execute function no_room();
"""


async def test_a_disk_too_full_for_pages_is_named_while_it_is(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o1")
        async with holding(db, shop, ["order"]) as held:
            await db.api.execute(NO_ROOM)
            await held.start()

            async def told() -> bool:
                health = await held.health()
                return health["status"] == "warning" and any("no room left" in note for note in health["notes"])

            async def well() -> bool:
                health = await held.health()
                return health["status"] == "healthy" and health["notes"] == []

            await held.until(told)
            await db.api.execute("drop function no_room cascade")
            await held.until(well)
            assert await held.copies(shop, ["order"])


async def test_what_cannot_be_written_is_told_by_whoever_knows_it(db: Database) -> None:
    async with open_shop() as shop, holding(db, shop, ["order"]) as held:
        await held.start()
        await held.read_to_the_end()

        async def shown() -> dict[str, Any]:
            async with db.api.acquire() as conn:
                sync = held.sync
                told = await status.health(conn, [sync], db.clock.now(), {sync.id: "the database takes no writes"})
            return told[sync.id]

        async def warned() -> bool:
            health = await shown()
            return health["status"] == "warning" and "the database takes no writes" in health["notes"]

        await held.until(warned)
        assert (await shown())["erroring_since"] is not None
        await held.patch(status="disabled")
        assert (await shown())["notes"] == ["disabled"]
