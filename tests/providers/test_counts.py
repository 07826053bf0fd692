"""What a provider tells of how much there is equals what reading it then takes, request for request."""

from collections.abc import Mapping
from typing import Any

import pytest

from headrace.engine.tally import Tally
from headrace.providers.hubspot import HUBSPOT
from headrace.providers.kit import EVERYTHING, Provider, Record, Total
from headrace.providers.salesforce import SALESFORCE
from headrace.testing.driver import Driver
from headrace.testing.hubspot import HubspotServer
from headrace.testing.reader import Reader
from headrace.testing.salesforce import SalesforceServer


async def told_and_taken(
    provider: Provider, kind: str, properties: Mapping[str, Any], collections: tuple[str, ...]
) -> list[tuple[Total, Total]]:
    """For each collection: what was told, and what it took. Every collection is one whose provider can tell."""
    compared = []
    async with Driver(provider, kind, properties) as driver:
        await driver.discover()
        reader = Reader(driver, collections)
        for key in collections:
            listing = reader.collection(key).listing
            assert listing is not None
            assert listing.count is not None
            told = await driver.run(listing.count(driver.context([key]), EVERYTHING))
            assert told is not None
            tally = Tally()
            pages = await reader.pages(tally.around(listing.page), [key])
            records = sum(isinstance(item, Record) for page in pages for item in page.items)
            compared.append((told, Total(records, tally.take(), told.exact)))
    return compared


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
