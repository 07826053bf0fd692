"""What the benchmarks of the whole stand on: a provider server and `headrace serve`, each a process of its own, with
the provider's limits overridden; and the comparison of the copy with the provider, object for object."""

import argparse
import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import orjson
import psutil

from bench.report import check, figure
from headrace.client import AsyncClient, Sync
from headrace.testing.processes import FakeProcess, ServeProcess
from headrace.testing.stripe import fingerprint

UNLIMITED = {"allowed_requests": 1_000_000, "interval": 1, "max_concurrent_requests": 0}


def options(doc: str | None, records: int) -> argparse.Namespace:
    """`--quick` takes a tenth of the records."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--records", type=int, default=records)
    parsed = parser.parse_args()
    if parsed.quick:
        parsed.records //= 10
    return parsed


@dataclass(slots=True)
class Spent:
    """What a block took: seconds by the clock, and of processor time in each process."""

    seconds: float = 0.0
    serve: float = 0.0
    database: float = 0.0
    provider: float = 0.0

    def report(self, records: int) -> None:
        """Processor time a record, process by process: on a machine with other work a truer figure than the rate."""
        for name in ("serve", "database", "provider"):
            figure(f"  processor time of {name}", getattr(self, name) / records * 1e6, "us a record")


class Stand:
    """A provider, a server on an embedded database, a client."""

    def __init__(
        self,
        provider_url: str,
        server: ServeProcess,
        api: AsyncClient,
        data_dir: Path,
        provider_pid: int | None = None,
    ) -> None:
        self.provider_url = provider_url
        self.server = server
        self.api = api
        self.data_dir = data_dir
        self._provider_pid = provider_pid

    @contextmanager
    def spent(self) -> Iterator[Spent]:
        """What the block takes; filled in at its end."""
        spent = Spent()
        before, began = self._busy(), time.perf_counter()
        yield spent
        spent.seconds = time.perf_counter() - began
        spent.serve, spent.database, spent.provider = (
            after - earlier for after, earlier in zip(self._busy(), before, strict=True)
        )

    def _busy(self) -> tuple[float, float, float]:
        own = psutil.Process(self.server.pid).cpu_times()
        serve = own.user + own.system
        provider = 0.0 if self._provider_pid is None else busy_s([self._provider_pid])
        return serve, busy_s([self.server.pid]) - serve, provider

    async def sync(self, collections: Mapping[str, str], **fields: Any) -> Sync:
        """A sync of these collections into a stream of its own, as fast as it can."""
        name = fields.pop("name", "bench")
        stream = await self.api.streams.create(slug=name)
        properties = {"kind": "stripe_key", "name": name, "secret": f"sk_test_{name}", "test": True}
        return await self.api.syncs.create(
            name=name,
            provider="stripe",
            stream_id=stream["id"],
            collection_ids=list(collections),
            credential={"properties": {**properties, "base_url": self.provider_url}},
            rate_limit=UNLIMITED,
            **fields,
        )

    async def complete(self, sync: Sync) -> None:
        """Wait until the initial backfill is complete."""
        while (await self.api.syncs.get(sync["id"]))["initial_backfill_completed_at"] is None:
            await asyncio.sleep(0.2)

    async def read_again(self, sync: Sync, held: int) -> Spent:
        """Ask for a backfill of every collection; what it took until all of the `held` records were found unchanged."""
        before, compared = await self._backfilled(sync), await self._compared()
        with self.spent() as spent:
            await self.api.syncs.backfill(sync["id"])
            while await self._compared() < compared + held:
                await asyncio.sleep(0.2)
        while any(moment in (None, before[name]) for name, moment in (await self._backfilled(sync)).items()):
            await asyncio.sleep(0.2)
        return spent

    async def _compared(self) -> int:
        # The status of the collections would tell it too, but it counts the records held each time it is asked.
        async with httpx2.AsyncClient(base_url=self.server.url) as server:
            text = (await server.get("/metrics")).text
        found = re.findall(r"^headrace_records_unchanged_total\{.*\} (\S+)$", text, re.MULTILINE)
        return sum(int(float(each)) for each in found)

    async def _backfilled(self, sync: Sync) -> dict[str, str | None]:
        return {row["id"]: row["backfill_completed_at"] for row in await self.api.syncs.collections(sync["id"])}

    async def count(self, sync: Sync) -> int:
        """How many records the stream holds of the sync."""
        return sum(row["records"] for row in await self.api.syncs.collections(sync["id"]))

    async def same(self, sync: Sync, collections: Mapping[str, str]) -> int:
        """Compare the copy with the provider, object for object; the number of objects. Ends the run when they differ.

        `collections` maps our ids to the provider server's names for them.
        """
        held: dict[str, dict[str, str]] = {collection: {} for collection in collections}
        async for record in self.api.records.list(sync_id=sync["id"], limit=1000):
            if not record["deleted"]:
                held[record["collection_id"]][record["upstream_id"]] = _mark(record["data"])
        async with httpx2.AsyncClient(base_url=self.provider_url, timeout=300) as provider:
            for collection, name in collections.items():
                lines = (await provider.get(f"/_control/digest/{name}")).text.splitlines()
                there = dict(line.split("\t") for line in lines)
                wrong = len(there.items() ^ held[collection].items())
                counts = f"{len(there)} objects there, {len(held[collection])} here, {wrong} differ"
                check(wrong == 0, f"{collection}: {counts}")
        return sum(len(each) for each in held.values())


def _mark(data: Any) -> str:
    return fingerprint(orjson.dumps(data))


def busy_s(pids: Iterable[int]) -> float:
    """Seconds of processor time that these processes and their children have used."""
    total = 0.0
    for pid in pids:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            times = each.cpu_times()
            total += times.user + times.system
    return total


@asynccontextmanager
async def stand(
    records: int, settings: Mapping[str, str] | None = None, *, of: Iterable[str] = (), source: Path | None = None
) -> AsyncIterator[Stand]:
    """A stand for the time of the block; the folder of its database goes with it.

    The account has `records` objects: in equal parts `of` these collections of the provider server, or of all. The
    server is that of the checkout `source`, or this one.
    """
    names = list(of)
    held = ",".join(f"{name}={records // len(names)}" for name in names) if names else records
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        provider = FakeProcess("stripe", records=held, limits="none")
        data_dir = Path(folder) / "data"
        server = ServeProcess(
            data_dir=data_dir, settings={"limits_override": "none", **(settings or {})}, source=source
        )
        async with provider, server:
            await provider.ready()
            await server.ready()
            async with AsyncClient(server.url, server.token, timeout=120) as api:
                yield Stand(provider.url, server, api, data_dir, provider.pid)
            await server.stop()
