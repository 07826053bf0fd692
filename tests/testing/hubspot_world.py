"""A HubSpot portal on loopback and a driver that reads it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from headrace.providers.hubspot import HUBSPOT
from headrace.providers.hubspot.portal import STANDARD
from headrace.testing.driver import Driver
from headrace.testing.hubspot import HubspotServer, Truth

_APART = {"hubspot:property", *(each.collection for each in STANDARD)}
LISTED = sorted({each.id for each in HUBSPOT.collections} - _APART)
"""What every portal has, whatever types of objects its credential may see."""


@asynccontextmanager
async def world(
    records: int | dict[str, int] = 260, **options: Any
) -> AsyncIterator[tuple[HubspotServer, Driver, Truth, list[str]]]:
    """The server, a driver that knows the portal's types, what the portal holds, and the ids of its collections."""
    async with HubspotServer(records, **options) as server:
        properties = {"token": "pat-na1-headrace", "base_url": server.base_url}
        async with Driver(HUBSPOT, "hubspot_private_app", properties) as driver:
            found = await driver.discover()
            yield server, driver, Truth(server.portal), sorted([*found, *LISTED])
