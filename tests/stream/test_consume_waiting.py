"""A waiting call costs nothing, claims nothing, and is answered when there is something."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from stream_consumer import Consumer, Process
from stream_log import Log, record

from headrace.errors import TooManyRequests
from headrace.stream import wake
from headrace.stream.consumers import Delivered, desk
from headrace.stream.wake import CHANNEL


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
def without_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process looks for what came by itself: who waits must be woken."""
    monkeypatch.setattr(desk, "_LOOK_AGAIN_S", 1000.0)
    monkeypatch.setattr(wake, "_LOOK_EVERY_S", 1000.0)


async def waits(process: Process, log: Log, consumer: Consumer) -> asyncio.Task[Delivered]:
    waiting = asyncio.create_task(consumer.next(1, wait_ms=300_000))
    await until(lambda: (stream := process.wakeups._streams.get(log.stream_id)) and stream.waiting)
    return waiting


@pytest.mark.usefixtures("without_looks")
async def test_a_waiting_call_is_answered_by_the_commit_of_an_append(
    log: Log, process: Process, consumer: Consumer
) -> None:
    waiting = await waits(process, log, consumer)
    await log.append(record("a"))
    process.wakeups.appended(log.stream_id)

    assert [r.upstream_id for _, r in (await asyncio.wait_for(waiting, 60)).messages] == ["a"]


@pytest.mark.usefixtures("without_looks")
async def test_another_process_is_woken_by_a_notification(
    log: Log, consumer: Consumer, process: Process, other_process: Process
) -> None:
    waiting = await waits(process, log, consumer)
    await log.append(record("a"))
    other_process.wakeups.appended(log.stream_id)
    await asyncio.wait((waiting,), timeout=30)

    assert waiting.done(), "nobody told this process"
    assert len(waiting.result().messages) == 1


async def test_a_stream_that_grows_often_is_told_of_ten_times_a_second_at_most(log: Log, process: Process) -> None:
    loop = asyncio.get_running_loop()
    told: list[str] = []
    listening = await asyncpg.connect(log.db.dsn)
    try:
        await listening.add_listener(CHANNEL, lambda *heard: told.append(heard[-1]))
        began = loop.time()
        for _ in range(300):
            process.wakeups.appended(log.stream_id)
            await asyncio.sleep(0.001)
        async with asyncio.timeout(60):
            while not told:
                await listening.execute("select 1")
        assert set(told) == {str(log.stream_id)}
        assert len(told) <= 2 + (loop.time() - began) * 10
    finally:
        await listening.close()


async def test_without_any_notification_a_look_finds_what_came(log: Log, consumer: Consumer) -> None:
    waiting = asyncio.create_task(consumer.next(1, wait_ms=60_000))
    await asyncio.sleep(0)
    await log.append(record("a"))

    assert len((await waiting).messages) == 1


async def test_a_call_waits_for_a_full_batch_or_for_its_time(log: Log, process: Process, consumer: Consumer) -> None:
    await log.append(record("a"))
    waiting = asyncio.create_task(consumer.next(3, wait_ms=60_000))
    short = await consumer.next(3, wait_ms=100)
    assert [r.upstream_id for _, r in short.messages] == ["a"]
    await consumer.nack(short.messages[0][0])
    await log.append(record("b"), record("c"))
    process.wakeups.appended(log.stream_id)

    assert {r.upstream_id for _, r in (await waiting).messages} == {"a", "b", "c"}


async def test_nothing_is_claimed_while_a_call_waits(log: Log, consumer: Consumer) -> None:
    await log.append(record("a"))
    waiting = asyncio.create_task(consumer.next(2, wait_ms=60_000))
    await until(lambda: not waiting.done())
    counts = await consumer.counts()
    assert (counts.num_pending, counts.num_ack_pending) == (1, 0)
    assert list(await consumer.take(1)) == ["a"], "a call that does not wait is served before it"
    waiting.cancel()


async def test_a_caller_that_has_gone_claims_nothing(log: Log, process: Process, consumer: Consumer) -> None:
    gone = asyncio.Event()
    waiting = asyncio.create_task(consumer.next(1, wait_ms=60_000, gone=gone))
    await asyncio.sleep(0.05)
    gone.set()
    assert (await waiting).messages == []
    await log.append(record("a"))
    process.wakeups.appended(log.stream_id)

    assert list(await consumer.take(1)) == ["a"]


async def test_what_was_claimed_for_a_caller_that_went_meanwhile_goes_back(log: Log, consumer: Consumer) -> None:
    """The caller hangs up at every possible moment of the turn; the message is never out with nobody."""
    await log.append(record("a"))
    for steps in range(0, 40, 2):
        gone = asyncio.Event()
        waiting = asyncio.create_task(consumer.next(1, wait_ms=60_000, gone=gone))
        for _ in range(steps):
            await asyncio.sleep(0.0005)
        gone.set()
        answer = await waiting
        if answer.messages:
            await consumer.nack(answer.messages[0][0], delay_ms=0)
        token = (await consumer.next(1, wait_ms=20_000)).messages[0][0]
        await consumer.ack(token)
        await log.append(record("a", steps + 1))


