"""PATCH over HTTP while a process reads: what it asks of the provider changes, as the provider's own log tells.

`max_poll_ms` shows only after ten minutes without a change, and has its test where the clock is set by hand
(tests/engine/test_patch.py)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import time
from typing import Any

import pytest
from processes import complete, eventually, start_sync

from headrace.client import AsyncClient, Sync
from headrace.testing.processes import ServeProcess
from headrace.testing.requestlog import Entry
from headrace.testing.stripe import StripeServer

DAY = 86_400


@dataclass
class Reading:
    """A sync that a process reads."""

    api: AsyncClient
    sync: Sync
    provider: StripeServer

    async def patch(self, **fields: Any) -> float:
        """When it was answered."""
        self.sync = await self.api.syncs.update(self.sync["id"], **fields)
        return time()

    def asked(self, path: str, since: float = 0.0) -> list[Entry]:
        return self.provider.log.find(path, since=since)

    async def change(self, collection: str, name: str) -> None:
        """Change an object at the provider, and wait until the stream has it."""
        object_id = next(iter(self.provider.account.ids(collection)))
        self.provider.account.update(collection, object_id, {"metadata": {"to": name}})

        async def arrived() -> bool:
            found = self.api.records.list(sync_id=self.sync["id"], upstream_id=object_id)
            return [each["data"]["metadata"].get("to") async for each in found] == [name]

        await eventually(arrived)


@asynccontextmanager
async def reading(dsn: str, records: int = 300, **fields: Any) -> AsyncIterator[Reading]:
    async with StripeServer(records) as provider, ServeProcess(database_url=dsn) as server:
        await server.ready()
        async with AsyncClient(server.url, server.token) as api:
            yield Reading(api, await start_sync(api, provider.base_url, **fields), provider)


async def test_collections_are_listed_from_then_on_and_no_longer(dsn: str) -> None:
    async with reading(dsn, collection_ids=["stripe:customer", "stripe:charge"]) as held:
        await complete(held.api, held.sync)
        assert not held.asked("/v1/products*")
        since = await held.patch(collection_ids=["stripe:customer", "stripe:product"])

        async def products_are_read() -> bool:
            rows = {each["id"]: each for each in await held.api.syncs.collections(held.sync["id"])}
            return rows["stripe:product"]["records"] == held.provider.account.count("products")

        await eventually(products_are_read)
        assert held.asked("/v1/products", since - 60)
        held.provider.account.update("charges", next(iter(held.provider.account.ids("charges"))), {"description": "x"})
        await held.change("customers", "later")
        assert not held.asked("/v1/charges*", since)
        assert not held.asked("/v1/customers", since)


async def test_name_metadata_and_external_id_have_nothing_read_again(dsn: str) -> None:
    async with reading(dsn, collection_ids=["stripe:customer"]) as held:
        await complete(held.api, held.sync)
        since = await held.patch(name="Renamed", metadata={"a": 1}, external_id="org_42")
        await held.change("customers", "later")
        assert not held.asked("/v1/customers", since)


async def test_a_higher_rate_limit_lets_the_backfill_go_on_at_once(dsn: str) -> None:
    slow = {"allowed_requests": 1, "interval": 600}
    async with reading(dsn, 4_000, collection_ids=["stripe:customer"], rate_limit=slow) as held:
        pages = held.provider.account.count("customers") // 100
        await eventually(lambda: _any(held.asked("*")))
        await held.patch(rate_limit={"allowed_requests": 10_000, "interval": 1})
        await complete(held.api, held.sync, 120)  # each page would have waited ten minutes
        assert len(held.asked("/v1/customers")) >= pages > 1


async def _any(entries: list[Entry]) -> bool:
    return bool(entries)


async def test_a_raised_age_limit_asks_for_the_missing_span(dsn: str) -> None:
    async with reading(dsn, 1_000, collection_ids=["stripe:charge"], max_age_days=200) as held:
        await complete(held.api, held.sync)
        assert all("created%5Bgte%5D" in e.query or "created[gte]" in e.query for e in held.asked("/v1/charges"))
        young = await _held(held)
        before = len(held.asked("/v1/charges"))
        await held.patch(max_age_days=400)

        async def more() -> bool:
            return await _held(held) > young and len(held.asked("/v1/charges")) > before

        await eventually(more)
        missing = held.asked("/v1/charges")[before:]
        assert all("created%5Blt%5D" in e.query or "created[lt]" in e.query for e in missing)
        asked = len(held.asked("/v1/charges"))
        await held.patch(max_age_days=200)

        async def left() -> bool:
            return await _held(held) == young

        await eventually(left)
        assert len(held.asked("/v1/charges")) == asked


async def _held(held: Reading) -> int:
    (row,) = await held.api.syncs.collections(held.sync["id"])
    return int(row["records"])


@pytest.mark.parametrize(
    ("quiet", "lively"),
    [
        ({"status": "disabled"}, {"status": "active"}),
        ({"sync_frequency": "4h"}, {"sync_frequency": "continuous"}),
    ],
    ids=["status", "sync_frequency"],
)
async def test_it_asks_for_nothing_and_then_for_changes_again(
    dsn: str, quiet: dict[str, Any], lively: dict[str, Any]
) -> None:
    """That nothing is asked for is told by the pace of another sync, which is read by the same process."""
    async with reading(dsn, 100, collection_ids=["stripe:customer"]) as held, StripeServer(50, seed=2) as other:
        other.mutator.changes_per_s = 5
        await start_sync(held.api, other.base_url, "other")
        await complete(held.api, held.sync)
        await held.patch(**quiet)

        async def rests() -> bool:
            last = other.log.find("/v1/events")[-4:]
            return len(last) == 4 and not held.asked("*", last[0].moment)

        await eventually(rests)
        await held.patch(**lively)
        await held.change("customers", "afterwards")
