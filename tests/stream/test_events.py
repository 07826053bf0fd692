"""Events: what happened to each record, written in the append's own transaction, for as long as they are kept."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from stream_consumer import Consumer, Process
from stream_log import Log, delete, record

from headrace.stream import lifecycle, retention
from headrace.stream.append import append_within
from headrace.stream.consumers import pending
from headrace.stream.consumers.lifecycle import dead_letters
from headrace.stream.erase import erase
from headrace.stream.events import partitions, reading
from headrace.stream.events.changes import old_values
from headrace.stream.events.reading import StoredEvent
from headrace.stream.events.writing import expires_on
from headrace.stream.items import Batch, Canon

DAYS = 7
_WAITING_FOR_A_LOCK = (
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)


@pytest.fixture
async def log(log: Log) -> Log:
    """A stream that keeps events."""
    await keep(log, DAYS)
    return log


@pytest.fixture
async def consumer(log: Log, process: Process) -> Consumer:
    return await process.consumer(log, kind="events")


async def keep(log: Log, days: int) -> None:
    async with log.db.transaction() as conn:
        await lifecycle.keep_events(conn, log.stream_id, days)


async def events(log: Log, after: int = 0, limit: int = 1000, **filters: Any) -> list[StoredEvent]:
    async with log.db.api.acquire() as conn:
        return await reading.read_after(conn, log.stream_id, after, limit, **filters)


async def told(log: Log) -> list[tuple[str, str, Any]]:
    return [(each.event, each.upstream_id, orjson.loads(each.changes)) for each in await events(log)]


async def expire(log: Log, days: int = DAYS + 2) -> int:
    return await partitions.drop_expired(log.db, log.db.clock.now() + timedelta(days=days))


async def test_an_event_tells_what_happened_and_what_was_before(log: Log) -> None:
    await log.append(record("a", 0), record("b", 0))
    await log.append(record("a", 1), record("b", 0))
    await log.append(delete("a", 2))
    await log.append(record("a", 3))
    assert await told(log) == [
        ("created", "a", {}),
        ("created", "b", {}),
        ("updated", "a", {"content": 0}),
        ("deleted", "a", {}),
        ("created", "a", {}),
    ]
    found = await events(log)
    assert [orjson.loads(each.data)["content"] for each in found] == [0, 0, 1, 1, 3]
    assert [each.deleted for each in found] == [False, False, False, True, False]
    assert found[-1].updated_idx == (await log.read())[-1].updated_idx == await log.head()


async def test_the_values_of_before_are_those_that_were_replaced_though_another_append_came_between(log: Log) -> None:
    await log.append(record("a", 0))
    async with log.db.transaction() as conn:
        await conn.execute("select from sync_epochs where sync_id = $1 for update", log.sync_id)
        await append_within(conn, log.fence, Batch([record("a", 1)]), {}, log.db.clock.now())
        overtaken = asyncio.create_task(log.append(record("a", 2)))  # has compared when it comes to the fence
        while not await log.db.api.fetchval(_WAITING_FOR_A_LOCK):
            assert not overtaken.done()
    assert (await overtaken).updated == 1
    assert await told(log) == [("created", "a", {}), ("updated", "a", {"content": 0}), ("updated", "a", {"content": 1})]


async def test_a_stream_that_keeps_no_events_has_none(log: Log) -> None:
    await keep(log, 0)
    await log.append(record("a", 0))
    await keep(log, 1)
    await log.append(record("a", 1))
    assert await told(log) == [("updated", "a", {"content": 0})]


async def test_what_was_read_again_and_what_comes_late_is_no_event(log: Log) -> None:
    await log.append(record("a", 5))
    await log.append(record("a", 5))
    await log.append(record("a", 1))
    await log.append(delete("never held", 1))
    assert await told(log) == [("created", "a", {})]


async def test_events_are_read_by_cursor_and_filtered_as_records_are(log: Log) -> None:
    other = await log.another_sync()
    await log.append(record("a"), record("b", collection="test:other"))
    await other.append(record("a", 1))
    everything = await events(log)
    assert [each.updated_idx for each in await events(log, after=everything[0].updated_idx)] == [2, 3]
    assert [each.upstream_id for each in await events(log, limit=1)] == ["a"]
    assert [each.collection_id for each in await events(log, collection_ids=["test:other"])] == ["test:other"]
    assert [each.sync_id for each in await events(log, sync_ids=[other.sync_id])] == [other.sync_id]
    assert await events(log, provider="shop") == []
    assert len(await events(log, provider="test", upstream_id="a", deleted=False)) == 2


async def test_a_purge_takes_the_events_away_at_once_and_their_rows_in_chunks(log: Log) -> None:
    other = await log.another_sync()
    await other.append(record("kept"))
    await log.append(*(record(f"r{n}", 0) for n in range(5)))
    await log.append(*(record(f"r{n}", 1) for n in range(5)))
    await log.purge()
    assert [each.upstream_id for each in await events(log)] == ["kept"]
    while await retention.purge_chunk(log.db, log.stream_id, limit=3):
        pass
    rows = "select count(*) from events where stream_id = $1"
    assert await log.db.api.fetchval(rows, log.stream_id) == 1
    await log.append(record("r0", 2))
    assert [each.event for each in await events(log)] == ["created", "created"]


async def test_what_is_to_be_forgotten_is_in_no_record_event_or_dead_letter(log: Log, process: Process) -> None:
    consumers = [await process.consumer(log, kind=kind) for kind in ("records", "events")]
    await log.append(record("a", 0), record("b", 0))
    await log.append(record("a", 1), record("b", 1))
    await log.append(delete("a", 2), delete("b", 2))
    for consumer in consumers:
        await consumer.term(*(await consumer.take(10)).values())
    ids = {each.upstream_id: each.record_id for each in await log.read()}
    before = await events(log)
    assert await erase(log.db, log.stream_id, ids["a"])

    assert {each.upstream_id: each.data == b"{}" for each in await log.read()} == {"a": True, "b": False}
    assert [(each.data, each.changes) for each in await events(log) if each.upstream_id == "a"] == [(b"{}", b"{}")] * 3
    assert [each for each in await events(log) if each.upstream_id == "b"] == [
        e for e in before if e.upstream_id == "b"
    ]
    for consumer in consumers:
        async with log.db.api.acquire() as conn:
            letters = await dead_letters(conn, log.stream_id, consumer.id, 10)
        assert {letter.entry.upstream_id: letter.entry.data == b"{}" for letter in letters} == {"a": True, "b": False}
    assert await erase(log.db, log.stream_id, ids["a"]), "a repeat"


async def test_what_is_held_is_not_forgotten(log: Log) -> None:
    await log.append(record("a"))
    before = await log.read(), await events(log)
    assert not await erase(log.db, log.stream_id, before[0][0].record_id)
    assert (await log.read(), await events(log)) == before


async def test_a_consumer_is_given_every_event_of_a_record_one_after_the_other(log: Log, consumer: Consumer) -> None:
    for moment in range(3):
        await log.append(record("a", moment), record("b", 0))
    seen = []
    while (delivered := await consumer.next(10)).messages:
        assert len({each.record_id for _, each in delivered.messages}) == len(delivered.messages)
        seen += [(each.upstream_id, orjson.loads(each.data)["content"]) for _, each in delivered.messages]
        await consumer.ack(*(token for token, _ in delivered.messages))
    assert seen == [("a", 0), ("b", 0), ("a", 1), ("a", 2)]
    assert (await consumer.counts()).num_pending == 0


async def test_an_event_waits_while_an_earlier_one_of_its_record_is_out(log: Log, consumer: Consumer) -> None:
    await log.append(record("a", 0))
    first = await consumer.take(10)
    await log.append(record("a", 1))
    await log.append(record("a", 2))
    assert (await consumer.next(10)).messages == []
    assert (await consumer.next(10)).num_pending == 0
    await consumer.nack(first["a"])
    [(token, again)] = (await consumer.next(10)).messages
    assert orjson.loads(again.data)["content"] == 0
    await consumer.ack(token)
    [(token, following)] = (await consumer.next(10)).messages
    assert orjson.loads(following.data)["content"] == 1
    await consumer.ack(token)
    [(_, last)] = (await consumer.next(10)).messages
    assert orjson.loads(last.data)["content"] == 2


async def test_an_event_set_aside_lets_the_next_one_through_and_replay_brings_it_back(
    log: Log, consumer: Consumer
) -> None:
    await log.append(record("a", 0))
    await log.append(record("a", 1))
    await consumer.term((await consumer.take(10))["a"], reason="odd")
    [(token, following)] = (await consumer.next(10)).messages
    assert following.updated_idx == 2
    assert await consumer.replay() == 0, "another event of the record is out"
    await consumer.ack(token)
    assert await consumer.replay() == 1
    [(token, replayed)] = (await consumer.next(10)).messages
    assert replayed.updated_idx == 1
    await log.append(record("a", 2))
    assert (await consumer.next(10)).messages == []
    await consumer.ack(token)
    assert [each.updated_idx for _, each in (await consumer.next(10)).messages] == [3], "what was acked stays acked"


async def test_two_events_of_a_record_may_be_set_aside(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, kind="events", max_deliver=1)
    for moment in range(3):
        await log.append(record("a", moment))
    for _ in range(2):
        await consumer.nack((await consumer.take(10))["a"])
    assert (await consumer.counts()).num_dead == 2
    async with log.db.api.acquire() as conn:
        [first] = await dead_letters(conn, log.stream_id, consumer.id, 1)
        [second] = await dead_letters(conn, log.stream_id, consumer.id, 10, first.place)
    assert [first.entry.updated_idx, second.entry.updated_idx] == [1, 2]
    [(_, third)] = (await consumer.next(10)).messages
    assert third.updated_idx == 3


async def test_deliver_policies_hold_for_events(log: Log, process: Process) -> None:
    await log.append(record("a", 0))
    await log.append(record("a", 1))
    given = {
        policy: [
            each.updated_idx
            for _, each in (await (await process.consumer(log, policy, kind="events")).next(10)).messages
        ]
        for policy in ("all", "last", "new", "1h")
    }
    assert given == {"all": [1], "last": [2], "new": [], "1h": [1]}


async def test_events_go_a_day_at_a_time_and_what_was_not_delivered_is_counted(log: Log, consumer: Consumer) -> None:
    await log.append(*(record(f"r{n}", 0) for n in range(4)))
    await log.append(record("r0", 1))
    await consumer.ack((await consumer.take(1))["r0"])
    assert await expire(log, days=DAYS - 1) == 0, "not before their day"
    assert len(await events(log)) == 5
    assert await expire(log) >= 1
    assert await events(log) == []
    counts = await consumer.counts()
    assert (counts.num_pending, counts.num_lost) == (0, 4)
    await log.append(record("r1", 2))
    assert [each.event for _, each in (await consumer.next(10)).messages] == ["updated"]  # type: ignore[union-attr]


async def test_num_pending_is_less_by_the_events_that_went(
    log: Log, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "EXACT_UP_TO", 2)
    await log.append(*(record(f"old{n}") for n in range(10)))
    await consumer.take(1)
    await expire(log)
    await log.append(*(record(f"new{n}") for n in range(3)))
    assert (await consumer.next(1)).num_pending == 2


async def test_what_waits_behind_a_message_counts_as_lost_too(log: Log, consumer: Consumer) -> None:
    await log.append(record("a", 0))
    await consumer.take(1)
    await log.append(record("a", 1))
    assert (await consumer.next(10)).messages == []
    await expire(log)
    assert (await consumer.counts()).num_lost == 1


async def test_a_partition_that_is_being_read_is_dropped_later(log: Log) -> None:
    await log.append(record("a"))
    async with log.db.transaction() as conn:
        await conn.fetch("select * from events")
        assert await expire(log) == 0
    assert len(await events(log)) == 1
    assert await expire(log) >= 1


async def test_a_delete_by_the_callers_own_transaction_is_an_event_too(log: Log) -> None:
    await log.append(record("a"))
    async with log.db.transaction() as conn:
        await conn.execute(
            "select from sync_epochs where stream_id = $1 and sync_id = $2 for update", log.stream_id, log.sync_id
        )
        await append_within(conn, log.fence, Batch([], [delete("a", 1)]), {}, log.db.clock.now())
    assert [each.event for each in await events(log)] == ["created", "deleted"]


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        (b'{"a":1,"b":2}', b'{"b":2,"a":1}', {}),
        (b'{"a":1}', b'{"a":1.0}', {"a": 1}),
        (b'{"a":1.10}', b'{"a":1.1}', {}),
        (b'{"a":1}', b"{}", {"a": 1}),
        (b"{}", b'{"a":1}', {"a": None}),
        (b'{"a":{"x":1,"t":1}}', b'{"a":{"x":1,"t":2},"v":3}', {}),
        (b'{"a":{"x":1,"t":1}}', b'{"a":{"x":2,"t":2}}', {"a": {"x": 1, "t": 1}}),
        (b'{"a":"\\ud800","b":[1, 2]}', b'{"a":"\\ud800","b":[1, 3]}', {"b": [1, 2]}),
        (b'{"\\u0000":"\\u0000"}', b'{"\\u0000":"x"}', {"\0": "\0"}),
        (b"[1]", b"[2]", {}),
    ],
)
def test_changes_are_the_old_values_of_what_is_otherwise(old: bytes, new: bytes, changed: dict[str, Any]) -> None:
    assert orjson.loads(old_values(old, new, Canon(1, ("v", "a.t")))) == changed


def test_every_digit_of_an_old_value_is_kept() -> None:
    old = b'{"n": 12345678901234567890.10, "m": 1}'
    assert b"12345678901234567890.10" in old_values(old, b'{"n": 1, "m": 1}', Canon())


def test_the_day_of_an_event_is_that_on_which_all_its_days_are_over() -> None:
    assert expires_on(datetime.fromisoformat("2026-11-23T23:59:00+00:00"), 1).isoformat() == "2026-11-25"


async def test_an_event_passed_by_the_turn_that_gives_the_one_before_again_is_not_lost(
    log: Log, consumer: Consumer
) -> None:
    await log.append(record("a", 0))
    await consumer.nack((await consumer.take(1))["a"])
    await log.append(record("a", 1))
    await log.append(record("b", 0))
    both = await consumer.next(10)
    assert [each.updated_idx for _, each in both.messages] == [1, 3]
    await consumer.ack(*(token for token, _ in both.messages))
    assert [each.updated_idx for _, each in (await consumer.next(10)).messages] == [2]
