"""Complaint 6: the first sync crashed after hours and began again from zero."""

from holding import holding
from shop import PAGE, open_shop

from headrace.db.pool import Database


async def test_a_first_load_that_died_goes_on_where_it_was(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(20 * PAGE):
            shop.put("tag", f"t{n:03}")
        async with holding(db, shop, ["tag"]) as held:
            await held.start()

            async def halfway() -> bool:
                return bool((await held.collections())["shop:tag"]["records"] >= 10 * PAGE)

            await held.until(halfway)
            await held.kill()
            read, asked = (await held.collections())["shop:tag"]["pages_read"], len(shop.asked)
            await held.start()
            await held.read_to_the_end()
            assert await held.copies(shop, ["tag"])
            assert shop.count("/tag", asked) <= 20 - read + 1
