"""Killed at every await on the database and on the provider, and taken up by another: nothing is lost or doubled."""

import asyncio

import pytest
from dying import Points, dying, reach
from holding import holding
from shop import open_shop

from headrace.db.pool import Database
from headrace.stream.read import head

KINDS = ["order", "item", "note", "tag"]
AT_ONCE = 6


async def life(db: Database, last: int | None) -> int:
    """Backfill, changes of every kind and a sweep, with a death at point `last`; how many points were passed."""
    points = Points(last)
    async with open_shop() as shop:
        for n in range(12):
            shop.put("order", f"o{n:02}", items=["a"], created=1_700_000_000 + n)
            shop.put("note", f"n{n:02}", order=f"o{n % 2:02}")
            shop.put("tag", f"t{n:02}")
        shop.events.clear()
        async with holding(db, shop, KINDS) as held:
            alive, held.services = held.services, dying(held.services, points)
            await held.start()
            await reach(held, alive, points, held.backfilled)
            await reach(held, alive, points, lambda: held.copies(shop, KINDS))
            shop.put("order", "o01", items=["a", "b"])
            shop.put("order", "o02", large=True, items=[])
            shop.put("note", "n01", order="o01", text="changed")
            shop.remove("order", "o03")
            shop.put("order", "new", items=["c"])
            shop.put("tag", "t01", text="changed")
            shop.remove("tag", "t02")
            await held.ask()
            await reach(held, alive, points, lambda: held.copies(shop, KINDS))
            passed = points.passed
            async with db.api.acquire() as conn:
                numbers = await head(conn, held.sync.stream_id)
            records = await held.records()
    # 48 made; orders 01, 02, 03 and new, items b, a of 02, a of 03 and c, note 01, tags 01 and 02.
    assert numbers == 48 + 4 + 4 + 1 + 2
    assert {record.upstream_id for record in records if record.deleted} == {"o03", "o02.a", "o03.a", "t02"}
    return passed


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_killed_at_every_await(db: Database) -> None:
    count = await life(db, None)
    assert count > 50
    room = asyncio.Semaphore(AT_ONCE)

    async def one(last: int) -> None:
        async with room:
            try:
                await life(db, last)
            except BaseException as error:
                error.add_note(f"killed at point {last} of {count}")
                raise

    async with asyncio.TaskGroup() as lives:
        for last in range(1, count + 1):
            lives.create_task(one(last))
