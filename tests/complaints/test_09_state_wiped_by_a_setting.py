"""Complaint 9: a harmless setting was changed, and the whole account was read again."""

from holding import holding
from shop import open_shop

from headrace.control.syncs import RateLimit
from headrace.db.pool import Database


async def test_no_setting_but_those_that_must_reads_anything_again(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(60):
            shop.put("order", f"o{n:02}", created=1_700_000_000 + n * 3600)
        shop.events.clear()
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            listed = shop.count("/order")
            await held.patch(name="another", metadata='{"a": 1}', external_id="x", max_poll_ms=700)
            await held.patch(rate_limit=RateLimit(1000, 1), sync_frequency="4h", deleted_retention_days=30.0)
            await held.patch(sync_frequency="continuous", status="disabled")
            await held.patch(status="active")
            shop.put("order", "o00", total=1)
            await held.until(lambda: held.copies(shop, ["order"]))
            assert shop.count("/order") == listed
            await held.kill()  # whoever reads it next goes by what is stored
            shop.put("order", "o01", total=1)
            await held.start()
            await held.until(lambda: held.copies(shop, ["order"]))
            assert shop.count("/order") == listed
