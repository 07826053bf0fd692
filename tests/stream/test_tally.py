"""How much a consumer was given and acked shows by the minute, whichever process served it."""

from datetime import timedelta

from stream_consumer import Process
from stream_log import Log, record

from headrace import ids
from headrace.db.pool import Database
from headrace.stream.consumers import tally
from headrace.stream.consumers.storage import Key
from headrace.stream.consumers.tally import Tally


async def told(db: Database, key: Key) -> tuple[int, int]:
    """(delivered, acked) of all minutes."""
    async with db.api.acquire() as conn:
        found = await tally.minutes(conn, key, db.clock.now() - timedelta(hours=1))
    return sum(given for given, _ in found.values()), sum(acked for _, acked in found.values())


async def test_processes_add_to_the_same_figures(db: Database) -> None:
    stream_id = ids.uuid7()
    key, other = Key(stream_id, ids.uuid7()), Key(stream_id, ids.uuid7())
    for _ in range(2):
        process = Tally(db.clock)
        process.delivered(key, 5)
        process.delivered(key, 0)
        process.acked(key, 3)
        process.acked(other, 1)
        await process.write(db)
        await process.write(db)
    assert await told(db, key) == (10, 6)
    assert await told(db, other) == (0, 2)


async def test_a_token_that_is_named_twice_was_acked_once(log: Log, process: Process) -> None:
    consumer = await process.consumer(log)
    await log.append(record("a"), record("b"))
    out = await consumer.take(2)
    await consumer.ack(out["a"], out["b"], out["a"])
    await process.dispatcher.tally.write(log.db)
    assert await told(log.db, Key(log.stream_id, consumer.id)) == (2, 2)


async def test_what_could_not_be_written_is_written_later(db: Database) -> None:
    key = Key(ids.uuid7(), ids.uuid7())
    process = Tally(db.clock)
    process.delivered(key, 5)
    await db.api.execute("alter table consumer_minutes rename to elsewhere")
    try:
        await process.write(db)
    except Exception:
        await db.api.execute("alter table elsewhere rename to consumer_minutes")
    await process.write(db)
    assert await told(db, key) == (5, 0)


async def test_what_is_old_goes(db: Database) -> None:
    key = Key(ids.uuid7(), ids.uuid7())
    process = Tally(db.clock)
    process.acked(key, 1)
    await process.write(db)
    await tally.forget_old(db, key.stream_id, db.clock.now() + timedelta(minutes=1))
    assert await told(db, key) == (0, 0)
