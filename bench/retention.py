"""What leaves the log: an append beside a removal by age, and what a day of steady updates leaves on disk.

The day is told in short: so many updates as a day would bring, as fast as they go, by a clock that runs as much faster.
Vacuum comes once in a second here, which is seldom: a day of that length would see it once in a minute.

python -m bench.retention [--quick] [--old 200000] [--records 5000] [--updates 100000] [--scale 0.05] [beside] [day]
"""

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import orjson

from bench.append import COLLECTION, START, charge, fresh
from bench.report import check, figure
from headrace.db.launcher import EmbeddedPostgres
from headrace.db.migrate import migrate
from headrace.db.pool import Database
from headrace.ids import uuid7
from headrace.stream.append import append
from headrace.stream.consumers import Dispatcher, lifecycle
from headrace.stream.consumers.lifecycle import ConsumerSettings
from headrace.stream.items import Batch, Fence, Record
from headrace.stream.portions import Portions
from headrace.stream.retention import AgeWalk, age_out, drop_old_positions
from headrace.stream.wake import Wakeups

DAY = timedelta(days=1)
NOW = datetime(2026, 7, 1, tzinfo=UTC)
LATELY = NOW - DAY
BATCH = 100
_TABLES = ("records", "stream_heads", "consumer_positions", "deliveries")
EVERYTHING = {"provider": "*", "sync_id": "*", "collection_id": "*"}

