"""Salesforce's connector keeps the laws, in a calm world and in a hostile one."""

import asyncio
from datetime import timedelta

import pytest
from salesforce_world import world

from headrace.testing import laws
from headrace.testing.driver import Driver
from headrace.testing.reader import Reader
from headrace.testing.salesforce import Fault, SalesforceServer

MINUTES = 180.0
"""By so much the org's clock goes on while it rests: getDeleted knows whole minutes."""


def disturb_with(server: SalesforceServer, changes: int) -> None:
    for _ in range(changes):
        server.mutator.change()


async def let_minutes_pass(server: SalesforceServer, driver: Driver) -> None:
    server.clock.offset_s += MINUTES
    await driver.verify()


async def test_every_object_is_complete_without_phantoms() -> None:
    async with world(1_000) as (_, driver, truth, every):
        copy = await laws.complete(driver, truth, every)
        assert {key for key in every if copy.alive(key)} == set(every)


async def test_all_readings_are_quiet() -> None:
    async with world(200) as (_, driver, truth, every):
        await laws.quiet(driver, truth, every, driver.now() - timedelta(days=14))


async def test_a_job_reads_the_records_as_the_pages_do() -> None:
    counts = {"Account": 80, "Contact": 60, "Invoice__c": 60, "Survey__c": 5}
    async with world(counts) as (server, driver, truth, _):
        large = ["salesforce:account", "salesforce:contact", "salesforce:Invoice__c", "salesforce:Survey__c"]
        server.counts = dict.fromkeys(counts, 5_000_000)
        await laws.quiet(driver, truth, large, driver.now() - timedelta(days=14))
        assert len(server.log.find("*/jobs/query/*/results", status=200)) == 2 * len(large)


async def test_reading_resumes_at_every_page() -> None:
    counts = {"Account": 2_300, "ContentDocument": 230, "ContentDocumentLink": 300, "Survey__c": 10}
    async with world(counts) as (_, driver, truth, every):
        await laws.resumable(driver, truth, every)


async def test_more_rows_of_one_second_than_an_answer_holds() -> None:
    ties = Fault("ties", options={"second": 10**10})
    async with world({"Case": 4_500}, faults=[ties]) as (server, driver, truth, _):
        assert len({row["SystemModstamp"] for row in server.org.alive("Case")}) == 1
        await laws.complete(driver, truth, ["salesforce:case"])


@pytest.mark.parametrize("seed", range(3))
async def test_a_copy_converges_while_the_org_changes(seed: int) -> None:
    async with world(300, seed=seed) as (server, driver, truth, every):
        await laws.converges(
            driver,
            truth,
            every,
            lambda: disturb_with(server, 12),
            rest=lambda: let_minutes_pass(server, driver),
        )
        assert server.org.changes > 500


async def test_the_order_of_the_pages_does_not_matter() -> None:
    async with world(300) as (server, driver, truth, every):
        server.mutator.purges = False  # no reading of changes tells of a purge before its minute is over
        await laws.in_order(driver, truth, every, lambda: disturb_with(server, 300))


async def test_a_sweep_deletes_nothing_that_is_there() -> None:
    async with world(300) as (server, driver, truth, every):
        await laws.no_phantom_delete(driver, truth, every, lambda: disturb_with(server, 5))


HOSTILE = {
    "too many": [Fault("rate_limited", "/services/data/v65.0/queryAll", probability=0.1)],
    "errors in mid-page": [Fault("server_error", probability=0.2), Fault("reset", probability=0.1)],
    "broken bodies": [Fault("truncated_json", probability=0.1), Fault("html", probability=0.1)],
    "small batches": [Fault("short_batch", options={"rows": 7})],
    "locators that die": [Fault("short_batch", options={"rows": 7}), Fault("dead_locator", probability=0.2)],
    "empty answers with a locator": [Fault("empty_page", probability=0.3)],
    "duplicates": [Fault("duplicates", probability=0.7)],
    "moving rows": [
        Fault("insert_while_paging", probability=0.2),
        Fault("update_while_paging", probability=0.2),
        Fault("delete_while_paging", probability=0.1),
    ],
    "ties": [Fault("ties", options={"second": 86_400})],
    "transactions that end late": [Fault("late_rows", probability=0.3, options={"delay_s": 0.3})],
    "a clock off by minutes": [Fault("clock", options={"offset_s": 420})],
    "jobs that fail": [Fault("job_fails", "Account", times=1)],
}


@pytest.mark.parametrize("faults", HOSTILE.values(), ids=HOSTILE)
async def test_a_copy_converges_in_a_hostile_world(faults: list[Fault]) -> None:
    async with world(300) as (server, driver, truth, every):
        server.counts = {"Account": 5_000_000, "Invoice__c": 5_000_000}
        for fault in faults:
            server.faults.put(fault)

        async def rest() -> None:
            for how in ("insert", "update", "delete"):
                server.faults.clear(f"{how}_while_paging")
            await asyncio.sleep(0.4)
            await let_minutes_pass(server, driver)

        await laws.converges(driver, truth, every, lambda: disturb_with(server, 4), rest=rest)


async def test_rows_that_nobody_may_see_any_more_are_told_by_the_fetch_alone() -> None:
    """What a query shows empty is deleted only after each record was asked for by its id."""
    async with world({"Account": 30}) as (server, driver, truth, _):
        reader = Reader(driver, ["salesforce:account"])
        await reader.backfill()
        server.faults.add("hidden", path="Account", times=1)
        assert await reader.sweep(["salesforce:account"]) == []
        assert not reader.copy.difference(truth, ["salesforce:account"])


async def test_salesforce_is_asked_politely() -> None:
    async with world(300, limits="real", daily_requests=100_000) as (server, driver, truth, every):
        await laws.complete(driver, truth, every)
        laws.polite(server.log, 100_000, 86_400)
