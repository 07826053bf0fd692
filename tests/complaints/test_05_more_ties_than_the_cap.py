"""Complaint 5: more records share one moment than a query shows (10 000 at HubSpot), and the sync loops for ever."""

from datetime import UTC, datetime

from holding import holding
from shop import CAP, open_shop

from headrace.db.pool import Database


async def test_more_records_of_one_moment_than_a_query_shows_are_all_read(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(3 * CAP):
            shop.put("document", f"d{n:03}", created=1_700_000_000 + n)
        async with holding(db, shop, ["document"]) as held:
            await held.start()
            await held.read_to_the_end()
            moment = datetime.now(UTC)
            real, shop.now = shop.now, lambda: moment
            for n in range(3 * CAP):
                shop.put("document", f"d{n:03}", text="changed by one import")
            shop.now = real
            await held.until(lambda: held.copies(shop, ["document"]), within=60)
            assert (await held.health())["status"] == "healthy"
