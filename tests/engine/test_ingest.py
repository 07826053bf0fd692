"""The writer of a sync: in order, merged, fenced, patient with a database that is away."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from headrace.db.pool import Database
from headrace.engine import ingest as module
from headrace.engine.checkpoints import CheckpointKey, merge
from headrace.engine.ingest import Ingest, Load
from headrace.errors import Fenced
from headrace.ids import uuid7
from headrace.stream import dictionaries, lifecycle
from headrace.stream.codec import WITH_DICTIONARY
from headrace.stream.items import Appended, CheckpointWrite, Fence, Record
from headrace.stream.read import read_after

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
async def writer(db: Database) -> AsyncIterator[Ingest]:
    fence = Fence(uuid7(), uuid7(), 0, 0)
    async with db.transaction() as conn:
        await lifecycle.create_stream(conn, fence.stream_id, db.clock.now())
        await lifecycle.create_sync(conn, fence.stream_id, fence.sync_id, uuid7())
    one = Ingest(db, fence, {}, db.clock, lambda appended: None)
    yield one
    await one.close(drain=False)


def load(*names: str, scope: str = "a", pages: int = 1) -> Load:
    records = [Record("x:y", name, b'{"id":"%s"}' % name.encode(), NOW) for name in names]
    return Load(records, checkpoints=[CheckpointWrite("sweep", scope, {"last": names[-1]}, pages=pages)])


@pytest.fixture
def appends(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records each append had."""
    sizes: list[int] = []
    real = module.append

    async def counted(db: Database, fence: Fence, batch: Any, canons: Any, now: datetime) -> Appended:
        sizes.append(len(batch.records))
        return await real(db, fence, batch, canons, now)

    monkeypatch.setattr(module, "append", counted)
    return sizes


async def test_what_is_ready_is_merged_and_one_alone_does_not_wait(
    db: Database, writer: Ingest, appends: list[int]
) -> None:
    await writer.store(load("first"))
    assert appends == [1]
    await asyncio.gather(*(writer.store(load(f"r{n}")) for n in range(50)))
    assert sum(appends) == 51
    assert len(appends) <= 4
    row = await db.api.fetchrow("select value, pages from checkpoints")
    assert row is not None
    assert row["pages"] == 51  # counts of merged pages are added
    assert row["value"] == '{"last":"r49"}'  # and the last value stands


async def test_appends_keep_the_order_in_which_pages_were_handed_in(db: Database, writer: Ingest) -> None:
    await asyncio.gather(*(writer.store(load(f"r{n:03}")) for n in range(200)))
    async with db.api.acquire() as conn:
        records = await read_after(conn, writer.fence.stream_id, 0, 1000)
    assert [record.upstream_id for record in records] == [f"r{n:03}" for n in range(200)]


async def test_pages_of_a_sweep_are_not_merged_with_others(writer: Ingest, appends: list[int]) -> None:
    seen = load("a")
    seen.seen = uuid7()
    await asyncio.gather(writer.store(load("b")), writer.store(seen), writer.store(load("c")))
    assert appends == [1, 1, 1]


async def test_a_late_writer_is_refused_once_and_for_all(db: Database, writer: Ingest) -> None:
    await db.api.execute("update sync_epochs set epoch = 1")
    with pytest.raises(Fenced):
        await writer.store(load("a"))
    with pytest.raises(Fenced):
        await writer.store(load("b"))
    assert await db.api.fetchval("select count(*) from records") == 0


