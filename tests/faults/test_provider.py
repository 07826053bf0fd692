"""Whatever the provider does wrong, the stream equals it in the end. A `headrace serve` of its own reads a server that
misbehaves, through the first load and while things change; each test shows that the fault struck."""

import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson
import pytest
from processes import COLLECTIONS, complete, differences, equal_in_the_end, eventually, start_sync

from headrace.client import AsyncClient, Sync
from headrace.testing.faults import Fault
from headrace.testing.stripe import StripeServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

RECORDS = {"customers": 250, "products": 130, "invoices": 120, "charges": 210}
"""More than a page of each."""
PAGE = 100


@dataclass(frozen=True)
class Trouble:
    """A fault, and how often at the least it has to strike for the test to prove anything."""

    name: str
    kind: str
    path: str = "*"
    options: dict[str, Any] = field(default_factory=dict)
    asks: bool = False
    """A person has put it right: they ask for a read instead of waiting for the next attempt."""

    @property
    def fault(self) -> Fault:
        return Fault.of(self.kind, path=self.path, **self.options)


ANSWERS = (
    Trouble("429s, one after the other", "rate_limited", options={"times": 6, "skip": 2}),
    Trouble("500s in the midst of pages", "server_error", options={"times": 4, "skip": 4}),
    Trouble("503s at the beginning", "server_error", options={"times": 3, "status": 503}),
    Trouble("connections reset before the answer", "reset", options={"times": 4, "skip": 3}),
    Trouble("connections reset within the answer", "reset", options={"times": 4, "skip": 3, "at": 700}),
    Trouble("answers cut short", "truncated_json", options={"times": 4, "skip": 3}),
    Trouble("answers that are no JSON", "invalid_json", options={"times": 3, "skip": 3}),
    Trouble("HTML error pages with status 200", "html", options={"times": 3, "skip": 3}),
    Trouble("answers that never come", "hang", "/v1/c*", {"times": 2, "skip": 1}),
    Trouble("slow answers", "slow", options={"probability": 0.3, "delay_s": 0.5}),
    Trouble("redirects to a foreign host", "redirect", options={"times": 1, "skip": 5}, asks=True),
    Trouble("permissions that come and go", "forbidden", "/v1/charges*", {"times": 2, "skip": 1}, asks=True),
)
PAGES = (
    Trouble("empty pages with a next one", "empty_page", "/v1/customers", {"times": 2, "skip": 1}, asks=True),
    Trouble("a next page that never ends", "endless_page", "/v1/customers", {"times": 2}, asks=True),
    Trouble("rows that come twice", "duplicates", "/v1/*", {"rows": 7}),
    Trouble("a cursor that expires", "expired_cursor", "/v1/customers", {"times": 2}),
    Trouble("rows that move down while they are read", "insert_while_paging", "/v1/c*", {"times": 6}),
    Trouble("rows that change while they are read", "update_while_paging", "/v1/c*", {"times": 6}),
    Trouble("rows that go while they are read", "delete_while_paging", "/v1/customers", {"times": 3}),
    Trouble("cursors that lose the ties of their second", "lost_ties"),
    Trouble("next pages at a foreign host", "foreign_url", "/v1/*", {"times": 4}),
)
CHANGES = (
    Trouble("events that turn up late", "late_events", options={"delay_s": 2}),
    Trouble("events that come twice", "duplicate_events"),
    Trouble("events out of order", "unordered_events"),
    Trouble("events of an older version of the API", "event_version", options={"version": "2020-08-27"}),
    Trouble("a clock that is five minutes ahead", "clock", options={"offset_s": 300}),
    Trouble("a clock that is five minutes behind", "clock", options={"offset_s": -300}),
)
RECORD = (
    Trouble("a schema that changes", "new_field", "/v1/*", {"probability": 0.5}),
    Trouble("records of 16 MB", "huge", "/v1/products", {"probability": 0.03, "bytes": 16_000_000}),
    Trouble("records of 10 000 fields", "wide", "/v1/customers", {"probability": 0.04, "fields": 10_000}),
    Trouble("deep nesting", "deep", "/v1/customers", {"probability": 0.2, "depth": 200}),
    Trouble("missing times", "no_created", "/v1/charges", {"probability": 0.3}),
    Trouble("odd times", "no_created", "/v1/charges", {"probability": 0.3, "as": "yesterday"}),
    Trouble("ids with any character", "odd_id", "/v1/products"),
    Trouble("more ties than a page", "ties", "/v1/*", {"second": 10**8}),
)
STANDING = frozenset({"clock", "lost_ties", "late_events", "duplicate_events", "unordered_events", "event_version"}) | {
    trouble.kind for trouble in RECORD
}
"""Faults that are no matter of one request: they stand all the while."""
OF_EVENTS = frozenset(trouble.kind for trouble in CHANGES) - {"clock"}
"""They can show only when something has changed."""


