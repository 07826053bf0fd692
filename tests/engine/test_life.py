"""The copy equals what the provider holds, and stays so."""

from holding import holding
from shop import open_shop

from headrace.db.pool import Database


async def test_backfill_then_changes_as_they_come(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(95):
            shop.put("order", f"o{n:03}", items=[f"i{k}" for k in range(n % 4)], created=1_700_000_000 + n * 3600)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            assert await held.copies(shop, ["order"])

            shop.put("order", "o003", total=5)
            shop.put("order", "new", total=1)
            shop.remove("order", "o004")
            await held.until(lambda: held.copies(shop, ["order"]))
            await held.stop()
