"""What the tests of whole processes share: a sync of a provider server, and the comparison with it."""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import orjson

from headrace.client import AsyncClient, Sync
from headrace.testing.stripe import Difference, StripeServer, difference

COLLECTIONS: Mapping[str, str] = {
    "stripe:customer": "customers",
    "stripe:charge": "charges",
    "stripe:product": "products",
    "stripe:invoice": "invoices",
}
"""Our ids, and the provider server's names for the same."""


def dice() -> random.Random:
    """Other moments in every run; a failure shows the seed with which HEADRACE_TEST_SEED chooses the same again."""
    seed = os.environ.get("HEADRACE_TEST_SEED") or str(random.SystemRandom().randrange(2**32))
    print(f"HEADRACE_TEST_SEED={seed}")
    return random.Random(seed)


async def start_sync(api: AsyncClient, provider_url: str, name: str = "account", **fields: Any) -> Sync:
    """A sync of the collections into a stream of its own, with no rate limit to speak of, unless `fields` say so."""
    stream = await api.streams.create(slug=name)
    properties = {"kind": "stripe_key", "name": name, "secret": f"sk_test_{name}", "test": True}
    return await api.syncs.create(
        name=name,
        provider="stripe",
        stream_id=stream["id"],
        credential={"properties": {**properties, "base_url": provider_url}},
        **({"collection_ids": list(COLLECTIONS), "rate_limit": {"allowed_requests": 100_000, "interval": 1}} | fields),
    )


async def eventually(holds: Callable[[], Awaitable[bool]], timeout_s: float = 180.0) -> None:
    """Wait until the condition holds. TimeoutError when it does not in time."""
    async with asyncio.timeout(timeout_s):
        while not await holds():
            await asyncio.sleep(0.05)


async def complete(api: AsyncClient, sync: Sync, timeout_s: float = 180.0) -> None:
    """Wait until the initial backfill is complete."""

    async def is_complete() -> bool:
        return (await api.syncs.get(sync["id"]))["initial_backfill_completed_at"] is not None

    await eventually(is_complete, timeout_s)


async def differences(api: AsyncClient, sync: Sync, provider: StripeServer) -> dict[str, Difference]:
    """What the stream lacks, has too much or holds otherwise than the provider; empty when they are equal."""
    held: dict[str, dict[str, bytes]] = {collection: {} for collection in COLLECTIONS}
    async for record in api.records.list(sync_id=sync["id"], limit=1000):
        if not record["deleted"]:
            held[record["collection_id"]][record["upstream_id"]] = orjson.dumps(record["data"])
    found = {
        collection: difference(provider.account, name, held[collection].items())
        for collection, name in COLLECTIONS.items()
    }
    return {collection: each for collection, each in found.items() if each}


async def equal_in_the_end(api: AsyncClient, sync: Sync, provider: StripeServer) -> None:
    """Wait until the stream equals the provider, which changes no more."""
    await api.syncs.wait(sync["id"], "head", 60_000)

    async def equal() -> bool:
        return await differences(api, sync, provider) == {}

    with contextlib.suppress(TimeoutError):
        await eventually(equal, 60)
    assert await differences(api, sync, provider) == {}


async def drained(api: AsyncClient, consumer_id: str) -> None:
    """Wait until nothing is left for the consumer, by its own count."""

    async def empty() -> bool:
        state = await api.consumers.get(consumer_id)
        return state["num_pending"] == state["num_ack_pending"] == 0

    await eventually(empty, 200)


@asynccontextmanager
async def empty_database(server_url: str) -> AsyncIterator[str]:
    """The URL of a new database without any tables, on the server of `server_url`."""
    name = f"e_{uuid4().hex}"
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    admin = urlunsplit(urlsplit(server_url)._replace(path="/postgres"))
    await _execute(admin, f'create database "{name}"')
    yield url
    await _execute(admin, f'drop database "{name}" with (force)')


async def _execute(url: str, statement: str) -> None:
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(statement)
    finally:
        await conn.close()


@asynccontextmanager
async def copy_of_database(url: str) -> AsyncIterator[str]:
    """The URL of a copy of the database as it is now; nobody may be connected to it meanwhile."""
    name, original = f"c_{uuid4().hex}", urlsplit(url).path.removeprefix("/")
    admin = urlunsplit(urlsplit(url)._replace(path="/postgres"))
    await _execute(admin, f'create database "{name}" template "{original}"')
    yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    await _execute(admin, f'drop database "{name}" with (force)')
