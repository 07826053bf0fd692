"""Complaint 10: the state of a sync grows with every record read, until it cannot be saved."""

from holding import holding
from shop import open_shop

from headrace.db.pool import Database

STATE = """
select (select count(*) from checkpoints) as rows, (select sum(length(value::text)) from checkpoints) as size,
  (select count(*) from checkpoints where reading = 'backfill' and scope like '%#%') as slices,
  (select count(*) from sweep_seen) as seen
"""


async def test_what_is_kept_of_a_sync_does_not_grow_with_what_it_has_read(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o000")
        shop.put("tag", "t000")
        async with holding(db, shop, ["order", "tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            await held.until(lambda: held.copies(shop, ["order", "tag"]))
            before = await db.api.fetchrow(STATE)
            for n in range(400):
                shop.put("order", f"o{n:03}", total=n)
                shop.put("tag", f"t{n:03}", total=n)
            await held.ask()
            await held.until(lambda: held.copies(shop, ["order", "tag"]))

            async def nothing_left() -> bool:
                after = await db.api.fetchrow(STATE)
                assert before is not None
                assert after is not None
                grown = after["rows"] > before["rows"] + 2 or after["size"] >= before["size"] + 2_000
                return not (grown or after["slices"] or after["seen"])

            await held.until(nothing_left)
