"""HubSpot's connector keeps the laws, in a calm world and in a hostile one."""

import asyncio
from datetime import timedelta

import pytest
from hubspot_world import world

from headrace.testing import laws
from headrace.testing.hubspot import Fault, HubspotServer
from headrace.testing.reader import Reader


def disturb_with(server: HubspotServer, changes: int) -> None:
    for _ in range(changes):
        server.mutator.change()


async def test_every_collection_is_complete_without_phantoms() -> None:
    async with world(1_300) as (_, driver, truth, every):
        copy = await laws.complete(driver, truth, every)
        crm = [key for key in every if "association" not in key]
        assert {key for key in crm if copy.alive(key)} == set(crm)
        assert copy.alive("hubspot:contact_association")


async def test_all_readings_are_quiet() -> None:
    async with world(130) as (_, driver, truth, every):
        await laws.quiet(driver, truth, every, driver.now() - timedelta(days=300))


async def test_reading_resumes_at_every_page() -> None:
    async with world({"contacts": 350, "tickets": 120, "companies": 30}) as (_, driver, truth, every):
        await laws.resumable(driver, truth, every)


@pytest.mark.parametrize("seed", range(3))
async def test_a_copy_converges_while_the_portal_changes(seed: int) -> None:
    async with world(seed=seed) as (server, driver, truth, every):
        server.mutator.secretive = False
        await laws.converges(driver, truth, every, lambda: disturb_with(server, 8))
        assert server.portal.changes > 350


async def test_the_order_of_the_pages_does_not_matter() -> None:
    async with world() as (server, driver, truth, every):
        server.mutator.secretive = False
        await laws.in_order(driver, truth, every, lambda: disturb_with(server, 200))


async def test_a_sweep_deletes_nothing_that_is_there() -> None:
    async with world() as (server, driver, truth, every):
        await laws.no_phantom_delete(driver, truth, every, lambda: disturb_with(server, 3))


async def test_what_was_erased_for_privacy_is_found_by_comparison() -> None:
    """Nothing tells of it: neither the search nor the list of what is archived."""
    async with world({"contacts": 30}) as (server, driver, truth, _):
        reader = Reader(driver, ["hubspot:contact"])
        await reader.backfill()
        gone = next(server.portal.alive("contacts")).id
        server.portal.erase("contacts", gone)
        await reader.read_changes(driver.now() - timedelta(hours=1))
        assert reader.copy.difference(truth, ["hubspot:contact"]).phantom == {("hubspot:contact", str(gone))}
        assert await reader.sweep(["hubspot:contact"]) == [("hubspot:contact", str(gone))]


async def test_more_changes_of_one_millisecond_than_a_search_shows() -> None:
    ties = Fault("ties", options={"ms": 10**11})
    async with world({"deals": 950}, faults=[ties]) as (server, driver, truth, _):
        reader = Reader(driver, ["hubspot:deal"])
        assert len({thing.changed for thing in server.portal.alive("deals")}) == 1
        await reader.read_changes(driver.now() - timedelta(days=2_000))
        assert not reader.copy.difference(truth, ["hubspot:deal"])


HOSTILE = {
    "too many": [Fault("rate_limited", probability=0.05)],
    "errors in mid-page": [Fault("server_error", probability=0.1), Fault("reset", probability=0.05)],
    "broken bodies": [Fault("truncated_json", probability=0.05), Fault("html", probability=0.05)],
    "duplicates": [Fault("duplicates", probability=0.7)],
    "batches of which a part fails": [Fault("batch_fails", probability=0.2)],
    "an index that lags": [Fault("index_lag", probability=0.5, options={"delay_s": 0.5})],
    "ties": [Fault("ties", options={"ms": 10**11})],
    "a clock off by minutes": [Fault("clock", options={"offset_s": 420})],
}


@pytest.mark.parametrize("faults", HOSTILE.values(), ids=HOSTILE)
async def test_a_copy_converges_in_a_hostile_world(faults: list[Fault]) -> None:
    async with world(130, faults=faults) as (server, driver, truth, every):
        server.mutator.secretive = False
        await laws.converges(driver, truth, every, lambda: disturb_with(server, 3), rest=lambda: asyncio.sleep(0.6))


async def test_a_scope_that_is_missing_takes_away_its_type_alone() -> None:
    async with world({"contacts": 5}) as (server, driver, _, every):
        assert "hubspot:contact" in every
        assert "hubspot:lead" not in every
        server.faults.add("missing_scope", path="/crm/v3/properties/contacts")
        found = await driver.discover()
        assert "hubspot:contact" not in found
        assert "hubspot:company" in found