async def test_with_no_room_a_call_waits_for_room(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, max_ack_pending=1)
    await log.append(record("a"), record("b"))
    out = await consumer.take()
    waiting = asyncio.create_task(consumer.next(1, wait_ms=60_000))
    assert (await consumer.next(1, wait_ms=50)).messages == []
    await consumer.ack(out["a"])

    assert [r.upstream_id for _, r in (await waiting).messages] == ["b"]


async def test_full_is_what_there_is_room_for(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, max_ack_pending=2)
    await log.append(record("a"), record("b"), record("c"))

    assert len((await consumer.next(10, wait_ms=60_000)).messages) == 2


async def test_a_call_in_another_process_is_woken_by_room_and_by_nacks(
    log: Log, process: Process, other_process: Process
) -> None:
    consumer = await process.consumer(log, max_ack_pending=1)
    there = consumer.elsewhere(other_process.dispatcher)
    await log.append(record("a"), record("b"))
    out = await consumer.take()
    waiting = asyncio.create_task(there.next(1, wait_ms=60_000))
    await consumer.ack(out["a"])
    token, got = (await waiting).messages[0]
    assert got.upstream_id == "b"
    waiting = asyncio.create_task(consumer.next(1, wait_ms=60_000))
    await there.nack(token)

    assert (await waiting).messages[0][1].upstream_id == "b"


async def test_a_hundred_calls_may_wait_and_one_more_may_not(log: Log, process: Process, consumer: Consumer) -> None:
    assert (await consumer.next(1)).messages == []  # the consumer is known to the process from here on
    waiting = [asyncio.create_task(consumer.next(1, wait_ms=60_000)) for _ in range(desk.MOST_WAITING)]
    await asyncio.sleep(0.1)
    with pytest.raises(TooManyRequests):
        await consumer.next(1, wait_ms=1)
    assert (await consumer.next(1)).messages == [], "a call that does not wait is no burden"
    await log.append(*(record(f"{n}") for n in range(desk.MOST_WAITING)))
    process.wakeups.appended(log.stream_id)

    answers = await asyncio.gather(*waiting)
    assert {r.upstream_id for answer in answers for _, r in answer.messages} == {f"{n}" for n in range(100)}


async def test_waiting_calls_ask_the_database_nothing(log: Log, consumer: Consumer) -> None:
    waiting = [asyncio.create_task(consumer.next(1, wait_ms=60_000)) for _ in range(50)]
    await asyncio.sleep(2.5)  # past the first look at the heads
    before, began = await statements(log), asyncio.get_running_loop().time()
    await asyncio.sleep(2)
    asked, seconds = await statements(log) - before, asyncio.get_running_loop().time() - began
    for each in waiting:
        each.cancel()

    assert asked <= 2 * seconds + 4, "one look a second for all of them, and this test's own"


async def statements(log: Log) -> int:
    """Transactions of this database so far: a statement is one where none was begun."""
    await log.db.api.execute("select pg_stat_force_next_flush()")
    query = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()"
    return int(await log.db.api.fetchval(query))


async def test_concurrent_calls_share_transactions(log: Log, consumer: Consumer) -> None:
    await log.append(*(record(f"{n}") for n in range(64)))
    await consumer.counts()
    answers = await asyncio.gather(*(consumer.next(1) for _ in range(64)))
    await asyncio.gather(*(consumer.ack(token) for answer in answers for token, _ in answer.messages))

    assert len({r.record_id for answer in answers for _, r in answer.messages}) == 64
    turns = await log.db.api.fetchval("select max(seq) from consumer_positions")
    assert turns < 20


async def test_when_the_process_stops_waiting_calls_end(log: Log, consumer: Consumer) -> None:
    waiting = asyncio.create_task(consumer.next(1, wait_ms=60_000))
    await asyncio.sleep(0.05)
    await consumer.dispatcher.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_nobody_is_answered_before_the_disk_has_it(
    log: Log, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn commits without waiting for the disk; the answer waits for a flush that began after it."""
    await log.append(record("a"))
    flushing, may_flush = asyncio.Event(), asyncio.Event()
    flush = consumer.dispatcher._flush
    to_disk = flush._to_disk

    async def slow_disk() -> None:
        flushing.set()
        await may_flush.wait()
        await to_disk()

    monkeypatch.setattr(flush, "_to_disk", slow_disk)
    taking = asyncio.create_task(consumer.take(1))
    await until(lambda: flushing.is_set() or taking.done())
    assert not taking.done(), "it was answered before anything was flushed"
    assert (await consumer.counts()).num_ack_pending == 1, "it is committed"
    assert not taking.done()
    may_flush.set()
    token = (await taking)["a"]
    may_flush.clear()
    acking = asyncio.create_task(consumer.ack(token))
    while (await consumer.counts()).num_ack_pending:
        assert not acking.done()
    assert not acking.done()
    may_flush.set()
    await acking


async def test_when_the_flush_fails_the_callers_are_told(
    log: Log, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.append(record("a"))

    async def broken() -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(consumer.dispatcher._flush, "_to_disk", broken)
        with pytest.raises(ConnectionResetError):
            await consumer.take(1)
    assert (await consumer.counts()).num_ack_pending == 1, "the outcome was unknown, and was this"
    assert await consumer.take(1) == {}
