"""A sync that nobody reads is never healthy, and one that is read as seldom as it should be is not called late."""

from datetime import datetime, timedelta

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


async def test_a_sync_that_runs_every_four_hours_is_late_after_two_of_them(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o1")
        async with holding(db, shop, ["order"]) as held:
            await held.patch(sync_frequency="4h")
            await held.start()
            await held.read_to_the_end()

            async def healthy() -> bool:
                return await health_in(held, timedelta(0)) == "healthy"

            await held.until(healthy)
            await held.stop()
            assert await health_in(held, timedelta(hours=7, minutes=59)) == "healthy"
            assert await health_in(held, timedelta(hours=8, minutes=1)) == "warning"


async def test_each_collection_tells_how_long_a_delete_may_go_unseen(db: Database) -> None:
    """Compared every six hours where the provider does not tell of deletes, once a week where it does."""
    async with open_shop() as shop:
        shop.put("order", "o1")
        shop.put("tag", "t1")
        async with holding(db, shop, ["order", "tag"]) as held:
            await held.start()
            await held.read_to_the_end()

            async def scheduled() -> bool:
                return all(row["next_sweep_due_at"] for row in (await held.collections()).values())

            await held.until(scheduled)
            await held.stop()
            told = await held.collections()
            poll_s = held.sync.max_poll_ms / 1000
            assert told["shop:tag"]["delete_detection_seconds"] == 6 * 3600 + round(poll_s)
            assert told["shop:order"]["delete_detection_seconds"] < 3600
            for name, every in (("shop:tag", timedelta(hours=6)), ("shop:order", timedelta(days=7))):
                last = told[name]["last_sweep_completed_at"] or told[name]["backfill_completed_at"]
                wait = datetime.fromisoformat(told[name]["next_sweep_due_at"]) - datetime.fromisoformat(last)
                assert abs(wait - every) < timedelta(minutes=10), name
