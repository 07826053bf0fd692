"""The counts of living records are those that a reader would make by counting, at every commit, whatever happens."""

import asyncio
import contextlib
from collections.abc import Callable
from random import Random
from typing import Any

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stream_log import THINGS, Log, OnDatabase, at, delete, new_log, record

from headrace.db.migrate import shipped
from headrace.db.pool import Conn, Database
from headrace.errors import Fenced
from headrace.stream import counts, lifecycle, retention
from headrace.stream.items import Record

OTHERS = "test:other"
IDS = 6
AGES = 6
WEIGHTS = {
    "append": 8,
    "delete": 4,
    "purge": 1,
    "purge one": 1,
    "chunk": 3,
    "age": 1.5,
    "drop deleted": 1.5,
    "fold": 1.5,
}


async def by_counting(conn: Conn, log: Log) -> dict[str, int]:
    rows = await conn.fetch(
        """select r.collection_id, count(*) as living from records r
           where r.stream_id = $1 and r.sync_id = $2 and r.updated_idx is not null and not r.deleted and not exists (
             select from purges p where p.stream_id = $1 and p.sync_id = $2 and r.updated_idx <= p.up_to
             and (p.collection_id is null or p.collection_id = r.collection_id))
           group by r.collection_id""",
        log.stream_id,
        log.sync_id,
    )
    return {row["collection_id"]: row["living"] for row in rows}


async def counted(conn: Conn, log: Log) -> dict[str, int]:
    told = await counts.living(conn, log.stream_id, log.sync_id)
    return {collection: living for collection, living in told.items() if living}


async def check(log: Log) -> None:
    """Both in one snapshot: between the two statements others may commit."""
    async with log.db.api.acquire() as conn, conn.transaction(isolation="repeatable_read"):
        assert await counted(conn, log) == await by_counting(conn, log)


async def rows(log: Log) -> int:
    return int(await log.db.api.fetchval("select count(*) from record_counts"))


def aging(id_: str, as_of: float, **given: Any) -> Record:
    """A record of which the provider tells when it was made: others never grow too old."""
    return record(id_, as_of, created=at(0), **given)


def picture(chance: Random, moment: int, make: Callable[..., Any], ids: range) -> list[Any]:
    """Some records of both collections, of moments that are not always the latest."""
    return [
        make(f"{id_}", moment - chance.randint(0, 3), collection=chance.choice([THINGS, OTHERS]))
        for id_ in chance.sample(ids, chance.randint(1, 4))
    ]


async def do(log: Log, chance: Random, what: str, moment: int, ids: range) -> None:
    if what == "append":
        await log.append(*picture(chance, moment, aging, ids))
    elif what == "delete":
        await log.append(*picture(chance, moment, delete, ids))
    elif what in ("purge", "purge one"):
        await log.purge(THINGS if what == "purge one" else None)
    elif what == "chunk":
        await retention.purge_chunk(log.db, log.stream_id, chance.randint(1, 5))
    elif what == "age":
        older = at(moment - chance.randint(0, AGES))
        await retention.age_out(log.db, log.fence, older, chance.randint(1, 4), retention.AgeWalk())
    elif what == "drop deleted":
        await retention.drop_deleted(log.db, log.fence, log.db.clock.now(), chance.randint(1, 4), retention.AgeWalk())
    else:
        await counts.fold(log.db, log.stream_id, more_than=chance.randint(1, 4))


def drawn(chance: Random, number: int) -> list[str]:
    return chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=number)


@settings(
    max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(seed=st.integers(0, 2**32))
def test_the_counts_are_right_after_every_step(on_db: OnDatabase, seed: int) -> None:
    async def work(db: Database) -> None:
        chance = Random(seed)
        log = await new_log(db)
        other = await log.another_sync()
        for moment, what in enumerate(drawn(chance, 40)):
            await do(chance.choice([log, log, other]), chance, what, moment, range(IDS))
            await check(log)
            await check(other)

    on_db(work)


@settings(
    max_examples=15, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(seed=st.integers(0, 2**32))
def test_the_counts_are_right_at_every_commit_of_many_who_write_the_same_records(on_db: OnDatabase, seed: int) -> None:
    async def worker(log: Log, chance: Random, moments: range) -> None:
        for moment, what in zip(moments, drawn(chance, len(moments)), strict=True):
            with contextlib.suppress(Fenced):  # a purge went before it
                await do(log, chance, what, moment, range(IDS))

    async def watch(log: Log) -> None:
        while True:
            await check(log)
            await asyncio.sleep(0)

    async def work(db: Database) -> None:
        log = await new_log(db)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch(log))
            workers = [group.create_task(worker(log, Random(seed + n), range(25))) for n in range(4)]
            await asyncio.wait(workers)
            watching.cancel()
        await check(log)

    on_db(work)


async def test_what_did_not_change_leaves_no_row(log: Log) -> None:
    await log.append(record("a"), record("b"))
    assert await rows(log) == 1
    await log.append(record("a"), record("b", 5))
    await log.append(delete("a", 6), record("c", 6))
    assert await rows(log) == 1


async def test_folding_leaves_one_row_a_collection(log: Log) -> None:
    for moment in range(5):
        await log.append(record(f"{moment}"), record(f"{moment}", collection=OTHERS))
    await log.append(*(delete(f"{moment}", 1, collection=OTHERS) for moment in range(5)))

    assert await counts.fold(log.db, log.stream_id, more_than=2) == 11
    assert await rows(log) == 2, "a sum of 0 too: by it the collection's deleted records are found"
    assert len(await log.read(collection_ids=[OTHERS])) == 5
    await check(log)
    assert await counts.fold(log.db, log.stream_id) == 0


async def test_a_sync_that_is_deleted_leaves_none(log: Log) -> None:
    await log.append(record("a"))
    async with log.db.transaction() as conn:
        await lifecycle.delete_sync(conn, log.stream_id, log.sync_id, log.db.clock.now())
    await check(log)
    assert await rows(log) == 0


async def test_a_database_that_holds_records_already_is_counted_by_its_migration(log: Log, dsn: str) -> None:
    await log.append(record("a"), record("b"), record("c", collection=OTHERS), delete("guard"))
    await log.append(delete("b", 5))
    await log.purge(OTHERS)
    other = await log.another_sync()
    await other.append(record("a", collection=OTHERS))
    connection = await asyncpg.connect(dsn)
    await connection.execute("drop table record_counts; alter table sync_epochs drop column removals")
    (migration,) = [each for each in shipped() if each.name == "0011_record_counts"]
    await connection.execute(migration.sql)
    await connection.close()

    await log.db.api.expire_connections()
    await log.db.ingest.expire_connections()
    await check(log)
    await check(other)
    await log.append(record("b", 9), delete("a", 9))
    await check(log)
