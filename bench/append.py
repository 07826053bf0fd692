"""Append: new records, the same again, and changed ones, through `stream.append` on an embedded server: by one writer,
and by sixteen on one stream against the same sixteen with a stream each, where no number waits for another. Then new
ones packed with a dictionary of their collection, and the room that all of them take on disk.

python -m bench.append [--quick] [--records 64000] [--batch 1000] [--writers 16] [--without-index NAME]
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

import orjson
import psutil

from bench.report import figure
from headrace.db.launcher import EmbeddedPostgres
from headrace.db.migrate import migrate
from headrace.db.pool import Database
from headrace.ids import uuid7
from headrace.stream import dictionaries, lifecycle
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


GOALS = {"unchanged": 80_000, "changed": 15_000}
AT_LEAST = 0.55
"""Of the rate of writers that need no common order, so much is to be left to those on one stream."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Records a second, microseconds of processor time a record, here and in the server, and what a row of `records`
    then takes on disk, indexes and dead rows included."""

    rate: float
    client_us: float
    server_us: float
    disk: float


def server_seconds(pid: int) -> float:
    """Processor time of the server and its children so far."""
    server = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:4]) for each in (server, *server.children(recursive=True)) if each.is_running())


async def timed(db: Database, fences: list[Fence], work: list[list[Batch]]) -> tuple[float, int]:
    """(records/s, records that were not unchanged) of writers that work side by side."""

    async def write(fence: Fence, own: list[Batch]) -> int:
        changed = 0
        for batch in own:
            done = await append(db, fence, batch, {}, db.clock.now())
            changed += done.created + done.updated
        return changed

    start = time.perf_counter()
    changed = sum(await asyncio.gather(*map(write, fences, work)))
    seconds = time.perf_counter() - start
    return sum(len(batch.records) for own in work for batch in own) / seconds, changed


async def measure(db: Database, pid: int, total: int, size: int, fences: list[Fence]) -> dict[str, Spent]:
    """Every writer appends with its own fence."""
    share = total // len(fences)
    figures = {}
    for name, revision in (("new", 0), ("unchanged", 0), ("changed", 1)):
        work = [batches(writer * share, share, size, revision) for writer in range(len(fences))]
        figures[name], changed = await spend(db, pid, fences, work)
        assert changed == (0 if name == "unchanged" else share * len(fences))
    return figures


async def spend(db: Database, pid: int, fences: list[Fence], work: list[list[Batch]]) -> tuple[Spent, int]:
    """What the work takes, and how many of its records were not unchanged."""
    total = sum(len(batch.records) for own in work for batch in own)
    gc.collect()
    client, server = time.process_time(), server_seconds(pid)
    rate, changed = await timed(db, fences, work)
    client, server = time.process_time() - client, server_seconds(pid) - server
    return Spent(rate, client / total * 1e6, server / total * 1e6, await disk(db)), changed


async def with_dictionary(db: Database, pid: int, total: int, size: int) -> tuple[Spent, float, float]:
    """New records of a collection that has a dictionary: what they take, and bytes of a payload without and with."""
    fences = await fresh(db)
    enough = dictionaries.ENOUGH
    await timed(db, fences, [batches(0, enough, size, 0)])
    before = await payload(db, fences[0], enough)
    assert await dictionaries.train(db, fences[0], COLLECTION)
    spent, changed = await spend(db, pid, fences, [batches(enough, total, size, 0)])
    assert changed == total
    return spent, before, (await payload(db, fences[0], enough + total) * (enough + total) - before * enough) / total


async def payload(db: Database, fence: Fence, records: int) -> float:
    """Bytes of a packed payload, as a mean."""
    return float(
        await db.api.fetchval(
            "select sum(octet_length(data)) from records where stream_id = $1 and sync_id = $2",
            fence.stream_id,
            fence.sync_id,
        )
        / records
    )


async def fresh(db: Database, syncs: int = 1) -> list[Fence]:
    """So many syncs on a new stream."""
    stream_id = uuid7()
    fences = [Fence(stream_id, uuid7(), 0, 0) for _ in range(syncs)]
    async with db.transaction() as conn:
        await lifecycle.create_stream(conn, stream_id, db.clock.now())
        for fence in fences:
            await lifecycle.create_sync(conn, stream_id, fence.sync_id, uuid7())
    return fences


async def disk(db: Database) -> float:
    rows = await db.api.fetchval("select count(*) from records")
    return float(await db.api.fetchval("select pg_total_relation_size('records')") / rows)


def report(writers: str, figures: dict[str, Spent]) -> None:
    for name, each in figures.items():
        figure(f"append {name}, {writers}", each.rate, "records/s", at_least=GOALS.get(name))
        figure("  processor time here", each.client_us, "us a record")
        figure("  processor time of the database", each.server_us, "us a record")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the records")
    parser.add_argument("--records", type=int, default=64_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--without-index", metavar="NAME", help="an index that is dropped before, to see what it costs")
    options = parser.parse_args()
    total = options.records // 10 if options.quick else options.records
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        server = EmbeddedPostgres(Path(folder))
        dsn = await server.start()
        try:
            await migrate(dsn)
            db = await Database.open(dsn, ingest_size=max(6, options.writers))
            assert server.pid is not None
            if options.without_index:
                await db.api.execute(f'drop index "{options.without_index}"')
            figures = await measure(db, server.pid, total, options.batch, await fresh(db))
            report("one writer", figures)
            figure("disk a new record", figures["new"].disk, "bytes")
            figure("disk a record, each changed once", figures["changed"].disk, "bytes")
            spent, before, after = await with_dictionary(db, server.pid, total, options.batch)
            report("one writer, with a dictionary", {"new": spent})
            figure("  a payload without, and with it", after, f"bytes, of {before:,.0f}")
            await beside(db, server.pid, total, options)
            await db.close()
        finally:
            await server.stop()


async def beside(db: Database, pid: int, total: int, options: argparse.Namespace) -> None:
    """The writers on one stream, and with a stream each."""
    many = options.writers
    alone = await measure(db, pid, total, options.batch, [(await fresh(db))[0] for _ in range(many)])
    ordered = await measure(db, pid, total, options.batch, await fresh(db, many))
    report(f"{many} writers on one stream", ordered)
    for name in ("new", "changed"):
        share = 100 * ordered[name].rate / alone[name].rate
        figure(f"append {name}: of {many} writers with a stream each", share, "%", at_least=100 * AT_LEAST)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
