"""Read your writes, and honesty about what was not read."""

import asyncio
from datetime import timedelta

from holding import Holding, holding
from shop import SHOP, open_shop

from headrace.db.pool import Database
from headrace.engine import barrier
from headrace.engine.barrier import Level


async def wait(held: Holding, level: Level, timeout_ms: int) -> bool:
    async def told() -> None:
        while True:
            await asyncio.sleep(0.05)
            if held.runner is not None:
                held.runner.hint()  # as the worker does when it is notified

    hints = asyncio.create_task(told())
    try:
        ok, collections = await barrier.wait(held.db, held.sync, SHOP, level, timeout_ms)
    finally:
        hints.cancel()
    assert [each["id"] for each in collections] == list(held.sync.collection_ids)
    return ok


async def test_the_head_holds_what_was_there_at_the_call(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o1")
        shop.put("tag", "t1")
        async with holding(db, shop, ["order", "item", "note", "tag", "document"], max_poll_ms=3_600_000) as held:
            await held.start()
            await held.read_to_the_end()
            for n in range(3):
                shop.put("order", f"new{n}", items=["a"])
                shop.put("tag", f"new{n}")
                shop.put("document", f"new{n}")
                assert await wait(held, "head", 20_000)
                assert await held.copies(shop, ["order", "item", "tag", "document"])


async def test_the_head_holds_the_second_of_two_changes_within_a_second(db: Database) -> None:
    async with open_shop() as shop, holding(db, shop, ["order"], max_poll_ms=3_600_000) as held:
        await held.start()
        await held.read_to_the_end()
        for n in range(3):
            shop.put("order", "o1", items=[], n=n)
            assert await wait(held, "head", 20_000)
            assert await held.copies(shop, ["order"])


async def test_settled_is_past_the_call_by_the_providers_clock(db: Database) -> None:
    async with open_shop() as shop, holding(db, shop, ["order"], max_poll_ms=3_600_000) as held:
        await held.start()
        await held.read_to_the_end()
        called = db.clock.now()
        assert await wait(held, "settled", 20_000)
        settled = (await held.rows("settled"))["feed:events"]["settled_through"]
        assert settled >= called


async def test_it_is_over_when_the_time_is(db: Database) -> None:
    async with open_shop() as shop, holding(db, shop, ["order"]) as held:
        assert not await wait(held, "head", 200)


async def test_a_sync_that_nobody_reads_is_never_healthy(db: Database) -> None:
    async with open_shop() as shop, holding(db, shop, ["order"]) as held:
        await held.start()
        await held.read_to_the_end()

        async def healthy() -> bool:
            return bool((await held.health())["status"] == "healthy")

        await held.until(healthy)
        await held.stop()
        long_ago = db.clock.now() - timedelta(minutes=11)
        await db.api.execute("update checkpoints set last_success_at = $1", long_ago)
        await db.api.execute("update syncs set updated_at = $1", long_ago)
        await held.hand_over()
        health = await held.health()
        assert health["status"] == "warning"
        assert any("11 minutes ago" in note for note in health["notes"])