@asynccontextmanager
async def account(*faults: Fault) -> AsyncIterator[StripeServer]:
    async with StripeServer(RECORDS, faults=faults) as provider:
        yield provider


async def synced(api: AsyncClient, provider: StripeServer) -> Sync:
    return await start_sync(api, provider.base_url, f"account-{uuid4().hex[:12]}", max_poll_ms=1_000)


def change(provider: StripeServer) -> None:
    """Something of every kind, twice over within a second."""
    held = provider.account
    for turn in range(2):
        for name in list(held.ids("customers"))[:3]:
            held.update("customers", name, {"name": f"Changed {turn}"})
        for name in list(held.ids("charges"))[-2:]:
            held.update("charges", name, {"description": f"Changed {turn}"})
    held.create("customers", {"name": "Born just now"})
    held.delete("customers", list(held.ids("customers"))[7])


async def asked_until(api: AsyncClient, sync: Sync, done: Any) -> None:
    """A person who has put it right asks for a read, until it is done."""

    async def asked() -> bool:
        if await done():
            return True
        await api.syncs.run(sync["id"])
        return False

    await eventually(asked)


def struck(provider: StripeServer, kind: str) -> int:
    """How often the fault was met: by the server's count, or, where it is in the population, by what that holds."""
    held = provider.account
    if kind == "odd_id":
        return sum(not re.fullmatch(r"\w+", name) for name in held.ids("products"))
    if kind == "ties":
        [(_, most)] = Counter(orjson.loads(raw)["created"] for raw in held.objects("customers")).most_common(1)
        return max(0, most - PAGE)
    return provider.faults.struck(kind)


@pytest.mark.parametrize("trouble", [*ANSWERS, *PAGES, *CHANGES, *RECORD], ids=lambda trouble: trouble.name)
async def test_the_stream_equals_the_provider_in_the_end(api: AsyncClient, trouble: Trouble) -> None:
    async with account(trouble.fault) as provider:
        sync = await synced(api, provider)

        async def backfilled() -> bool:
            return (await api.syncs.get(sync["id"]))["initial_backfill_completed_at"] is not None

        if trouble.asks:
            await asked_until(api, sync, backfilled)
        else:
            await complete(api, sync)
        if trouble.kind not in OF_EVENTS:
            assert struck(provider, trouble.kind)
        if trouble.kind not in STANDING:
            provider.faults.clear()
            provider.faults.put(trouble.fault)
        change(provider)

        async def equal() -> bool:
            with contextlib.suppress(Exception):
                await api.syncs.wait(sync["id"], "head", 2_000)
            return await differences(api, sync, provider) == {}

        with contextlib.suppress(TimeoutError):
            await eventually(equal, 90)
        assert await differences(api, sync, provider) == {}
        assert struck(provider, trouble.kind)
        assert {record["collection_id"] async for record in api.records.list(sync_id=sync["id"])} == {*COLLECTIONS}
        await api.syncs.delete(sync["id"])


