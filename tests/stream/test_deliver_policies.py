"""Where a consumer begins, and where a reset moves it."""

from datetime import timedelta

import pytest
from stream_consumer import Consumer, Process
from stream_log import Log, record

from headrace.stream import retention


@pytest.mark.parametrize(("policy", "wanted"), [("all", "abc"), ("new", ""), ("last", "c"), ("1h", "abc")])
async def test_where_a_consumer_begins(log: Log, process: Process, policy: str, wanted: str) -> None:
    await log.append(*(record(id_) for id_ in "abc"))
    consumer = await process.consumer(log, policy)
    await log.append(record("x"))

    assert list(await consumer.take(10)) == [*wanted, "x"]


async def test_last_is_the_streams_last_record_whatever_the_filters(log: Log, process: Process) -> None:
    filters = {"collection_id": "test:wanted"}
    await log.append(record("a", collection="test:wanted"))
    await log.append(record("b"))
    behind = await process.consumer(log, "last", filters=filters)
    assert await behind.take(10) == {}
    await log.append(record("c", collection="test:wanted"))
    assert list(await behind.take(10)) == ["c"]
    assert list(await (await process.consumer(log, "last", filters=filters)).take(10)) == ["c"]


async def test_last_is_not_what_a_purge_takes_away(log: Log, process: Process) -> None:
    await log.append(record("a"))
    await log.append(record("b", collection="test:purged"))
    await log.purge("test:purged")
    assert list(await (await process.consumer(log, "last")).take(10)) == ["a"]


async def test_from_the_last_hour_on(log: Log, process: Process) -> None:
    await log.append(record("old"))
    await log.db.api.execute("update stream_heads set appended_at = appended_at - $1::interval", timedelta(minutes=61))
    await log.append(record("young"))
    await retention.drop_old_positions(log.db, log.stream_id)

    assert list(await (await process.consumer(log, "1h")).take(10)) == ["young"]


async def test_reset_moves_voids_tokens_and_keeps_dead_letters(log: Log, consumer: Consumer) -> None:
    await log.append(*(record(id_) for id_ in "abc"))
    out = await consumer.take(10)
    await consumer.term(out["a"])
    await consumer.reset("last")
    await consumer.ack(out["b"], out["c"])

    assert list(await consumer.dead()) == ["a"]
    assert list(await consumer.take(10)) == ["c"]
    await consumer.reset("all")
    assert list(await consumer.take(10)) == ["a", "b", "c"]
