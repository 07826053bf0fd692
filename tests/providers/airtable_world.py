"""Airtable's bases on loopback and a driver that reads them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from headrace.providers.airtable import AIRTABLE
from headrace.testing.airtable import AirtableServer, Truth
from headrace.testing.airtable.world import ENTERPRISE, Base, Table
from headrace.testing.driver import Driver


@asynccontextmanager
async def world(
    records: int | Mapping[str, int] = 300, **options: Any
) -> AsyncIterator[tuple[AirtableServer, Driver, Truth, list[str]]]:
    """The server, a driver that knows the account's tables, what they hold, and the ids of all collections."""
    async with AirtableServer(records, **options) as server:
        properties = {"token": "patHeadrace", "base_url": server.base_url, "enterprise_account_id": ENTERPRISE}
        async with Driver(AIRTABLE, "airtable_token", properties) as driver:
            found = await driver.discover()
            fixed = [collection.id for collection in AIRTABLE.collections]
            yield server, driver, Truth(server.world), sorted([*found, *fixed])


def place(server: AirtableServer, base: str = "Mill", table: str = "Orders") -> tuple[Base, Table, str]:
    """A base and a table by name, and the id that the driver gives the table's collection."""
    found = next(each for each in server.world.bases.values() if each.name == base)
    within = found.table(table)
    assert within is not None
    return found, within, f"airtable:{found.id}.{within.id}"