_SIZES = """
select c.relname as name, pg_table_size(c.oid) as heap, pg_indexes_size(c.oid) as indexes, s.n_dead_tup as dead
from pg_class c join pg_stat_user_tables s on s.relid = c.oid where c.relname = any ($1::text[])
"""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    parser.add_argument("--old", type=int, default=200_000)
    parser.add_argument("--records", type=int, default=5_000)
    parser.add_argument("--updates", type=int, default=100_000)
    parser.add_argument("--scale", type=float, help="dead rows for each living one at which vacuum comes to `records`")
    parser.add_argument("parts", nargs="*", metavar="PART", help="beside, day; default: both")
    options = parser.parse_args()
    share = 10 if options.quick else 1
    if "beside" in (options.parts or ["beside"]):
        async with database() as db:
            await beside(db, options.old // share)
    if "day" in (options.parts or ["day"]):
        async with database() as db:
            if options.scale is not None:
                await db.api.execute(f"alter table records set (autovacuum_vacuum_scale_factor = {options.scale})")
            await day(db, options.records // share, options.updates // share)


@asynccontextmanager
async def database() -> AsyncIterator[Database]:
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        server = EmbeddedPostgres(Path(folder), options={"autovacuum_naptime": "1s"})
        dsn = await server.start()
        try:
            await migrate(dsn)
            db = await Database.open(dsn, ingest_size=6)
            yield db
            await db.close()
        finally:
            await server.stop()


# ── an append beside a removal ──


async def beside(db: Database, old: int) -> None:
    """A sync of old records from which all go; another on its stream appends, and a writer of its own changes some of
    what is about to go."""
    aging, other = await fresh(db, 2)
    for start in range(0, old, 1000):
        batch = Batch(
            [_record(number, 0, START + timedelta(milliseconds=number)) for number in range(start, start + 1000)]
        )
        await append(db, aging, batch, {}, db.clock.now())
    alone, _ = await _longest(db, aging, other, old, asyncio.create_task(asyncio.sleep(5.0, [])))
    began = time.perf_counter()
    with_it, chunks = await _longest(db, aging, other, old, asyncio.create_task(_age_out(db, aging)))
    seconds, removed = time.perf_counter() - began, sum(rows for rows, _ in chunks)
    count = "select count(*) from records where sync_id = $1 and upstream_updated_at < $2"
    left = await db.api.fetchval(count, aging.sync_id, START + DAY)
    check(left == 0, f"{left} of {old} old records are left")
    figure("records removed by age", removed, f"in {seconds:.0f} s")
    figure(f"  in {len(chunks)} chunks, the longest of which took", 1000 * max(took for _, took in chunks), "ms")
    for name, index in (("another sync's append", 0), ("an append to what is going", 1)):
        figure(f"{name}: the longest of {len(alone[index])}, alone", 1000 * max(alone[index]), "ms")
        figure(f"  of {len(with_it[index])}, beside the removal", 1000 * max(with_it[index]), "ms")
        waited = 1000 * (max(with_it[index]) - max(alone[index]))
        figure("  so it waited", max(0.0, waited), "ms", below=50)


async def _longest(
    db: Database, aging: Fence, other: Fence, old: int, work: asyncio.Task[list[tuple[int, float]]]
) -> tuple[tuple[list[float], list[float]], list[tuple[int, float]]]:
    """How long each append took while `work` was under way: of the other sync, and to the aging one."""
    chance, took = Random(7), (list[float](), list[float]())
    revision = time.monotonic_ns()

    async def write(fence: Fence, times: list[float], first: int) -> None:
        turn = 0
        while not work.done():
            turn += 1
            numbers = (
                chance.sample(range(old), 20) if fence is aging else range(first + turn * 20, first + turn * 20 + 20)
            )
            batch = Batch([_record(number, revision + turn, LATELY) for number in numbers])
            began = time.perf_counter()
            await append(db, fence, batch, {}, db.clock.now())
            times.append(time.perf_counter() - began)
            await asyncio.sleep(0.01)

    first = 10 * old + revision % 10**6 * 1000
    await asyncio.gather(write(other, took[0], first), write(aging, took[1], 0))
    return took, await work


async def _age_out(db: Database, fence: Fence) -> list[tuple[int, float]]:
    """As the engine does it; the rows of each chunk and how long it took."""
    portions, walk, chunks = Portions(db.clock), AgeWalk(), list[tuple[int, float]]()
    while True:
        began = time.perf_counter()
        with portions.chunk() as rows:
            gone = await age_out(db, fence, START + DAY, rows, walk)
        if not gone:
            return chunks
        chunks.append((gone, time.perf_counter() - began))
        await portions.rest()


def _record(number: int, revision: int, updated: datetime) -> Record:
    raw = orjson.dumps({"id": f"ch_{number:012d}", "revision": revision, "text": "x" * 200})
    moment = updated + timedelta(microseconds=revision % 10**9)
    return Record(COLLECTION, f"ch_{number:012d}", raw, moment, created=START, updated=moment)


# ── a day of steady updates ──


@dataclass(slots=True)
class _Fast:
    """A clock by which the updates take a day."""

    speed: float = 1.0
    began: float = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=(time.monotonic() - self.began) * self.speed)


async def day(db: Database, records: int, updates: int) -> None:
    """Every record changes as often as the others, in no order; a consumer follows; past positions are cut."""
    (fence,) = await fresh(db)
    clock = _Fast(began=time.monotonic())
    db.clock = clock  # type: ignore[assignment]
    rate = await _load(db, fence, records)
    clock.speed = DAY.total_seconds() / (updates / rate)
    follower = asyncio.create_task(_follow(db, fence))
    began, chance, shown = time.perf_counter(), Random(11), []
    for done in range(0, updates, BATCH):
        if done % (updates // 10) < BATCH:
            await drop_old_positions(db, fence.stream_id)
            shown.append(await _sizes(db))
        numbers = chance.sample(range(records), BATCH)
        batch = Batch([_changed(number, done + at + 1) for at, number in enumerate(numbers)])
        await append(db, fence, batch, {}, clock.now())
    shown.append(await _sizes(db))
    seconds = time.perf_counter() - began
    follower.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await follower
    figure("a day of updates", updates, f"of {records:,}")
    figure("told at", 86_400 / seconds, "times the speed")
    _report(shown)


async def _load(db: Database, fence: Fence, records: int) -> float:
    began = time.perf_counter()
    for start in range(0, records, BATCH):
        batch = Batch([_changed(number, 0) for number in range(start, start + BATCH)])
        await append(db, fence, batch, {}, db.clock.now())
    return records / (time.perf_counter() - began)


def _changed(number: int, revision: int) -> Record:
    moment = NOW + timedelta(milliseconds=revision)
    return Record(COLLECTION, f"ch_{number:012d}", charge(number, revision), moment, created=START)


async def _follow(db: Database, fence: Fence) -> None:
    """A worker that acks all it is given."""
    wakeups = Wakeups(db)
    dispatcher, consumer_id, gone = Dispatcher(db, wakeups), uuid7(), asyncio.Event()
    settings = ConsumerSettings("records", 30_000, -1, 10_000, EVERYTHING)
    async with db.transaction() as conn:
        await lifecycle.create_consumer(conn, fence.stream_id, consumer_id, uuid7(), settings, "all", db.clock.now())
    try:
        while True:
            delivered = await dispatcher.next(fence.stream_id, consumer_id, 100, 0, gone)
            await dispatcher.ack(fence.stream_id, consumer_id, [token for token, _ in delivered.messages])
            await asyncio.sleep(0.02)
    finally:
        await dispatcher.close()


async def _sizes(db: Database) -> dict[str, tuple[int, int, int]]:
    """By table: bytes of rows and of indexes, and dead rows."""
    rows = await db.api.fetch(_SIZES, list(_TABLES))
    return {row["name"]: (row["heap"], row["indexes"], row["dead"]) for row in rows}


def _report(shown: list[dict[str, tuple[int, int, int]]]) -> None:
    """The sizes as the day goes on, and how much they grew in its second half."""
    for name in _TABLES:
        print(f"{name}: hours 0, 2.4, 4.8 … 24")
        for place, what in enumerate(("rows, MB", "indexes, MB", "dead rows, thousands")):
            unit = 1e3 if place == 2 else 1e6
            print(f"  {what:<24}" + " ".join(f"{each[name][place] / unit:8.1f}" for each in shown))
    middle, end = (sum(each["records"][:2]) for each in (shown[len(shown) // 2], shown[-1]))
    figure("records: growth in the second half of the day", 100 * (end / middle - 1), "%", below=10)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
