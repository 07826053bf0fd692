"""Complaint 24: the start date was moved back, and nothing happened."""

from holding import holding
from shop import open_shop

from headrace.db.pool import Database

DAY = 86_400


async def test_a_raised_age_limit_brings_what_lies_between(db: Database) -> None:
    async with open_shop() as shop:
        now = shop.now().timestamp()
        for n in range(40):
            shop.put("order", f"o{n:02}", created=now - n * DAY - 3600)
        shop.events.clear()
        async with holding(db, shop, ["order"], max_age_days=10.0) as held:
            await held.start()
            await held.read_to_the_end()
            assert len(await held.copy("shop:order")) == 10

            async def count(expected: int) -> bool:
                return len(await held.copy("shop:order")) == expected

            await held.patch(max_age_days=30.0)
            await held.until(lambda: count(30))
            await held.patch(max_age_days=None)
            await held.until(lambda: held.copies(shop, ["order"]))
