"""Complaint 1: what is deleted upstream stays in the copy for ever, since no list shows what is not there."""

from holding import holding
from shop import open_shop

from headrace.db.pool import Database


async def test_a_delete_is_seen_with_a_log_and_without_one(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(12):
            shop.put("order", f"o{n:02}")
            shop.put("tag", f"t{n:02}")
        async with holding(db, shop, ["order", "tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            shop.remove("order", "o03")
            shop.remove("tag", "t04")
            await held.ask()
            await held.until(lambda: held.copies(shop, ["order", "tag"]))
            assert {record.upstream_id for record in await held.records() if record.deleted} == {"o03", "t04"}
