"""What may come between the reading of a turn and its commit: another process, a crash, the end of the caller."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from stream_consumer import Consumer, Process
from stream_log import Log, record

from headrace.db.pool import AWAY, Database
from headrace.errors import NotFound
from headrace.stream.consumers import lifecycle, storage

_HERE = "pg_stat_activity where datname = current_database()"
_TABLES = ("consumer_positions", "deliveries", "dead_letters")


@pytest.fixture
async def there(log: Log, consumer: Consumer, dsn: str) -> AsyncIterator[Consumer]:
    """The same consumer, served by another process with a pool of its own."""
    db = await Database.open(dsn, api_size=2, ingest_size=2)
    process = await Process.start(Log(db, log.stream_id, log.sync_id))
    yield consumer.elsewhere(process.dispatcher)
    await process.stop()
    await db.close()


@dataclass
class Held:
    """The first turn that comes to its commit without the lock stands still there until `go`."""

    came: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    held, real = Held(), storage.commit_if_last

    async def commit_if_last(*args: Any, **kwargs: Any) -> None:
        if not held.came.is_set():
            held.came.set()
            await held.go.wait()
        await real(*args, **kwargs)

    monkeypatch.setattr(storage, "commit_if_last", commit_if_last)
    return held


async def overtaken(held: Held, call: Awaitable[Any], by: Callable[[], Awaitable[Any]]) -> Any:
    """What the call answers when `by` is done between its reading and its commit."""
    calling = asyncio.ensure_future(call)
    await held.came.wait()
    await by()
    held.go.set()
    return await calling


async def known(log: Log, consumer: Consumer) -> str:
    """Six records of which the first is out, to a process that knows the state; the token."""
    await log.append(*(record(f"r{n}") for n in range(6)))
    return (await consumer.take())["r0"]


async def test_what_another_process_handed_out_meanwhile_is_not_handed_out_again(
    log: Log, consumer: Consumer, there: Consumer, held: Held
) -> None:
    await known(log, consumer)
    other: dict[str, str] = {}

    async def take() -> None:
        other.update(await there.take(2))

    got = await overtaken(held, consumer.take(2), take)
    assert (set(other), set(got)) == ({"r1", "r2"}, {"r3", "r4"})
    assert (await consumer.counts()).num_ack_pending == 5
    await consumer.ack(*other.values())
    await there.ack(*got.values())
    assert set(await consumer.take(9)) == {"r5"}
    assert (await consumer.counts()).num_ack_pending == 2


async def test_a_turn_waits_for_the_one_under_way_in_another_process(
    log: Log, consumer: Consumer, there: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await known(log, consumer)
    came, go, commit = asyncio.Event(), asyncio.Event(), storage.commit

    async def slow_commit(*args: Any) -> None:
        came.set()
        await go.wait()
        await commit(*args)

    monkeypatch.setattr(storage, "commit", slow_commit)
    there_taking = asyncio.create_task(there.take(2))  # it does not know the state, and has the lock
    await came.wait()
    taking = asyncio.create_task(consumer.take(2))
    await until(log, f"select count(*) > 0 from {_HERE} and wait_event_type = 'Lock'")
    go.set()
    assert (set(await there_taking), set(await taking)) == ({"r1", "r2"}, {"r3", "r4"})


async def test_what_another_process_acked_meanwhile_is_not_acted_on(
    log: Log, consumer: Consumer, there: Consumer, held: Held
) -> None:
    token = await known(log, consumer)
    await overtaken(held, consumer.nack(token), lambda: there.ack(token))
    assert set(await consumer.take(9)) == {"r1", "r2", "r3", "r4", "r5"}


async def test_room_that_another_process_took_meanwhile_is_gone(
    log: Log, process: Process, dsn: str, held: Held
) -> None:
    consumer = await process.consumer(log, max_ack_pending=3)
    await known(log, consumer)
    db = await Database.open(dsn, api_size=2, ingest_size=2)
    other = await Process.start(Log(db, log.stream_id, log.sync_id))
    try:
        got = await overtaken(held, consumer.take(5), lambda: consumer.elsewhere(other.dispatcher).take(1))
    finally:
        await other.stop()
        await db.close()
    assert set(got) == {"r2"}
    assert (await consumer.counts()).num_ack_pending == 3


async def test_a_reset_meanwhile_holds(log: Log, consumer: Consumer, held: Held) -> None:
    await known(log, consumer)
    assert set(await overtaken(held, consumer.take(9), consumer.reset)) == {f"r{n}" for n in range(6)}


async def test_a_filter_set_meanwhile_holds(log: Log, consumer: Consumer, held: Held) -> None:
    await known(log, consumer)
    filters = {"provider": "*", "sync_id": "*", "collection_id": "test:none"}
    assert await overtaken(held, consumer.take(9), lambda: consumer.alter(filters=filters)) == {}


async def test_a_consumer_deleted_meanwhile_is_not_found_and_nothing_is_left(
    log: Log, consumer: Consumer, held: Held
) -> None:
    await known(log, consumer)

    async def delete() -> None:
        async with log.db.transaction() as conn:
            await lifecycle.delete_consumer(conn, log.stream_id, consumer.id)

    with pytest.raises(NotFound):
        await overtaken(held, consumer.take(9), delete)
    for table in _TABLES:
        assert await log.db.api.fetchval(f"select count(*) from {table}") == 0


async def test_an_append_meanwhile_is_no_turn_and_the_newer_version_waits(
    log: Log, consumer: Consumer, held: Held
) -> None:
    await known(log, consumer)
    got = await overtaken(held, consumer.next(1), lambda: log.append(record("r1", 5)))
    [(token, old)] = got.messages
    assert old.upstream_id == "r1"
    assert set(await consumer.take(9)) == {"r2", "r3", "r4", "r5"}, "a newer version waits"
    await consumer.ack(token)
    [(_, new)] = (await consumer.next(9)).messages
    assert new.upstream_id == "r1"
    assert new.updated_idx > old.updated_idx


async def test_a_turn_that_a_crash_took_is_not_taken_for_another_of_its_number(
    log: Log, consumer: Consumer, there: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn is committed before it is on the disk. After a crash the next one, in another process, has its number."""
    token = await known(log, consumer)
    before = {table: await log.db.api.fetch(f"select * from {table}") for table in _TABLES}

    async def crash() -> None:
        for table, rows in before.items():
            await log.db.api.execute(f"delete from {table}")
            async with log.db.api.acquire() as conn:
                await conn.copy_records_to_table(table, records=map(tuple, rows))
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(consumer.dispatcher._flush, "_to_disk", crash)
        with pytest.raises(ConnectionResetError):
            await consumer.take(2)
    await there.ack(token)
    assert set(await consumer.take(9)) == {"r1", "r2", "r3", "r4", "r5"}
    assert (await consumer.counts()).num_ack_pending == 5


