"""Several processes on one database: restarted in turn, frozen and woken, while syncs run and a consumer acks."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest
from acking import PATIENT, Reader
from processes import complete, drained, equal_in_the_end, eventually, start_sync

from headrace.client import AsyncClient, Sync
from headrace.testing.processes import ServeProcess
from headrace.testing.stripe import StripeServer

SETTINGS = {"limits_override": "none", "lease_ttl_s": "4"}


@asynccontextmanager
async def serving(dsn: str, count: int) -> AsyncIterator[list[ServeProcess]]:
    """So many processes; what stands in the list at the end is killed."""
    servers = [ServeProcess(database_url=dsn, settings=SETTINGS) for _ in range(count)]
    try:
        await asyncio.gather(*(server.start() for server in servers))
        await asyncio.gather(*(server.ready() for server in servers))
        yield servers
    finally:
        await asyncio.gather(*(server.kill() for server in servers))


@asynccontextmanager
async def under_load(
    servers: list[ServeProcess], syncs_count: int
) -> AsyncIterator[tuple[AsyncClient, StripeServer, list[Sync], list[Reader]]]:
    """Syncs of a provider that keeps changing, each with a consumer that acks all along. At the end the streams equal
    the provider, every consumer was given everything, and nothing twice without cause."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(StripeServer(400, changes_per_s=10))
        api = await stack.enter_async_context(AsyncClient(servers[0].url, servers[0].token, retries=PATIENT))
        syncs = [await start_sync(api, provider.base_url, f"account-{number}") for number in range(syncs_count)]
        consumers = [
            await api.consumers.create(stream_id=sync["stream_id"], name="all", ack_wait_ms=5_000) for sync in syncs
        ]
        readers = [Reader(api, consumer["id"]) for consumer in consumers]
        reading = [asyncio.create_task(reader.run()) for reader in readers]
        for sync in syncs:
            await complete(api, sync)
        yield api, provider, syncs, readers
        provider.mutator.changes_per_s = 0
        for sync, consumer, reader in zip(syncs, consumers, readers, strict=True):
            await equal_in_the_end(api, sync, provider)
            await drained(api, consumer["id"])
            assert reader.broken == []
            assert await reader.missed(sync["id"]) == set()
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def owners(dsn: str) -> list[str | None]:
    connection = await asyncpg.connect(dsn)
    try:
        return [row["owner"] and str(row["owner"]) for row in await connection.fetch("select owner from sync_epochs")]
    finally:
        await connection.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_rolling_restart_loses_and_doubles_nothing(dsn: str) -> None:
    async with serving(dsn, 3) as servers, under_load(servers, 4) as (_, provider, _, readers):
        for place, server in enumerate(list(servers)):
            before = sum(len(reader.seen) for reader in readers)
            assert await server.stop() == 0
            assert not [line for line in server.lines if "not_stopped_in_order" in line or "Traceback" in line]
            port = int(server.url.rsplit(":", 1)[1])
            servers[place] = ServeProcess(database_url=dsn, settings=SETTINGS, port=port)
            await servers[place].start()
            await servers[place].ready()
            for _ in range(5):
                provider.account.create("customers", {"name": "Born in a restart"})
            # The next goes when this one has work again, as an orchestrator that waits for readiness does.
            await eventually(lambda before=before: _more(readers, before))  # type: ignore[misc]


async def _more(readers: list[Reader], before: int) -> bool:
    return sum(len(reader.seen) for reader in readers) > before


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_process_that_is_frozen_past_its_lease_and_woken_does_no_harm(dsn: str) -> None:
    async with serving(dsn, 2) as servers, under_load(servers, 4):
        frozen = servers[1]

        async def shared(among: int) -> bool:
            found = await owners(dsn)
            return None not in found and len(set(found)) == among

        await eventually(lambda: shared(2))
        frozen.signal(signal.SIGSTOP)
        try:
            await eventually(lambda: shared(1))
        finally:
            frozen.signal(signal.SIGCONT)
        await eventually(lambda: shared(2))
