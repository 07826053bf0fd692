"""What the tests of connectors through `headrace serve` share: a sync, and the comparison with the provider."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson

from headrace.client import AsyncClient, Sync
from headrace.client.calls import Call
from headrace.providers.kit import Provider
from headrace.testing.copies import Truth, canonical
from headrace.testing.processes import ServeProcess


@asynccontextmanager
async def serving(dsn: str, *, limited: bool = False) -> AsyncIterator[AsyncClient]:
    """`headrace serve` as a process on this database, without the provider's limits unless `limited`; its client."""
    settings = {} if limited else {"limits_override": "none"}
    async with ServeProcess(database_url=dsn, settings=settings) as server:
        await server.ready()
        async with AsyncClient(server.url, server.token) as api:
            yield api


async def oauth_app(api: AsyncClient, provider: str) -> str:
    """The id of an OAuth app at the provider, through which its tokens are refreshed."""
    body = {"provider": provider, "name": "tests", "client_id": "client", "client_secret": "secret"}
    made: dict[str, Any] = await api.send(Call("POST", "/v1/oauth-apps", body=body))
    return str(made["id"])


async def connect(
    api: AsyncClient, provider: str, properties: Mapping[str, Any], oauth_app_id: str | None = None
) -> str:
    """The id of a credential whose account was searched for its collections."""
    body = {"provider": provider, "properties": dict(properties)}
    if oauth_app_id is not None:
        body["oauth_app_id"] = oauth_app_id
    made: dict[str, Any] = await api.send(Call("POST", "/v1/credentials", body=body))
    await api.collections.refresh(made["id"])

    async def searched() -> bool:
        return bool((await api.collections.refresh_status(made["id"]))["status"] == "succeeded")

    await eventually(searched)
    return str(made["id"])


async def start_sync(
    api: AsyncClient,
    provider: str,
    properties: Mapping[str, Any],
    collections: Iterable[str],
    oauth_app_id: str | None = None,
    **fields: Any,
) -> Sync:
    stream = await api.streams.create(slug=provider)
    return await api.syncs.create(
        name=provider,
        provider=provider,
        stream_id=stream["id"],
        collection_ids=list(collections),
        credential={"properties": dict(properties)} | ({"oauth_app_id": oauth_app_id} if oauth_app_id else {}),
        **({"rate_limit": {"allowed_requests": 100_000, "interval": 1}, "max_poll_ms": 1_000} | fields),
    )


async def eventually(holds: Callable[[], Awaitable[object]], timeout_s: float = 160.0) -> None:
    """Wait until the condition holds. TimeoutError with what it last gave when it does not in time."""
    last: object = None
    try:
        async with asyncio.timeout(timeout_s):
            while not (last := await holds()):
                await asyncio.sleep(0.5)
    except TimeoutError:
        raise TimeoutError(f"it does not hold; last seen: {last!r}") from None


async def complete(api: AsyncClient, sync: Sync) -> None:
    """Wait until the initial backfill is complete."""

    async def is_complete() -> object:
        return (await api.syncs.get(sync["id"]))["initial_backfill_completed_at"]

    await eventually(is_complete)


async def differences(api: AsyncClient, sync: Sync, provider: Provider, truth: Truth) -> list[str]:
    """What the stream lacks, has too much, or holds otherwise than the provider, of the sync's `collection_ids` as they
    are given; empty when they are equal."""
    held: dict[str, dict[str, bytes]] = {collection: {} for collection in sync["collection_ids"]}
    async for record in api.records.list(sync_id=sync["id"], limit=1000):
        if not record["deleted"] and record["collection_id"] in held:
            held[record["collection_id"]][record["upstream_id"]] = orjson.dumps(record["data"])
    found: list[str] = []
    for collection_id, mine in held.items():
        collection = provider.collection(collection_id)
        assert collection is not None
        for key, raw in truth(collection_id):
            ours = mine.pop(key, None)
            if ours is None:
                found.append(f"missing {collection_id} {key}")
            elif canonical(ours, collection.canon) != canonical(raw, collection.canon):
                found.append(f"different {collection_id} {key}")
        found += (f"phantom {collection_id} {key}" for key in mine)
    return found


async def equal(api: AsyncClient, sync: Sync, provider: Provider, truth: Truth) -> None:
    """Wait until the stream holds what the provider holds."""
    last: list[str] = []

    async def same() -> bool:
        nonlocal last
        last = await differences(api, sync, provider, truth)
        return not last

    try:
        await eventually(same)
    except TimeoutError:
        raise AssertionError(f"{len(last)} differences: {last[:5]}") from None
