"""kill -9 at random moments: at the end the stream equals the provider, object for object, and a consumer that acked
all along missed nothing and was given nothing twice without cause."""

import asyncio
import contextlib
import random
from pathlib import Path

import asyncpg
import pytest
from acking import PATIENT, Reader
from processes import complete, dice, differences, drained, equal_in_the_end, eventually, start_sync

from headrace.client import AsyncClient
from headrace.testing.processes import ServeProcess
from headrace.testing.stripe import StripeServer


async def _killed_and_restarted(
    server: ServeProcess, data_dir: Path, chance: random.Random, kills: int
) -> ServeProcess:
    """Kill the server so often, at moments that chance chooses, starting it anew each time on the same port."""
    port = int(server.url.rsplit(":", 1)[1])
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(0.05, 1.5))
        await server.kill()
        server = ServeProcess(data_dir=data_dir, port=port, settings=_SETTINGS)
        await server.start()
        await server.ready()
    return server


_SETTINGS = {"limits_override": "none"}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("records", "kills"), [(20_000, 4), pytest.param(200_000, 8, marks=pytest.mark.slow)])
async def test_a_backfill_survives_kills_at_random_moments(tmp_path: Path, records: int, kills: int) -> None:
    chance = dice()
    data_dir = tmp_path / "data"
    server = ServeProcess(data_dir=data_dir, settings=_SETTINGS)
    async with contextlib.AsyncExitStack() as stack:
        provider = await stack.enter_async_context(StripeServer(records, changes_per_s=20))
        await server.start()
        try:
            await server.ready()
            api = await stack.enter_async_context(AsyncClient(server.url, server.token, retries=PATIENT))
            sync = await start_sync(api, provider.base_url)
            consumer = await api.consumers.create(stream_id=sync["stream_id"], name="all", ack_wait_ms=5_000)
            reader = Reader(api, consumer["id"])
            reading = asyncio.create_task(reader.run())
            server = await _killed_and_restarted(server, data_dir, chance, kills)
            await complete(api, sync, 600)
            provider.mutator.changes_per_s = 0
            await equal_in_the_end(api, sync, provider)
            await drained(api, consumer["id"])
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            assert reader.broken == []
            assert await reader.missed(sync["id"]) == set()
        finally:
            await server.kill()


async def test_two_processes_share_the_syncs_and_one_takes_over_from_the_other_when_it_is_killed(dsn: str) -> None:
    async with (
        StripeServer(500) as provider,
        ServeProcess(database_url=dsn, settings=_SETTINGS) as first,
        ServeProcess(database_url=dsn, settings=_SETTINGS) as second,
    ):
        await asyncio.gather(first.ready(), second.ready())
        async with AsyncClient(second.url, second.token) as api:
            syncs = [await start_sync(api, provider.base_url, f"account-{number}") for number in range(6)]
            for sync in syncs:
                await complete(api, sync)
            await eventually(lambda: _owners(dsn, 2))
            await first.kill()
            added = provider.account.create("customers", {"name": "Born after the kill"})
            await eventually(lambda: _owners(dsn, 1))
            for sync in syncs:
                await api.syncs.wait(sync["id"], "head", 300_000)
                assert await differences(api, sync, provider) == {}
                found = [r async for r in api.records.list(sync_id=sync["id"], upstream_id=added["id"])]
                assert [record["data"]["name"] for record in found] == ["Born after the kill"]


_ALIVE = "select count(*) from workers where heartbeat_at > clock_timestamp() - interval '4 s'"


async def _owners(dsn: str, number: int) -> bool:
    """Whether all syncs are held, by so many workers that are alive."""
    conn = await asyncpg.connect(dsn)
    try:
        owners = [row["owner"] for row in await conn.fetch("select owner from sync_epochs")]
        alive = await conn.fetchval(_ALIVE)
    finally:
        await conn.close()
    return None not in owners and len(set(owners)) == number == alive
