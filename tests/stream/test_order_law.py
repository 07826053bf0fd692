"""Numbers grow in commit order: a reader that has seen n never later finds something at or below n.

Writers on several connections append, change and delete side by side, some of them slow to commit, while a transaction
is held open elsewhere; a reader follows by cursor all the while. In the end what it has put together from the changes
it saw is what the stream holds, and what the writers meant.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stream_log import THINGS, Log, OnDatabase, delete, new_log, record

from headrace.db.pool import Database
from headrace.stream.append import append_within
from headrace.stream.codec import WITH_DICTIONARY, Dictionary
from headrace.stream.items import Batch
from headrace.stream.training import train

change = st.one_of(
    st.tuples(st.just("put"), st.lists(st.integers(0, 7), min_size=1, max_size=5, unique=True)),
    st.tuples(st.just("put"), st.lists(st.integers(0, 7), min_size=1, max_size=5, unique=True)),
    st.tuples(st.just("slow put"), st.lists(st.integers(0, 7), min_size=1, max_size=5, unique=True)),
    st.tuples(st.just("delete"), st.lists(st.integers(0, 7), min_size=1, max_size=3, unique=True)),
    st.tuples(st.just("again"), st.none()),
)
writer = st.lists(change, min_size=1, max_size=8)


@dataclass
class Follower:
    """A reader that goes on from the last number it saw."""

    log: Log
    at: int = 0
    copy: dict[str, Any] = field(default_factory=dict)
    ended: bool = False

    async def follow(self) -> None:
        while True:
            last_look = self.ended
            page = await self.log.read(self.at, 3)
            numbers = [each.updated_idx for each in page]
            assert numbers == sorted(set(numbers))
            assert all(number > self.at for number in numbers)
            for each in page:
                self.copy[each.upstream_id] = None if each.deleted else orjson.loads(each.data)["content"]
                self.at = each.updated_idx
            if last_look and not page:
                return
            await asyncio.sleep(0)


def text(id_: str, content: int) -> bytes:
    return orjson.dumps({"id": id_, "content": content, "notes": "Sold on account, to be paid when it is there."})


async def learned(log: Log) -> None:
    """A dictionary for the sync's records, as one that has written a thousand has it."""
    made = train([text(f"{n}", n) for n in range(200)], log.sync_id.bytes)
    assert made is not None
    await log.db.api.execute(
        "insert into payload_dicts (stream_id, dict_id, sync_id, collection_id, dict) values ($1, $2, $3, $4, $5)",
        log.stream_id,
        Dictionary(made).dict_id,
        log.sync_id,
        THINGS,
        made,
    )


async def write(log: Log, name: int, changes: list[tuple[str, Any]]) -> dict[str, Any]:
    """Each writer has a sync and records of its own, so that what is meant does not hang on who was quicker."""
    meant: dict[str, Any] = {}
    last: list[Any] = []
    for moment, (what, ids) in enumerate(changes):
        if what in ("put", "slow put"):
            last = [record(f"{name}-{id_}", moment, raw=text(f"{name}-{id_}", moment)) for id_ in ids]
            meant |= {each.id: moment for each in last}
        elif what == "delete":
            last = [delete(f"{name}-{id_}", moment) for id_ in ids]
            meant |= {each.id: None for each in last if each.id in meant}
        if what == "slow put":
            await slowly(log, last)
        else:
            await log.append(*last)  # "again": as after a lost answer
    return meant


async def slowly(log: Log, records: list[Any]) -> None:
    """A transaction that has its numbers, and takes its time to commit them."""
    async with log.db.ingest.acquire() as conn, conn.transaction():
        await conn.execute("select from sync_epochs where sync_id = $1 for update", log.sync_id)
        await append_within(conn, log.fence, Batch(records), {}, log.db.clock.now())
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def held_open(db: Database) -> AsyncIterator[None]:
    """A transaction elsewhere in the database, which has looked and does not end."""
    elsewhere = await asyncpg.connect(db.dsn)
    try:
        await elsewhere.execute("begin isolation level repeatable read; select count(*) from records")
        yield
    finally:
        await elsewhere.close()


