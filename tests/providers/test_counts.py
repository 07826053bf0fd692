"""What a provider tells of how much there is equals what reading it then takes, request for request."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from headrace.engine.tally import Tally
from headrace.http import Request, Response
from headrace.providers.github import GITHUB
from headrace.providers.hubspot import HUBSPOT
from headrace.providers.kit import EVERYTHING, Context, Counting, Cursor, PageFunction, Provider, Record, Total
from headrace.providers.salesforce import SALESFORCE
from headrace.testing.driver import Driver
from headrace.testing.github import GithubServer
from headrace.testing.github.catalog import RESOURCES
from headrace.testing.hubspot import HubspotServer
from headrace.testing.reader import Reader
from headrace.testing.salesforce import SalesforceServer

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


async def told_and_taken(
    provider: Provider, kind: str, properties: Mapping[str, Any], collections: tuple[str, ...]
) -> list[tuple[Total, Total]]:
    """For each collection, in each of its partitions: what was told, and what it took. Every collection is one whose
    provider can tell."""
    compared = []
    async with Driver(provider, kind, properties) as driver:
        if provider.discovery is not None:
            await driver.discover()
        reader = Reader(driver, collections)
        for key in collections:
            collection = reader.collection(key)
            listing = collection.listing
            assert listing is not None
            assert listing.count is not None
            for partition in await driver.partitions(collection.partitions):
                told = await driver.run(listing.count(driver.context([key], partition), EVERYTHING))
                assert told is not None
                taken = await _taken(reader, listing.page, key, partition)
                compared.append((told, Total(taken.records, taken.requests, told.exact)))
    return compared


async def _taken(reader: Reader, function: PageFunction, key: str, partition: str | None) -> Total:
    """Reading it, page by page."""
    tally = Tally()
    records = 0
    cursor: Cursor | None = None
    while True:
        page = await reader.driver.page(tally.around(function), [key], EVERYTHING, cursor, partition)
        records += sum(isinstance(item, Record) for item in page.items)
        cursor = page.next
        if cursor is None:
            return Total(records, tally.take())


@pytest.mark.parametrize("rows", [0, 1, 1_999, 2_000, 2_001, 4_100])
async def test_salesforce_counts_what_is_read(rows: int) -> None:
    async with SalesforceServer({"Account": rows, "Contact": 7}, daily_requests=1_000_000) as server:
        properties = {
            "instance_url": "https://acme.my.salesforce.com",
            "refresh_token": "5AepTests",
            "base_url": server.base_url,
            "access_token": server.session(),
        }
        collections = ("salesforce:account", "salesforce:contact")
        for told, taken in await told_and_taken(SALESFORCE, "salesforce_oauth2", properties, collections):
            assert told == taken
            assert told.exact


@pytest.mark.parametrize("rows", [0, 1, 99, 100, 101, 350])
async def test_hubspot_counts_what_its_index_shows(rows: int) -> None:
    async with HubspotServer({"contacts": rows, "companies": 7}) as server:
        properties = {"refresh_token": "refresh-tests", "base_url": server.base_url, "access_token": "at-tests"}
        collections = ("hubspot:contact", "hubspot:company")
        for told, taken in await told_and_taken(HUBSPOT, "hubspot_oauth2", properties, collections):
            assert told == taken
            assert not told.exact  # the index lags


@pytest.mark.parametrize("rows", [1, 250])
async def test_github_counts_what_is_read_of_lists_that_have_page_numbers(rows: int) -> None:
    counted = [each.id for each in GITHUB.collections if each.listing is not None and each.listing.count is not None]
    numbered = tuple(key for key in counted if key.partition(":")[2] in RESOURCES and not by_cursors(key))
    world = {"issue": rows, **{key.partition(":")[2]: rows for key in numbered}}
    async with GithubServer(world, repositories=2) as server:
        properties = {"token": "ghp_headraceTests", "base_url": server.base_url}
        compared = await told_and_taken(GITHUB, "github_token", properties, numbered)
        assert [told for told, _ in compared] == [taken for _, taken in compared]
        assert max(taken.records for _, taken in compared) > (100 if rows > 100 else 0)
        assert len(numbered) > 15


async def test_of_a_list_by_cursors_github_tells_nothing_that_is_more_than_a_row() -> None:
    async with GithubServer({"dependabot_alert": 3}, repositories=1) as server:
        properties = {"token": "ghp_headraceTests", "base_url": server.base_url}
        async with Driver(GITHUB, "github_token", properties) as driver:
            collection = Reader(driver, ["github:dependabot_alert"]).collection("github:dependabot_alert")
            assert collection.listing is not None
            assert collection.listing.count is not None
            [partition] = await driver.partitions(collection.partitions)
            context = driver.context([collection.id], partition)
            assert await driver.run(collection.listing.count(context, EVERYTHING)) is None


@pytest.mark.parametrize(("shown", "second", "told"), [(0, 0, 0), (1, 0, 1), (1, 1, None), (7, 0, 7), (30, 0, None)])
def test_of_a_server_without_link_headers_github_tells_what_one_page_can_tell(
    shown: int, second: int, told: int | None
) -> None:
    """One row may be all that there is, as at GitHub, or all that was asked for: the second page tells."""

    def respond(request: Request) -> Response:
        rows = second if dict(request.query).get("page") == "2" else shown
        return Response(200, orjson.dumps([{"id": key} for key in range(rows)]), NOW)

    collection = GITHUB.collection("github:milestone")
    assert collection is not None
    assert collection.listing is not None
    assert collection.listing.count is not None
    context = Context({}, NOW, frozenset({collection.id}), "7/the-mill/wheel")
    total = counted(collection.listing.count(context, EVERYTHING), respond)
    assert (None if total is None else total.records) == told


def counted(steps: Counting, respond: Callable[[Request], Response]) -> Total | None:
    try:
        request = next(steps)
        while True:
            request = steps.send(respond(request))
    except StopIteration as end:
        total: Total | None = end.value
        return total


def by_cursors(key: str) -> bool:
    return RESOURCES[key.partition(":")[2]].cursors
