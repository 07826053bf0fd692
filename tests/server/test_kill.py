"""kill -9 at random moments: at the end the stream equals the provider, object for object, and a consumer that acked
all along missed nothing and was given nothing twice without cause."""

import asyncio
import contextlib
import random
from pathlib import Path

import asyncpg
import pytest
from processes import complete, differences, eventually, start_sync

from headrace.client import AsyncClient, Record, RetryPolicy, Sync
from headrace.testing.processes import ServeProcess
from headrace.testing.stripe import StripeServer

PATIENT = RetryPolicy(attempts=1000, first_s=0.1, most_s=0.5)


class Reader:
    """A consumer's worker that acks everything, and notes whatever breaks a promise."""

    def __init__(self, api: AsyncClient, consumer_id: str) -> None:
        self._api = api
        self._consumer_id = consumer_id
        self._acked: dict[str, Record] = {}
        self.seen: dict[str, int] = {}
        self.broken: list[str] = []

    async def run(self) -> None:
        while True:
            batch = await self._api.consumers.next(self._consumer_id, 500, 0)
            if not batch["data"]:
                batch = await self._api.consumers.next(self._consumer_id, 1, 2_000)
            for delivery in batch["data"]:
                self._note(delivery["record"])
            if batch["data"]:
                await self._api.consumers.ack(self._consumer_id, [each["ack_token"] for each in batch["data"]])
            for delivery in batch["data"]:
                self._acked[delivery["record"]["id"]] = delivery["record"]

    def _note(self, record: Record) -> None:
        name, idx = record["id"], record["updated_idx"]
        if idx < self.seen.get(name, 0):
            self.broken.append(f"{name}: {idx} after {self.seen[name]}")
        acked = self._acked.get(name)
        if acked is not None and acked["data"] == record["data"] and acked["deleted"] == record["deleted"]:
            self.broken.append(f"{name}: {idx}, the same as {acked['updated_idx']}, whose ack was answered")
        self.seen[name] = idx


async def _killed_and_restarted(server: ServeProcess, data_dir: Path, dice: random.Random, kills: int) -> ServeProcess:
    """Kill the server so often, at moments that the dice choose, starting it anew each time on the same port."""
    port = int(server.url.rsplit(":", 1)[1])
    for _ in range(kills):
        await asyncio.sleep(dice.uniform(0.05, 1.5))
        await server.kill()
        server = ServeProcess(data_dir=data_dir, port=port, settings=_SETTINGS)
        await server.start()
        await server.ready()
    return server


_SETTINGS = {"limits_override": "none"}


@pytest.mark.parametrize(
    ("records", "kills", "seed"),
    [(20_000, 4, 1), pytest.param(200_000, 8, 2, marks=[pytest.mark.slow, pytest.mark.timeout(400)])],
)
async def test_a_backfill_survives_kills_at_random_moments(tmp_path: Path, records: int, kills: int, seed: int) -> None:
    dice = random.Random(seed)
    data_dir = tmp_path / "data"
    server = ServeProcess(data_dir=data_dir, settings=_SETTINGS)
    async with contextlib.AsyncExitStack() as stack:
        provider = await stack.enter_async_context(StripeServer(records, seed=seed, changes_per_s=20))
        await server.start()
        try:
            await server.ready()
            api = await stack.enter_async_context(AsyncClient(server.url, server.token, retries=PATIENT))
            sync = await start_sync(api, provider.base_url)
            consumer = await api.consumers.create(stream_id=sync["stream_id"], name="all", ack_wait_ms=5_000)
            reader = Reader(api, consumer["id"])
            reading = asyncio.create_task(reader.run())
            server = await _killed_and_restarted(server, data_dir, dice, kills)
            await complete(api, sync, 300)
            provider.mutator.changes_per_s = 0
            await _settled(api, sync, provider)
            await _drained(api, consumer["id"])
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            assert reader.broken == []
            held = {r["id"]: r["updated_idx"] async for r in api.records.list(sync_id=sync["id"], limit=1000)}
            assert {name for name, idx in held.items() if reader.seen.get(name) != idx} == set()
        finally:
            await server.kill()


async def _settled(api: AsyncClient, sync: Sync, provider: StripeServer) -> None:
    await api.syncs.wait(sync["id"], "head", 60_000)

    async def equal() -> bool:
        return await differences(api, sync, provider) == {}

    with contextlib.suppress(TimeoutError):
        await eventually(equal, 60)
    assert await differences(api, sync, provider) == {}


async def _drained(api: AsyncClient, consumer_id: str) -> None:
    """Wait until nothing is left for the consumer, by its own count."""

    async def empty() -> bool:
        state = await api.consumers.get(consumer_id)
        return state["num_pending"] == state["num_ack_pending"] == 0

    await eventually(empty, 200)


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
                await api.syncs.wait(sync["id"], "head", 60_000)
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
