"""What a dry run says is what then happens: requests, time, purged records."""

from collections.abc import Mapping

import pytest
from aiohttp import web
from holding import Holding, holding
from hypothesis import given
from hypothesis import strategies as st
from shop import PAGE, SHOP, Asked, Shop, open_shop

from headrace.control.syncs import RateLimit
from headrace.db.pool import Database
from headrace.engine import patch
from headrace.engine.bucket import Bucket, Window
from headrace.engine.forecast import Forecast, least_seconds
from headrace.engine.plan import Backfilling, Plan

DAY = 86_400


async def priced(held: Holding, plan: Plan) -> Plan:
    return await Forecast(held.services.transport, held.access, None, held.sync).price(plan)


async def plan(held: Holding, **changes: object) -> Plan:
    async with held.db.transaction() as conn:
        done = await patch.patch_sync(
            conn, held.services.providers, held.sync.org_id, held.sync.id, changes, held.db.clock.now(), dry_run=True
        )
    assert isinstance(done, Plan)
    return await priced(held, done)


async def plan_start(held: Holding, *keys: str) -> Mapping[str, Backfilling]:
    """The plan of reading these anew, by collection."""
    async with held.db.transaction() as conn:
        planned = await patch.plan_start(conn, held.services.providers, held.sync, keys, held.db.clock.now())
    return {each.collection_id: each for each in (await priced(held, planned)).backfill}


def fill(shop: Shop, count: int) -> None:
    now = shop.now().timestamp()
    for n in range(count):
        shop.put("order", f"o{n:03}", created=now - 60 - n * DAY, items=["a"])
        shop.put("tag", f"t{n:03}")
        shop.put("note", f"n{n:03}", order="o000")
    shop.events.clear()


def pages_asked(shop: Shop, path: str, since: int = 0) -> list[Asked]:
    return [asked for asked in shop.asked[since:] if asked.path == path]


async def test_what_the_provider_counts_is_what_is_then_asked(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 5 * PAGE + 1)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            [planned] = (await plan(held, collection_ids=("shop:order", "shop:tag"))).backfill
            assert (planned.collection_id, planned.requests, planned.exact) == ("shop:tag", 6, True)
            await held.patch(collection_ids=("shop:order", "shop:tag"))
            await held.until(lambda: held.copies(shop, ["tag"]))
            await held.stop()
            assert len(pages_asked(shop, "/tag")) == planned.requests


async def test_what_nobody_counts_is_judged_by_the_last_backfill(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 6 * PAGE)
        async with holding(db, shop, ["order", "note"]) as held:
            assert (await plan_start(held, "shop:note"))["shop:note"] == Backfilling("shop:note")
            await held.start()
            await held.read_to_the_end()
            for _ in range(2):  # the second time it is the same, not the sum
                planned = (await plan_start(held, "shop:note"))["shop:note"]
                assert (planned.requests, planned.exact) == (6, False)
                asked = len(shop.asked)
                async with db.transaction() as conn:
                    await patch.start_backfills(conn, held.sync, ["shop:note"], db.clock.now())
                await held.hand_over()

                async def read_again() -> bool:
                    return (await held.rows("backfill"))["shop:note"]["value"]["state"] == "done"

                await held.until(read_again)
                assert len(pages_asked(shop, "/note", asked)) == planned.requests


async def test_what_has_grown_since_takes_more_and_what_comes_along_takes_nothing(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 6 * PAGE)
        async with holding(db, shop, ["note", "order", "item"]) as held:
            await held.start()
            await held.read_to_the_end()
            for n in range(6 * PAGE):
                shop.put("note", f"m{n:03}", order="o000")
            shop.put("order", "o000")  # its notes are read again
            await held.until(lambda: held.copies(shop, ["note"]))
            planned = await plan_start(held, "shop:note", "shop:order", "shop:item")
            assert planned["shop:note"].requests == 12
            assert planned["shop:item"] == Backfilling("shop:item", requests=0, seconds=0.0, exact=True)
            alone = (await plan_start(held, "shop:item"))["shop:item"]
            assert alone.requests == planned["shop:order"].requests


async def test_a_provider_that_does_not_tell_spoils_no_plan(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 2 * PAGE)
        shop.fail = lambda asked: web.json_response({}, status=403) if asked.path == "/count/tag" else None
        async with holding(db, shop, ["order"]) as held:
            assert (await plan_start(held, "shop:tag"))["shop:tag"] == Backfilling("shop:tag")


async def test_a_backfill_takes_the_time_that_was_told(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 40 * PAGE)
        async with holding(db, shop, ["tag"], rate_limit=RateLimit(20, 1)) as held:
            planned = (await plan_start(held, "shop:tag"))["shop:tag"]
            assert planned.requests == 40
            assert planned.seconds is not None
            await held.start()
            await held.read_to_the_end()
            pages = pages_asked(shop, "/tag")
            took = (pages[-1].at - pages[0].at).total_seconds()
            late = Window(20, 1).lateness_s + 0.25  # the first slot used late, and an answer's way
            assert planned.seconds - late <= took <= 3 * planned.seconds + 10


@given(requests=st.integers(0, 300), allowed=st.floats(0.2, 2_000), window_s=st.sampled_from([1.0, 10.0, 60.0]))
def test_the_time_told_is_that_of_the_bucket(requests: int, allowed: float, window_s: float) -> None:
    bucket = Bucket.fresh(allowed, window_s, 0.0)
    last = 0.0
    for _ in range(requests):
        last = bucket.earliest(1)
        bucket.take(1, last)
    assert least_seconds(requests, [bucket.window]) == pytest.approx(last, abs=1e-3)


@pytest.mark.parametrize("days", [9.5, 30.5])
async def test_the_records_that_a_lower_age_limit_purges_are_counted(db: Database, days: float) -> None:
    async with open_shop() as shop:
        fill(shop, 40)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            [planned] = (await plan(held, max_age_days=days)).purge
            before = len(await held.records())
            await held.patch(max_age_days=days)
            left = before - planned.records

            async def gone() -> bool:
                return len(await held.records()) == left

            await held.until(gone)
            assert left == int(days) + 1


async def test_what_is_purged_already_is_not_counted_again(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 40)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            await held.stop()
            async with db.transaction() as conn:
                await patch.purge_records(conn, held.sync, "shop:order", db.clock.now())
            assert (await plan(held, max_age_days=1.0)).purge == []


async def test_a_longer_span_is_not_guessed_from_a_shorter_one(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 40)
        async with holding(db, shop, ["order", "tag"], max_age_days=9.5) as held:
            await held.start()
            await held.read_to_the_end()
            planned = {each.collection_id: each for each in (await plan(held, max_age_days=30.0)).backfill}
            assert planned["shop:order"].requests is None
            assert (planned["shop:tag"].requests, planned["shop:tag"].exact) == (4, True)  # never cut by age
            again = await plan_start(held, "shop:order")
            assert again["shop:order"].requests is not None  # the same span as the last time


async def test_a_sync_that_is_not_made_yet_is_told_of(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 3 * PAGE)
        async with holding(db, shop, ["tag"]) as held:
            async with db.transaction() as conn:
                made = await patch.plan_creation(conn, {"shop": SHOP}, held.sync, db.clock.now())
            [told] = (await priced(held, made)).backfill
            assert (told.requests, told.exact) == (3, True)
