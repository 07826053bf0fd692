"""What a dry run says of collections that are read partition by partition is what is then asked."""

import pytest
from holding import Holding, holding_at
from shop import KEY
from warehouse import PAGE, Warehouse, depot, open_warehouse

from headrace.db.pool import Database
from headrace.engine import forecast, patch
from headrace.engine.forecast import Forecast
from headrace.engine.plan import Backfilling, Plan

WHOLE = depot(windowed=None)
"""The depot, its halls read from end to end."""
HALLS = PAGE + 2
"""More than one page of them."""


def fill(warehouse: Warehouse) -> int:
    """Halls of 0, 3, 6 … crates; the pages that they fill, with those of the list of halls."""
    for n in range(HALLS):
        for crate in range(3 * n):
            warehouse.crate(f"hall{n}", f"{n}-{crate}", created=1_700_000_000 + crate)
        if n == 0:
            warehouse.crate("hall0", "gone")
            warehouse.remove_crate("hall0", "gone")
    return 2 + sum(max(1, -(-3 * n // PAGE)) for n in range(HALLS))


async def plan_start(held: Holding) -> Plan:
    async with held.db.transaction() as conn:
        return await patch.plan_start(conn, held.services.providers, held.sync, ["depot:crate"], held.db.clock.now())


async def told(held: Holding) -> Backfilling:
    priced = await Forecast(held.services.transport, held.access, None, held.sync).price(await plan_start(held))
    [crates] = priced.backfill
    return crates


async def test_every_partition_is_counted_and_their_list_is_asked_for_too(db: Database) -> None:
    async with open_warehouse() as warehouse:
        pages = fill(warehouse)
        async with holding_at(db, warehouse.url, ["depot:crate"], WHOLE, KEY, {"key": "very-secret-key"}) as held:
            planned = await told(held)
            assert (planned.requests, planned.exact) == (pages, True)
            warehouse.asked.clear()
            await held.start()
            await held.found()
            await held.read_to_the_end()
            listed = [path for path, query in warehouse.asked if path.endswith("/crates") and "since" not in query]
            assert len(listed) + 2 == pages
            [last] = (await plan_start(held)).backfill
            assert (last.requests, last.exact) == (pages, False)


async def test_more_partitions_than_may_be_counted_are_judged_by_the_last_backfill(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "MOST_COUNTS", HALLS - 1)
    async with open_warehouse() as warehouse:
        pages = fill(warehouse)
        async with holding_at(db, warehouse.url, ["depot:crate"], WHOLE, KEY, {"key": "very-secret-key"}) as held:
            assert await told(held) == Backfilling("depot:crate")
            await held.start()
            await held.found()
            await held.read_to_the_end()
            await held.stop()
            warehouse.asked.clear()
            planned = await told(held)
            assert (planned.requests, planned.exact) == (pages, False)
            assert not [path for path, _ in warehouse.asked if path.endswith("/count")]


async def test_a_listing_that_may_be_cut_into_slices_takes_as_many_requests_at_the_least(db: Database) -> None:
    async with open_warehouse() as warehouse:
        pages = fill(warehouse)
        sliced = depot(windowed="created")
        async with holding_at(db, warehouse.url, ["depot:crate"], sliced, KEY, {"key": "very-secret-key"}) as held:
            planned = await told(held)
            assert (planned.requests, planned.exact) == (pages, False)
            await held.start()
            await held.found()
            await held.read_to_the_end()
            [last] = (await plan_start(held)).backfill
            assert last.requests is not None
            assert last.requests >= pages


async def test_one_page_of_each_partition_is_not_cut(db: Database) -> None:
    async with open_warehouse() as warehouse:
        warehouse.crate("hall0", "0", created=1_700_000_000)
        sliced = depot(windowed="created")
        async with holding_at(db, warehouse.url, ["depot:crate"], sliced, KEY, {"key": "very-secret-key"}) as held:
            planned = await told(held)
            assert (planned.requests, planned.exact) == (2, True)
            await held.start()
            await held.found()
            await held.read_to_the_end()
            [last] = (await plan_start(held)).backfill
            assert last.requests == planned.requests
