"""Complaint 3: the cursor's edge is read again and again, and its records come again each time."""

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


async def test_what_is_read_twice_is_emitted_once(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(3 * PAGE):
            shop.put("order", f"o{n:02}")
        shop.events.clear()
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            change_within_a_second(shop, 2 * PAGE + 5)
            await held.until(lambda: held.copies(shop, ["order"]))
            asked = len(shop.asked)

            async def read_again() -> bool:
                return shop.count("/events", asked) > 8

            await held.until(read_again)
            records = await held.records()
            assert max(record.updated_idx for record in records) == 3 * PAGE + 2 * PAGE + 5
