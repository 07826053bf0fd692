"""Complaint 2: of records that share the cursor's second, those behind the page's edge are never read."""

from datetime import UTC, datetime

from holding import holding
from shop import PAGE, Shop, open_shop

from headrace.db.pool import Database


def change_within_a_second(shop: Shop, count: int) -> None:
    """More changes in one second than a page of the log shows."""
    real, moment = shop.now, datetime.now(UTC)
    shop.now = lambda: moment
    for n in range(count):
        shop.put("order", f"o{n:02}", total=1)
    shop.now = real


async def test_nothing_of_a_second_that_spans_pages_is_lost(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(4 * PAGE):
            shop.put("order", f"o{n:02}")
        shop.events.clear()
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            change_within_a_second(shop, 3 * PAGE + 5)
            await held.until(lambda: held.copies(shop, ["order"]))
