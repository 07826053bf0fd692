"""Append: new records, changed ones, and the same again, through `stream.append` on an embedded server.

python bench/append.py [--quick] [--batch 1000] [--writers 1]
"""

import argparse
import asyncio
import gc
import random
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import orjson
import psutil

from headrace.db.launcher import EmbeddedPostgres
from headrace.db.migrate import migrate
from headrace.db.pool import Database
from headrace.ids import uuid7
from headrace.stream import lifecycle
from headrace.stream.append import append
from headrace.stream.items import Batch, CheckpointWrite, Fence, Record

COLLECTION = "bench:charge"
START = datetime(2026, 1, 1, tzinfo=UTC)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def charge(number: int, revision: int) -> bytes:
    """A made-up payment of about 2 kB: half words that repeat, half text that does not compress."""
    chance = random.Random(number)
    noise = ["".join(chance.choices(_LETTERS, k=24)) for _ in range(24)]
    body = {
        "id": f"ch_{number:012d}",
        "object": "charge",
        "amount": chance.randrange(100, 1_000_000),
        "revision": revision,
        "billing_details": {"address": {"city": "Springfield", "country": "US", "line1": noise[0]}, "name": noise[1]},
        "payment_method_details": {"card": {"brand": "visa", "checks": None, "fingerprint": noise[2], "wallet": None}},
        "outcome": {"network_status": "approved_by_network", "risk_level": "normal", "seller_message": "Complete."},
        "metadata": {f"key_{i}": value for i, value in enumerate(noise[3:])},
        "captured": True,
        "currency": "usd",
        "livemode": False,
        "status": "succeeded",
        "description": "Subscription creation, " * 20,
    }
    return orjson.dumps(body)


def batches(first: int, total: int, size: int, revision: int) -> list[Batch]:
    made = []
    for start in range(first, first + total, size):
        records = [
            Record(COLLECTION, f"ch_{n:012d}", charge(n, revision), START + timedelta(days=revision), created=START)
            for n in range(start, min(start + size, first + total))
        ]
        checkpoint = CheckpointWrite("backfill", f"{COLLECTION}#{first}", {"after": start}, collection_id=COLLECTION)
        made.append(Batch(records=records, checkpoints=[checkpoint]))
    return made


@dataclass(frozen=True, slots=True)
class Figure:
    """Records a second, and microseconds of processor time a record, here and in the server."""

    rate: float
    client_us: float
    server_us: float


def server_seconds(pid: int) -> float:
    """Processor time of the server and its children so far."""
    server = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:4]) for each in (server, *server.children(recursive=True)) if each.is_running())


async def timed(db: Database, fence: Fence, work: list[list[Batch]]) -> tuple[float, int]:
    """(records/s, records that were not unchanged) of writers that work side by side on one stream."""

    async def write(own: list[Batch]) -> int:
        changed = 0
        for batch in own:
            done = await append(db, fence, batch, {}, db.clock.now())
            changed += done.created + done.updated
        return changed

    start = time.perf_counter()
    changed = sum(await asyncio.gather(*map(write, work)))
    seconds = time.perf_counter() - start
    return sum(len(batch.records) for own in work for batch in own) / seconds, changed


async def measure(db: Database, pid: int, total: int, size: int, writers: int) -> dict[str, Figure]:
    stream_id, sync_id = uuid7(), uuid7()
    await fresh(db, stream_id, sync_id)
    fence = Fence(stream_id, sync_id, 0, 0)
    share = total // writers
    figures = {}
    for name, revision in (("new", 0), ("unchanged", 0), ("changed", 1)):
        work = [batches(writer * share, share, size, revision) for writer in range(writers)]
        gc.collect()
        client, server = time.process_time(), server_seconds(pid)
        rate, changed = await timed(db, fence, work)
        client, server = time.process_time() - client, server_seconds(pid) - server
        figures[name] = Figure(rate, client / total * 1e6, server / total * 1e6)
        assert changed == (0 if name == "unchanged" else share * writers)
    return figures


async def fresh(db: Database, stream_id: UUID, sync_id: UUID) -> None:
    async with db.transaction() as conn:
        await lifecycle.create_stream(conn, stream_id, db.clock.now())
        await lifecycle.create_sync(conn, stream_id, sync_id, uuid7())


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the records")
    parser.add_argument("--records", type=int, default=60_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--writers", type=int, default=1)
    options = parser.parse_args()
    total = options.records // 10 if options.quick else options.records
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        server = EmbeddedPostgres(Path(folder))
        dsn = await server.start()
        try:
            await migrate(dsn)
            db = await Database.open(dsn, ingest_size=max(6, options.writers))
            assert server.pid is not None
            figures = await measure(db, server.pid, total, options.batch, options.writers)
            await db.close()
        finally:
            await server.stop()
    for name, each in figures.items():
        print(
            f"append {name:10} batch {options.batch:5} writers {options.writers:2} {each.rate:10,.0f} records/s"
            f"   client {each.client_us:5.1f} us, server {each.server_us:5.1f} us a record"
        )


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
