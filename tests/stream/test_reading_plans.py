"""How the statements of a turn are planned: by their indexes, whatever the stream held when a plan was made."""

import asyncio
from collections.abc import Awaitable, Generator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from stream_log import Log, record

from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.stream import lifecycle, read
from headrace.stream.consumers.source import Due, source_of
from headrace.stream.consumers.state import Group, Message, Settings, State
from headrace.stream.filters import Filters

FEW, MANY = 10, 50_000
GROW = """
insert into records (stream_id, record_id, sync_id, collection_id, upstream_id, updated_idx, deleted, version, as_of,
  strong, upstream_updated_at, inserted_at, appended_at, raw_hash, canon_version, size, codec, data)
select stream_id, gen_random_uuid(), sync_id, collection_id, n::text, 1000 + n, deleted, version, as_of,
  strong, upstream_updated_at, inserted_at, appended_at, raw_hash, canon_version, size, codec, data
from generate_series(1, $1::int) n cross join (select * from records where stream_id = $2 limit 1) r
"""
GROW_EVENTS = """
insert into events (stream_id, updated_idx, expires_on, event, record_id, sync_id, collection_id, upstream_id, deleted,
  upstream_created_at, upstream_updated_at, inserted_at, appended_at, changes, size, codec, data)
select stream_id, 1000 + n, expires_on, event, gen_random_uuid(), sync_id, collection_id, n::text, deleted,
  upstream_created_at, upstream_updated_at, inserted_at, appended_at, changes, size, codec, data
from generate_series(1, $1::int) n cross join (select * from events where stream_id = $2 limit 1) e
"""
FETCHED = """
select sum(idx_tup_fetch + seq_tup_read) from pg_stat_xact_user_tables
where relname = 'records' or relname like 'events%'
"""


async def out(conn: Conn, log: Log) -> State:
    """A state in which all records of the stream are out."""
    now = log.db.clock.now()
    group = Group(1, 1, True, now + timedelta(seconds=30))
    for row in await conn.fetch("select record_id, updated_idx from records where stream_id = $1", log.stream_id):
        group.messages[row["record_id"]] = Message(row["record_id"], row["updated_idx"], 1, 0, 0, group)
    return State(Settings(1, timedelta(seconds=30), -1, 1000, Filters()), 1, 1, FEW, 0, [group])


@pytest.mark.parametrize("every", [False, True], ids=["records", "events"])
@pytest.mark.parametrize("asked", ["due", "again", "count_new"])
async def test_a_plan_made_for_a_small_stream_is_not_kept_for_a_large_one(log: Log, asked: str, every: bool) -> None:
    if every:
        async with log.db.transaction() as conn:
            await lifecycle.keep_events(conn, log.stream_id, 3)
    await log.append(*(record(f"{n}") for n in range(FEW)))
    source = source_of(every=every)
    async with log.db.api.acquire() as conn, conn.transaction():
        state = await out(conn, log)
        messages = list(state.messages.values())
        due = [Due(each, each.idx, 0, 0, True) for each in messages]
        calls: dict[str, Any] = {
            "due": lambda: source.due(conn, log.stream_id, state, messages),
            "again": lambda: source.again(conn, log.stream_id, due),
            "count_new": lambda: source.count_new(conn, log.stream_id, state, FEW),
        }
        await conn.execute("set local plan_cache_mode = force_generic_plan")  # as a server may choose to
        await calls[asked]()
        await conn.execute(GROW_EVENTS if every else GROW, MANY, log.stream_id)
        await conn.execute("set local plan_cache_mode = force_generic_plan")
        before = await conn.fetchval(FETCHED)
        await calls[asked]()
        assert await conn.fetchval(FETCHED) - before < 10 * FEW


async def test_a_record_is_found_by_its_name_in_a_stream_that_has_grown(log: Log) -> None:
    await log.append(*(record(f"{n}") for n in range(FEW)))
    async with log.db.api.acquire() as conn, conn.transaction(isolation="repeatable_read"):
        await conn.execute("set local plan_cache_mode = force_generic_plan")
        await read.read_after(conn, log.stream_id, 0, FEW, upstream_id="3")
        await conn.execute(GROW, MANY, log.stream_id)
        await conn.execute("set local plan_cache_mode = force_generic_plan")
        before = await conn.fetchval(FETCHED)
        assert len(await read.read_after(conn, log.stream_id, 0, FEW, upstream_id="3")) == 1
        assert await conn.fetchval(FETCHED) - before < 10 * FEW


class CancelledAt:
    """Awaits something, and is cancelled where that waits for the `number`th time. `waited`: whether it came to it."""

    def __init__(self, work: Awaitable[Any], number: int) -> None:
        self._work = work
        self._number = number
        self.waited = False

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._work.__await__()
        task = asyncio.current_task()
        assert task is not None
        thrown: BaseException | None = None
        for number in count():
            try:
                future = next(steps) if thrown is None else steps.throw(thrown)
            except StopIteration as stop:
                return stop.value
            if number == self._number:
                self.waited = True
                task.cancel()
            thrown = None
            try:
                yield future
            except BaseException as error:
                thrown = error


@pytest.mark.parametrize("asked", ["due", "again"])
async def test_a_call_that_is_cancelled_leaves_no_transaction_and_no_setting_to_the_next(
    dsn: str, log: Log, asked: str
) -> None:
    await log.append(*(record(f"{n}") for n in range(FEW)))
    source = source_of(every=False)
    db = await Database.open(dsn, api_size=1, ingest_size=1)
    try:
        async with db.api.acquire() as conn:
            state = await out(conn, log)
        messages = list(state.messages.values())
        due = [Due(each, each.idx, 0, 0, True) for each in messages]

        async def call() -> None:
            async with db.api.acquire() as conn:
                if asked == "due":
                    await source.due(conn, log.stream_id, state, messages)
                else:
                    await source.again(conn, log.stream_id, due)

        for number in count():
            work = CancelledAt(call(), number)

            async def run(work: CancelledAt = work) -> None:
                await work

            await asyncio.gather(asyncio.create_task(run()), return_exceptions=True)
            async with db.api.acquire() as conn:
                assert not conn.is_in_transaction()
                assert await conn.fetchval("show plan_cache_mode") == "auto"
            if not work.waited:
                break
        assert number >= 3  # begin, read, rollback
    finally:
        await db.close()


@pytest.mark.parametrize("size", [FEW, MANY])
async def test_new_records_are_found_by_their_numbers_with_a_plan_that_was_kept(log: Log, size: int) -> None:
    """`read_new` is the statement of every receive: it may be planned once, and is."""
    await log.append(*(record(f"{n}") for n in range(FEW)))
    async with log.db.api.acquire() as conn, conn.transaction():
        await conn.execute("set local plan_cache_mode = force_generic_plan")
        statement = await conn.prepare(load("headrace.stream.consumers", "records.sql").read_new)
        given = (log.stream_id, 2, 4098, 5, 1 << 25, None, None, None)
        await statement.fetch(*given)
        await conn.execute(GROW, size, log.stream_id)
        before = await conn.fetchval(FETCHED)
        assert len(await statement.fetch(*given)) == 5
        assert await conn.fetchval(FETCHED) - before <= 2 * FEW