async def test_a_database_that_is_away_is_waited_for(writer: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    real, refusals = module.append, 3

    async def away(*args: Any) -> Appended:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            assert writer.trouble is None or "no room" in writer.trouble
            raise asyncpg.DiskFullError("no space left on device")
        return await real(*args)

    monkeypatch.setattr(module, "append", away)
    assert await writer.store(load("a")) == []
    assert writer.trouble is None


async def test_a_page_that_the_database_refuses_fails_alone(
    db: Database, writer: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.append

    async def picky(db: Database, fence: Fence, batch: Any, canons: Any, now: datetime) -> Appended:
        if any(record.id == "bad" for record in batch.records):
            raise asyncpg.DataError("cannot be stored")
        return await real(db, fence, batch, canons, now)

    monkeypatch.setattr(module, "append", picky)
    loads = [load(name, scope=name) for name in ("a", "bad", "b")]
    results = await asyncio.gather(*map(writer.store, loads), return_exceptions=True)
    assert [type(result) for result in results] == [list, asyncpg.DataError, list]
    assert {row["scope"] for row in await db.api.fetch("select scope from checkpoints")} == {"a", "b"}


async def test_what_was_handed_in_is_stored_before_an_orderly_end(db: Database, writer: Ingest) -> None:
    storing = [asyncio.create_task(writer.store(load(f"r{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    await writer.close(drain=True)
    await asyncio.gather(*storing)
    assert await db.api.fetchval("select count(*) from records") == 20


moments = st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1), timezones=st.just(UTC))
writes = st.builds(
    CheckpointWrite,
    st.just("sweep"),
    st.just("a"),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    pages=st.integers(0, 9),
    records=st.integers(0, 9),
    expected=st.none() | st.integers(0, 9),
    settled_through=moments,
    completed_at=moments,
)


@given(st.lists(writes, min_size=1, max_size=5))
def test_one_row_stands_for_many_writes_of_it(several: list[CheckpointWrite]) -> None:
    rows: dict[CheckpointKey, CheckpointWrite] = {}
    merge(rows, several)
    (merged,) = rows.values()
    assert merged.value == several[-1].value
    assert merged.pages == sum(write.pages for write in several)
    assert merged.records == sum(write.records for write in several)
    for field in ("expected", "settled_through", "completed_at"):
        given_ = [getattr(write, field) for write in several if getattr(write, field) is not None]
        assert getattr(merged, field) == (given_[-1] if given_ else None)


def things(first: int, count: int) -> Load:
    """Records that resemble each other."""
    raws = [b'{"id":"thing_%06d","object":"thing","notes":"Sold on account, paid later."}' % n for n in range(count)]
    return Load([Record("x:y", f"r{first + n:06}", raw, NOW) for n, raw in enumerate(raws)])


async def packed(db: Database) -> dict[int, int]:
    """How many records lie packed in which way."""
    return {row[0]: row[1] for row in await db.api.fetch("select codec, count(*) from records group by codec")}


async def held(db: Database, writer: Ingest) -> int:
    async with db.api.acquire() as conn:
        return len(await read_after(conn, writer.fence.stream_id, 0, 10_000))


async def test_a_dictionary_is_made_beside_the_appends_and_used_from_then_on(db: Database, writer: Ingest) -> None:
    await writer.store(things(0, 1200))
    async with asyncio.timeout(60):
        while not await db.api.fetchval("select count(*) from payload_dicts"):
            await asyncio.sleep(0.01)
    async with asyncio.timeout(60):
        first = 2000
        while not (await packed(db)).get(WITH_DICTIONARY):
            await writer.store(things(first, 100))
            first += 100
    assert await held(db, writer) == 1200 + first - 2000


async def test_a_training_that_fails_is_told_and_costs_no_record(
    db: Database, writer: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()

    async def broken(*_: Any) -> bool:
        failed.set()
        raise ConnectionResetError

    monkeypatch.setattr(dictionaries, "train", broken)
    with capture_logs() as logged:
        await writer.store(things(0, 1200))
        await failed.wait()
        await writer.store(things(1200, 100))
    [told] = [each for each in logged if each["event"] == "no_dictionary"][:1]
    assert (told["log_level"], told["collection"], told["error"]) == ("warning", "x:y", "ConnectionResetError")
    assert await held(db, writer) == 1300


async def test_closing_ends_a_training_under_way(db: Database, writer: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def endless(*_: Any) -> bool:
        began.set()
        try:
            return await asyncio.Future()
        finally:
            ended.set()

    monkeypatch.setattr(dictionaries, "train", endless)
    await writer.store(things(0, 1200))
    await began.wait()
    await writer.store(things(1200, 100))
    await writer.close(drain=True)
    assert ended.is_set()
    assert await held(db, writer) == 1300
