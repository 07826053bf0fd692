"""Complaint 18: a release was slower than the one before by a factor, and nobody noticed."""

from dying import Points, dying
from holding import holding
from shop import PAGE, open_shop

from headrace.db.pool import Database

PAGES = 30


async def test_a_load_costs_a_request_a_page_and_few_statements(db: Database) -> None:
    """Counted, not timed, so that it holds on any machine: a read or a write for each record would show at once."""
    async with open_shop() as shop:
        for n in range(PAGES * PAGE):
            shop.put("tag", f"t{n:03}")
        async with holding(db, shop, ["tag"]) as held:
            points = Points(None)
            held.services = dying(held.services, points)
            await held.start()
            await held.read_to_the_end()
            assert await held.copies(shop, ["tag"])
            assert shop.count("/tag") == PAGES
            assert points.passed < 4 * PAGES + 40