@pytest.mark.parametrize("knows", [True, False])
async def test_a_turn_that_is_cut_off_takes_nothing_and_leaves_no_transaction_open(
    log: Log, process: Process, consumer: Consumer, *, knows: bool
) -> None:
    """As when the process stops: the turn waits for the lock, in its one trip or in the first."""
    await log.append(*(record(f"r{n}") for n in range(3)))
    if knows:
        await consumer.take()
    elsewhere = await asyncpg.connect(log.db.dsn)
    try:
        await elsewhere.execute("begin; select from consumers for update")
        taking = asyncio.create_task(consumer.take())
        await until(log, f"select count(*) > 0 from {_HERE} and wait_event_type = 'Lock'")
        await consumer.dispatcher.close()
        with pytest.raises(asyncio.CancelledError):
            await taking
        await elsewhere.execute("rollback")
    finally:
        await elsewhere.close()
    await until(log, f"select count(*) = 0 from {_HERE} and state like 'idle in%'")
    async with log.db.api.acquire() as conn:
        assert not conn.is_in_transaction()
    assert (await consumer.counts()).num_ack_pending == int(knows)
    assert set(await consumer.take(9)) == ({"r1", "r2"} if knows else {"r0", "r1", "r2"})


@pytest.mark.parametrize(
    "forgotten", ["deallocate headrace_turn_lock", "select pg_terminate_backend(pg_backend_pid())"]
)
async def test_a_connection_that_forgot_its_statements_learns_them_again(
    log: Log, process: Process, consumer: Consumer, forgotten: str
) -> None:
    await log.append(*(record(f"r{n}") for n in range(4)))
    fresh = await process.consumer(log)
    got = await consumer.take()
    for each, wanted in ((consumer, "r1"), (fresh, "r0")):
        connections = [await log.db.api.acquire() for _ in range(log.db.api.get_max_size())]
        for conn in connections:
            with contextlib.suppress(*AWAY, asyncpg.InvalidSQLStatementNameError):
                await conn.execute(forgotten)
        for conn in connections:
            await log.db.api.release(conn)
        assert set(await each.take()) == {wanted}
    await consumer.ack(*got.values())
    assert (await consumer.counts()).num_ack_pending == 1


async def until(log: Log, condition: str) -> None:
    async with asyncio.timeout(30):
        while not await log.db.ingest.fetchval(condition):
            await asyncio.sleep(0.01)
