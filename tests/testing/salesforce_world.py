"""A Salesforce org on loopback and a driver that reads it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from headrace.providers.kit import Provider
from headrace.providers.salesforce import SALESFORCE
from headrace.testing.driver import Driver
from headrace.testing.salesforce import SalesforceServer, Truth


def properties(server: SalesforceServer) -> dict[str, Any]:
    """A credential of the org, with a session that was issued for it."""
    return {
        "instance_url": "https://acme.my.salesforce.com",
        "refresh_token": "5AepHeadrace",
        "access_token": server.session(),
        "base_url": server.base_url,
    }


@asynccontextmanager
async def world(
    records: int | dict[str, int] = 900, *, provider: Provider = SALESFORCE, **options: Any
) -> AsyncIterator[tuple[SalesforceServer, Driver, Truth, list[str]]]:
    """The server, a driver that knows the org's objects, what the org holds, and the ids of its collections."""
    async with (
        SalesforceServer(records, **options) as server,
        Driver(provider, "salesforce_oauth2", properties(server)) as driver,
    ):
        found = await driver.discover()
        yield server, driver, Truth(server.org), sorted(found)
