"""GitHub's connector keeps the laws of connectors, in a calm world and in a hostile one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from headrace.providers.github import GITHUB
from headrace.providers.kit import Faulted
from headrace.testing import laws
from headrace.testing.driver import Driver
from headrace.testing.faults import Fault
from headrace.testing.github import GithubServer, Truth
from headrace.testing.github.catalog import RESOURCES
from headrace.testing.reader import Reader

EVERY = tuple(collection.id for collection in GITHUB.collections)


@asynccontextmanager
async def world(records: int = 700, **options: Any) -> AsyncIterator[tuple[GithubServer, Driver, Truth]]:
    async with GithubServer(records, **options) as server:
        properties = {"token": "ghp_headraceTests", "base_url": server.base_url}
        async with Driver(GITHUB, "github_token", properties) as driver:
            yield server, driver, Truth(server)


def test_every_collection_of_the_connector_has_its_truth() -> None:
    assert {name.partition(":")[2] for name in EVERY} - {"repository", "organization", "user"} == set(RESOURCES)


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
        await laws.converges_alive(server, driver, truth, EVERY)
        assert server.world.changes > 50


async def test_the_order_in_which_pages_are_taken_in_does_not_matter() -> None:
    async with world() as (server, driver, truth):
        await laws.in_order(driver, truth, EVERY, lambda: [server.mutator.change() for _ in range(200)] and None)


async def test_a_sweep_deletes_nothing_that_is_there() -> None:
    async with world(records=3_000) as (server, driver, truth):
        server.mutator.per_answer = 1
        await laws.no_phantom_delete(driver, truth, EVERY)
        assert server.world.changes > 500


HOSTILE = laws.HOSTILE | {
    "primary limit as 429": Fault.parse("rate_limited:probability=0.05,status=429"),
    "secondary limit": Fault.parse("secondary_limit:probability=0.05,retry_after=0"),
    "secondary limit without a time": Fault.parse("secondary_limit:probability=0.03,status=429"),
    "unicorns": Fault.parse("server_error:probability=0.05,status=503"),
    "links to another host": Fault.parse("foreign_link"),
    "repeated rows": Fault.parse("repeated_rows:probability=0.3"),
    "deletions between pages": Fault.parse("delete_while_paging:probability=0.2"),
    "no validators": Fault.parse("no_etag"),
    "no Link headers": Fault.parse("no_link"),
}


@pytest.mark.parametrize("fault", HOSTILE.values(), ids=HOSTILE)
async def test_a_copy_converges_in_a_hostile_world(fault: Fault) -> None:
    async with world(records=400, faults=[fault]) as (server, driver, truth):
        await laws.converges_alive(server, driver, truth, EVERY)


async def test_an_unknown_field_is_kept() -> None:
    async with world(records=100) as (server, driver, _):
        server.faults.add("unknown_field")
        reader = Reader(driver, ["github:label"])
        await reader.backfill()
        assert all(b"headrace_test_field" in raw for raw in reader.copy.alive("github:label").values())


async def test_a_list_that_never_ends_is_told() -> None:
    async with world(records=100) as (server, driver, _):
        server.faults.add("endless_link", path="*/labels")
        with pytest.raises(Faulted, match="names the page itself as the next one"):
            await Reader(driver, ["github:label"]).backfill()


async def test_short_lists_that_have_not_changed_cost_nothing_of_the_hour() -> None:
    async with world(limits="real") as (server, driver, _):
        short = sorted(GITHUB.feeds[0].covers)
        reader = Reader(driver, short)
        await reader.begin()
        await reader.read_changes(driver.now())
        asked = len(server.log)
        await reader.read_changes(driver.now())
        again = list(server.log)[asked:]
        assert [entry for entry in again if entry.status != 304 and entry.path != "/user/repos"] == []
        assert len(again) > len(short)
