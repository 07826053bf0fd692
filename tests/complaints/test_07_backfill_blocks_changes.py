"""Complaint 7: while the first load runs, for days, no change is seen."""

import asyncio

from holding import holding
from shop import Asked, open_shop

from headrace.db.pool import Database


async def test_a_change_shows_while_the_backfill_hangs(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(200):
            shop.put("order", f"o{n:03}", created=1_700_000_000 + n * 3600)
        shop.events.clear()
        go_on = asyncio.Event()

        def linger(asked: Asked) -> object:
            return go_on.wait() if asked.path == "/order" and "after" in asked.query else None

        shop.before = linger
        async with holding(db, shop, ["order"]) as held:
            await held.start()

            async def first_page_is_there() -> bool:
                return len(await held.copy("shop:order")) > 0

            await held.until(first_page_is_there)
            shop.put("order", "o000", total=5)  # on a page that comes last
            shop.put("order", "new", total=6)

            async def changes_show() -> bool:
                copy = await held.copy("shop:order")
                return {"o000", "new"} <= copy.keys()

            await held.until(changes_show)
            assert not await held.backfilled()
            go_on.set()
            await held.until(lambda: held.copies(shop, ["order"]))
