"""A sync that nobody reads is never healthy, and one that is read as seldom as it should be is not called late."""

from datetime import timedelta

from holding import Holding, holding
from shop import open_shop

from headrace.db.pool import Database
from headrace.engine import status


async def health_in(held: Holding, later: timedelta) -> str:
    async with held.db.api.acquire() as conn:
        shown = await status.health(conn, [held.sync], held.db.clock.now() + later)
    return str(shown[held.sync.id]["status"])


async def test_a_sync_whose_changes_are_not_read_is_late_after_ten_minutes(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o1")
        async with holding(db, shop, ["order", "tag"]) as held:
            await held.start()
            await held.read_to_the_end()

            async def healthy() -> bool:
                return await health_in(held, timedelta(0)) == "healthy"

            await held.until(healthy)
            await held.stop()
            assert await health_in(held, timedelta(minutes=9)) == "healthy"
            assert await health_in(held, timedelta(minutes=11)) == "warning"


async def test_a_sync_that_is_only_compared_is_late_when_a_comparison_is(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("tag", "t1")
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await held.read_to_the_end()

            async def healthy() -> bool:
                return await health_in(held, timedelta(hours=6)) == "healthy"

            await held.until(healthy)  # once it is noted when the first comparison is due
            await held.ask()

            async def compared() -> bool:
                return (await held.collections())["shop:tag"]["last_sweep_completed_at"] is not None

            await held.until(compared)
            await held.stop()
            assert await healthy()
            assert await health_in(held, timedelta(hours=7)) == "warning"


async def test_a_restarted_sync_is_as_healthy_as_it_was(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o1")
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()

            async def healthy() -> bool:
                return await health_in(held, timedelta(0)) == "healthy"

            await held.until(healthy)
            await held.stop()
            seen: set[str] = set()
            await held.start()
            asked = len(shop.asked)

            async def read_again() -> bool:
                seen.add(await health_in(held, timedelta(0)))
                return len(shop.asked) > asked + 2

            await held.until(read_again)
            assert seen == {"healthy"}