async def play(db: Database, writers: list[list[tuple[str, Any]]], *, packed: bool) -> None:
    log = await new_log(db)
    logs = [await log.another_sync() for _ in writers]
    for each in logs if packed else ():
        await learned(each)
    follower = Follower(log)
    meant: dict[str, Any] = {}
    async with held_open(db):
        following = asyncio.create_task(follower.follow())
        writing = (write(each, name, changes) for name, (each, changes) in enumerate(zip(logs, writers, strict=True)))
        for each in await asyncio.gather(*writing):
            meant |= each
        follower.ended = True
        await following
    held = await log.read()
    assert {each.upstream_id: None if each.deleted else orjson.loads(each.data)["content"] for each in held} == meant
    assert follower.copy == meant
    codecs = {row[0] for row in await db.api.fetch("select codec from records where stream_id = $1", log.stream_id)}
    assert (WITH_DICTIONARY in codecs) == (packed and bool(meant))
    assert follower.at <= await log.head()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "with dictionaries"])
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(writers=st.lists(writer, min_size=2, max_size=4))
def test_a_follower_misses_nothing_whatever_the_writers_do(
    on_db: OnDatabase,
    packed: bool,
    writers: list[list[tuple[str, Any]]],
) -> None:
    on_db(lambda db: play(db, writers, packed=packed))


picture = st.tuples(
    st.sampled_from(["record", "delete"]),
    st.integers(0, 3),  # which record
    st.integers(0, 6),  # as of
    st.integers(0, 2),  # version
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(pictures=st.lists(picture, max_size=14), cut=st.integers(1, 5), order=st.randoms(use_true_random=False))
def test_the_newest_picture_wins_in_whatever_order_and_batches_pictures_come(
    on_db: OnDatabase, pictures: list[tuple[str, int, int, int]], cut: int, order: Any
) -> None:
    """Pictures of one record at different moments: the last moment is what is held, whoever brought it and when."""
    distinct = {(id_, as_of): what for what, id_, as_of, _ in pictures}

    async def work(db: Database) -> None:
        log = await new_log(db)
        shuffled = list(distinct.items())
        order.shuffle(shuffled)
        for start in range(0, len(shuffled), cut):
            part = [
                record(f"{id_}", as_of) if what == "record" else delete(f"{id_}", as_of)
                for (id_, as_of), what in shuffled[start : start + cut]
            ]
            await log.append(*part)
        last = {id_: max(moment for other, moment in distinct if other == id_) for id_, _ in distinct}
        assert await log.contents() == {
            f"{id_}": as_of for id_, as_of in last.items() if distinct[id_, as_of] == "record"
        }

    on_db(work)


versioned = st.tuples(
    st.integers(0, 2),  # which record
    st.integers(1, 4),  # version
    st.integers(0, 6),  # as of
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    pictures=st.dictionaries(versioned, st.sampled_from([record, record, delete]), max_size=14), cut=st.integers(1, 5)
)
def test_the_higher_pair_of_version_and_moment_wins_in_whatever_order_pictures_come(
    on_db: OnDatabase, pictures: dict[tuple[int, int, int], Any], cut: int
) -> None:
    """Each picture has content of its own, so that what is held tells which won. The appends run side by side: each
    compares what is held before any of the others has written."""

    async def work(db: Database) -> None:
        log = await new_log(db)
        items = [
            record(f"{id_}", at, version=version, content=[version, at])
            if what is record
            else delete(f"{id_}", at, version=version)
            for (id_, version, at), what in pictures.items()
        ]
        await asyncio.gather(*(log.append(*items[start : start + cut]) for start in range(0, len(items), cut)))
        highest = {id_: max(other[1:] for other in pictures if other[0] == id_) for id_, *_ in pictures}
        assert await log.contents() == {
            f"{id_}": list(pair) for id_, pair in highest.items() if pictures[id_, *pair] is record
        }

    on_db(work)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(readings=st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=10, unique_by=lambda each: each[0]))
def test_an_eventual_reading_never_replaces_a_strong_one(on_db: OnDatabase, readings: list[tuple[int, bool]]) -> None:
    """Of equal versions a search index does not decide: where it would, the record is to be fetched."""

    async def work(db: Database) -> None:
        log = await new_log(db)
        held: tuple[int, bool] | None = None
        for at, strong in readings:
            appending = asyncio.create_task(log.append(record("a", at, strong=strong)))
            await asyncio.wait((appending,), timeout=30)
            assert appending.done(), "the rules and the upsert disagree on which reading wins, for ever"
            done = await appending
            newer = held is None or at > held[0]
            certain = held is None or held[1] == strong or (strong if newer else held[1])
            assert bool(done.unclear) == (not certain)
            if newer and certain:
                held = (at, strong)
            assert await log.contents() == ({} if held is None else {"a": held[0]})

    on_db(work)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(batches=st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=6), repeat=st.integers(0, 5))
def test_a_repeat_of_any_append_changes_nothing(on_db: OnDatabase, batches: list[list[int]], repeat: int) -> None:
    async def work(db: Database) -> None:
        log = await new_log(db)
        for moment, ids in enumerate(batches):
            items = [record(f"{id_}", moment, content=moment) for id_ in ids]
            await log.append(*items)
            if moment == repeat:
                before = await log.read()
                await log.append(*items)
                assert await log.read() == before

    on_db(work)
