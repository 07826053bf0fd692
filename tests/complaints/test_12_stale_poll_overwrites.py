"""Complaint 12: an answer that was slow to come overwrote the change that a webhook had brought meanwhile."""

import asyncio

from holding import holding
from shop import open_shop

from headrace.db.pool import Database


async def test_an_answer_from_before_the_change_does_not_win(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o1", total=1, created=1_700_000_000)
        shop.events.clear()
        go_on = asyncio.Event()
        shop.after = lambda asked: go_on.wait() if asked.path == "/order" else None
        async with holding(db, shop, ["order"]) as held:
            await held.start()

            async def asked() -> bool:
                return shop.count("/order") == 1

            await held.until(asked)  # the list was made, and is on its way
            await asyncio.sleep(1.1)  # into another second, by which the log tells its times
            shop.put("order", "o1", total=2)
            await held.until(lambda: held.copies(shop, ["order"]))
            go_on.set()
            await held.read_to_the_end()
            assert await held.copies(shop, ["order"])
            assert [record.updated_idx for record in await held.records()] == [1]
