"""Complaint 25: nobody can tell whether the copy is complete."""

from datetime import datetime

from holding import holding
from shop import SHOP, open_shop

from headrace.db.pool import Database
from headrace.engine import barrier


async def test_each_collection_says_up_to_when_it_is_complete_and_a_call_waits_for_it(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(30):
            shop.put("order", f"o{n:02}")
        async with holding(db, shop, ["order", "tag"]) as held:
            row = (await held.collections())["shop:order"]
            assert (row["phase"], row["settled_through"], row["lag_seconds"]) == ("waiting", None, None)
            await held.start()
            await held.read_to_the_end()
            called = db.clock.now()
            shop.put("order", "o03", total=1)
            shop.put("tag", "t1")
            assert held.runner is not None
            await db.listen("headrace_sync", lambda _: held.runner.hint() if held.runner else None)
            ok, told = await barrier.wait(db, held.sync, SHOP, "settled", 60_000)
            assert ok
            assert await held.copies(shop, ["order", "tag"])
            assert all(datetime.fromisoformat(each["through"]) > called for each in told)
            shown = await held.collections()
            assert {row["phase"] for row in shown.values()} == {"live"}
            assert all(row["lag_seconds"] < 60 for row in shown.values())
