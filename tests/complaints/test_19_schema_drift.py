"""Complaint 19: the provider added a field or changed its type, and values were lost or the run failed."""

from holding import holding
from shop import open_shop

from headrace.db.pool import Database


async def test_fields_and_types_that_nobody_told_of_are_kept_as_they_came(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o1", total=1)
        shop.put("tag", "t1", size="small")
        async with holding(db, shop, ["order", "tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            shop.put("order", "o1", total={"amount": "1.10", "currency": "eur"}, added=[1, None, {"deep": [[]]}])
            shop.put("tag", "t1", size=[12345678901234567, None], **{"": "no name", "a.b": True})
            await held.ask()
            await held.until(lambda: held.copies(shop, ["order", "tag"]))
            assert (await held.health())["status"] == "healthy"
