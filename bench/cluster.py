"""What the benchmarks of several processes stand on: a PostgreSQL of their own, a provider server, one process that
answers the API, and any number of workers."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from bench.stand import UNLIMITED, busy_s
from headrace.client import AsyncClient, Sync
from headrace.db.launcher import EmbeddedPostgres
from headrace.testing.processes import FakeProcess, ServeProcess

_SETTINGS = {"limits_override": "none"}


class Cluster:
    """`workers` are those that run; `api` speaks to the process that answers."""

    def __init__(self, dsn: str, postgres: EmbeddedPostgres, provider: FakeProcess, api: AsyncClient) -> None:
        self.dsn = dsn
        self.provider = provider
        self.api = api
        self.workers: list[ServeProcess] = []
        self._postgres = postgres

    async def start(self, count: int) -> None:
        """So many more workers, ready."""
        begun = [ServeProcess(database_url=self.dsn, role="worker", settings=_SETTINGS) for _ in range(count)]
        self.workers += begun
        await asyncio.gather(*(worker.start() for worker in begun))
        await asyncio.gather(*(worker.ready() for worker in begun))

    async def syncs(self, count: int, collections: list[str], **fields: Any) -> list[Sync]:
        """So many syncs of one credential, each into one of eight streams, made eight at a time."""
        streams = [(await self.api.streams.create(slug=f"bench-{number}"))["id"] for number in range(8)]
        properties = {"kind": "stripe_key", "name": "bench", "secret": "sk_test_bench", "test": True}
        credential = await self.api.credentials.create(properties={**properties, "base_url": self.provider.url})
        made: list[Sync] = []

        async def some(place: int) -> None:
            for number in range(place, count, 8):
                sync = await self.api.syncs.create(
                    name=f"bench {number}",
                    provider="stripe",
                    stream_id=streams[place],
                    collection_ids=collections,
                    credential_id=credential["id"],
                    rate_limit=UNLIMITED,
                    **fields,
                )
                made.append(sync)

        await asyncio.gather(*(some(place) for place in range(8)))
        return made

    async def value(self, query: str, *arguments: Any) -> Any:
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    async def execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def busy_s(self) -> dict[str, float]:
        """Seconds of processor time so far: the workers', PostgreSQL's, the provider server's."""
        assert self._postgres.pid is not None
        return {
            "workers": busy_s(worker.pid for worker in self.workers if worker.returncode is None),
            "PostgreSQL": busy_s([self._postgres.pid]),
            "the provider": busy_s([self.provider.pid]),
        }

    def resident(self) -> int:
        """Bytes that the largest worker has resident."""
        return max(psutil.Process(worker.pid).memory_info().rss for worker in self.workers)


async def until(holds: Callable[[], Awaitable[bool]], every_s: float = 0.2) -> float:
    """Wait until it holds; the seconds that it took."""
    began = time.monotonic()
    while not await holds():
        await asyncio.sleep(every_s)
    return time.monotonic() - began


@asynccontextmanager
async def cluster(records: str) -> AsyncIterator[Cluster]:
    """A cluster without workers yet, for the time of the block. `records` are the account's, as `headrace fake` takes
    them."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder), options={"max_connections": "300"})
        dsn = await postgres.start()
        made: Cluster | None = None
        try:
            async with (
                FakeProcess("stripe", records=records, limits="none") as provider,
                ServeProcess(database_url=dsn, role="api", settings=_SETTINGS) as front,
            ):
                await asyncio.gather(provider.ready(), front.ready())
                async with AsyncClient(front.url, front.token, timeout=120) as api:
                    made = Cluster(dsn, postgres, provider, api)
                    try:
                        yield made
                    finally:
                        await asyncio.gather(*(worker.kill() for worker in made.workers))
        finally:
            await postgres.stop()
