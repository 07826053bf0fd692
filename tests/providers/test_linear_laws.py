"""Linear's connector keeps the laws of connectors, in a calm world and in a hostile one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from headrace.providers.linear import LINEAR
from headrace.testing import laws
from headrace.testing.driver import Driver
from headrace.testing.faults import Fault
from headrace.testing.linear import LinearServer, Truth
from headrace.testing.linear.world import KINDS
from headrace.testing.reader import Reader

EVERY = tuple(collection.id for collection in LINEAR.collections)


@asynccontextmanager
async def world(records: int = 700, **options: Any) -> AsyncIterator[tuple[LinearServer, Driver, Truth]]:
    async with LinearServer(records, **options) as server:
        properties = {"key": "lin_api_headraceTests", "base_url": server.base_url}
        async with Driver(LINEAR, "linear_key", properties) as driver:
            yield server, driver, Truth(server)


def test_every_collection_of_the_connector_has_its_truth() -> None:
    assert {name.partition(":")[2] for name in EVERY} == set(KINDS)


async def test_each_collection_is_complete_without_phantoms() -> None:
    async with world(records=1_500) as (_, driver, truth):
        for collection in EVERY:
            copy = await laws.complete(driver, truth, [collection])
            assert len(copy.alive(collection)) == len(list(truth(collection))) > 0


async def test_all_readings_are_quiet() -> None:
    async with world() as (_, driver, truth):
        await laws.quiet(driver, truth, EVERY, driver.now() - timedelta(days=400))


async def test_reading_resumes_at_every_page() -> None:
    async with world(records=2_000) as (_, driver, truth):
        await laws.resumable(driver, truth, EVERY)


@pytest.mark.parametrize("seed", range(3))
async def test_a_copy_converges_while_the_account_changes(seed: int) -> None:
    async with world(seed=seed) as (server, driver, truth):
        await laws.converges_alive(server, driver, truth, EVERY, per_answer=5)
        assert server.world.changes > 100


async def test_the_order_in_which_pages_are_taken_in_does_not_matter() -> None:
    async with world() as (server, driver, truth):
        await laws.in_order(driver, truth, EVERY, lambda: [server.mutator.change() for _ in range(200)] and None)


async def test_a_sweep_deletes_nothing_that_is_there() -> None:
    async with world(records=3_000) as (server, driver, truth):
        server.mutator.per_answer = 5
        await laws.no_phantom_delete(driver, truth, EVERY)
        assert server.world.changes > 300


HOSTILE = laws.HOSTILE | {
    "cursors that died": Fault.parse("dead_cursor:probability=0.2"),
    "duplicates": Fault.parse("duplicates:probability=0.3"),
}


@pytest.mark.parametrize("fault", HOSTILE.values(), ids=HOSTILE)
async def test_a_copy_converges_in_a_hostile_world(fault: Fault) -> None:
    async with world(records=400, faults=[fault]) as (server, driver, truth):
        await laws.converges_alive(server, driver, truth, EVERY, per_answer=5)


async def test_a_list_that_shows_empty_deletes_nothing() -> None:
    async with world() as (server, driver, truth):
        known = [collection.id for collection in LINEAR.collections if collection.fetch is not None]
        reader = Reader(driver, known)
        await reader.backfill()
        server.faults.add("hidden")
        assert await reader.sweep(known) == []
        assert not reader.copy.difference(truth, known)
