"""What a dry run says is what then happens: requests, time, purged records."""

import pytest
from holding import Holding, holding
from shop import PAGE, Shop, open_shop

from headrace.control.syncs import RateLimit
from headrace.db.pool import Database
from headrace.engine import patch
from headrace.engine.patch import Plan

DAY = 86_400


async def plan(held: Holding, **changes: object) -> Plan:
    async with held.db.transaction() as conn:
        done = await patch.patch_sync(
            conn, held.services.providers, held.sync.org_id, held.sync.id, changes, held.db.clock.now(), dry_run=True
        )
    assert isinstance(done, Plan)
    return done


def fill(shop: Shop, count: int) -> None:
    now = shop.now().timestamp()
    for n in range(count):
        shop.put("order", f"o{n:03}", created=now - 60 - n * DAY)
        shop.put("tag", f"t{n:03}")
    shop.events.clear()


async def test_the_requests_of_a_backfill_are_those_of_the_last_one(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 6 * PAGE)
        async with holding(db, shop, ["order", "tag"], rate_limit=RateLimit(50, 10)) as held:
            [unknown] = (await plan(held, collection_ids=("shop:order", "shop:tag", "shop:document"))).backfill
            assert (unknown.collection_id, unknown.requests, unknown.exact) == ("shop:document", None, False)
            await held.start()
            await held.read_to_the_end()
            await held.until(lambda: held.copies(shop, ["tag"]))
            for _ in range(2):  # the second time it is the same, not the sum
                await held.patch(collection_ids=("shop:order",))
                [planned] = (await plan(held, collection_ids=("shop:order", "shop:tag"))).backfill
                assert (planned.collection_id, planned.requests, planned.seconds) == ("shop:tag", 6, 1.2)
                asked = len(shop.asked)
                await held.patch(collection_ids=("shop:order", "shop:tag"))

                async def read_again() -> bool:
                    row = (await held.rows("backfill"))["shop:tag"]
                    return bool(row["value"]["state"] == "done" and row["pages"] == 6)

                await held.until(read_again)
                backfill_and_sweep = shop.count("/tag", asked)
                assert 6 <= backfill_and_sweep <= 12


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


async def test_a_longer_span_is_not_guessed_from_a_shorter_one(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 40)
        async with holding(db, shop, ["order", "tag"], max_age_days=9.5) as held:
            await held.start()
            await held.read_to_the_end()
            planned = {each.collection_id: each.requests for each in (await plan(held, max_age_days=30.0)).backfill}
            assert planned == {"shop:order": None, "shop:tag": 4}  # tags cannot be cut by age, so all are read