async def test_a_revoked_key_is_told_and_a_new_one_goes_on(api: AsyncClient) -> None:
    async with account() as provider:
        sync = await synced(api, provider)
        await complete(api, sync)
        key = (await api.credentials.get(sync["credential_id"]))["properties"]
        provider.revoke(f"sk_test_{key['name']}")
        change(provider)

        async def told() -> bool:
            health = (await api.syncs.get(sync["id"]))["health"]
            return health["status"] == "error" and any("Reconnect" in note for note in health["notes"])

        await eventually(told)
        secret = f"sk_test_{uuid4().hex}"
        await api.credentials.update(sync["credential_id"], properties={"secret": secret})
        await equal_in_the_end(api, sync, provider)
        assert (await api.syncs.get(sync["id"]))["health"]["status"] == "healthy"


async def test_a_permission_that_vanished_and_shows_as_empty_deletes_nothing(api: AsyncClient) -> None:
    async with account() as provider:
        sync = await synced(api, provider)
        await complete(api, sync)
        others = [each for each in COLLECTIONS if each != "stripe:customer"]

        async def give_back() -> None:
            """A collection that comes back is read and swept afresh."""
            await api.syncs.update(sync["id"], collection_ids=others)
            await api.syncs.update(sync["id"], collection_ids=list(COLLECTIONS))

        async def status() -> str:
            return str((await api.syncs.get(sync["id"]))["health"]["status"])

        async def held() -> bool:
            return await status() == "error"

        async def released() -> bool:
            return await status() == "healthy"

        with (
            provider.faults.during("hidden", path="/v1/customers*"),
            provider.faults.during("forbidden", path="/v1/customers/*"),
        ):
            await give_back()
            await eventually(held)
            assert await differences(api, sync, provider) == {}
            rows = {row["id"]: row for row in await api.syncs.collections(sync["id"])}
            assert rows["stripe:customer"]["records"] == RECORDS["customers"]
        await give_back()
        await eventually(released)
        await equal_in_the_end(api, sync, provider)


async def test_a_log_that_does_not_reach_back_leads_to_a_fresh_backfill_and_sweep(api: AsyncClient) -> None:
    async with account() as provider:
        sync = await synced(api, provider)
        await complete(api, sync)
        await api.syncs.update(sync["id"], status="disabled")
        change(provider)
        provider.faults.add("short_horizon", horizon_s=0)
        await api.syncs.update(sync["id"], status="active")

        async def begun_anew() -> bool:
            provider.faults.clear()
            return await differences(api, sync, provider) == {}

        await eventually(begun_anew, 90)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("deep", {"probability": 0.04, "depth": 5_000}), ("huge", {"probability": 0.01, "bytes": 17_000_000})],
    ids=["nested too deep", "too large"],
)
async def test_a_record_that_cannot_be_stored_is_set_aside_while_the_rest_goes_on(
    api: AsyncClient, kind: str, options: dict[str, Any]
) -> None:
    """It keeps back neither the rows beside it nor the backfill; a sweep that meets it does not take it for gone."""
    async with account() as provider:

        async def customers() -> dict[str, Any]:
            rows = {row["id"]: row for row in await api.syncs.collections(sync["id"])}
            return rows["stripe:customer"]

        async def read_afresh() -> None:
            """Read and swept to the end."""
            before = (await customers())["last_sweep_completed_at"]
            others = [each for each in COLLECTIONS if each != "stripe:customer"]
            await api.syncs.update(sync["id"], collection_ids=others)
            await api.syncs.update(sync["id"], collection_ids=list(COLLECTIONS))

            async def swept() -> bool:
                row = await customers()
                done = row["last_sweep_completed_at"]
                return row["phase"] == "live" and done is not None and done != before

            await eventually(swept, 90)

        with provider.faults.during(kind, path="/v1/customers", **options):
            sync = await synced(api, provider)
            await complete(api, sync)
            row = await customers()
            assert row["set_aside"] > 0
            assert row["set_aside"] + row["records"] == RECORDS["customers"]
            assert (await api.syncs.get(sync["id"]))["health"]["status"] == "healthy"
        await read_afresh()
        await equal_in_the_end(api, sync, provider)

        met = struck(provider, kind)
        with provider.faults.during(kind, path="/v1/customers", **options):
            await read_afresh()
            assert struck(provider, kind) > met
            assert (await customers())["records"] == RECORDS["customers"]
        await api.syncs.delete(sync["id"])
