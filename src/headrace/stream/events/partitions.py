"""The days' partitions of the events: made by the first append that needs one, dropped as a whole when their day comes.

Dropping tells what it takes from consumers that had not come so far.
"""

import contextlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import asyncpg
import orjson

from headrace.db.pool import Conn, Database
from headrace.db.queries import inline, load
from headrace.stream.events.writing import expires_on
from headrace.stream.filters import Filters

_SQL = load(__package__, "partitions.sql")
_CREATE_PARTITION = _SQL.create_partition
_LIST_PARTITIONS = _SQL.list_partitions
_LIST_CONSUMERS = _SQL.list_consumers
_LOCK_PARTITION = _SQL.lock_partition
_DROP_PARTITION = _SQL.drop_partition
_READ_PLACE = _SQL.read_place
_COUNT_UNDELIVERED = _SQL.count_undelivered
_COUNT_HELD_BACK = _SQL.count_held_back
_DROP_DEAD_LETTERS = _SQL.drop_dead_letters
_INSERT_LOSS = _SQL.insert_loss

_NO_END = 2**53


async def _create(conn: Conn, day: date) -> None:
    with contextlib.suppress(asyncpg.DuplicateTableError, asyncpg.UniqueViolationError):  # another was quicker
        async with conn.transaction():
            await conn.execute(inline(_CREATE_PARTITION, _written(day), _written(day + timedelta(days=1))))


async def prepare(conn: Conn, now: datetime, event_days: int) -> bool:
    """Let events that are appended within the next hour find their partition; False when it was there already."""
    days = {expires_on(moment, event_days) for moment in (now, now + timedelta(hours=1))}
    missing = sorted(days - set(await _days(conn)))
    for day in missing:
        await _create(conn, day)
    return bool(missing)


async def drop_expired(db: Database, now: datetime) -> int:
    """Drop the partitions whose day has come; returns how many. One that somebody reads just now is left for later,
    one that another process drops at the same time is counted by that one.

    What a consumer had not been given is counted for it, exactly: nothing is given out of a partition that is locked.
    """
    dropped = 0
    async with db.ingest.acquire() as conn:
        for day in await _days(conn):
            if day <= now.astimezone(UTC).date():
                before = [
                    await _look(conn, stream, consumer, day) for stream, consumer in await conn.fetch(_LIST_CONSUMERS)
                ]
                with contextlib.suppress(asyncpg.LockNotAvailableError, asyncpg.UndefinedTableError):
                    await _drop(conn, day, before)
                    dropped += 1
    return dropped


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a consumer stands, and how many of the day's events lie beyond."""

    stream_id: UUID
    consumer_id: UUID
    generation: int
    position: int
    undelivered: int


async def _drop(conn: Conn, day: date, before: list[_Place]) -> None:
    async with conn.transaction():
        await conn.execute(inline(_LOCK_PARTITION, _written(day)))
        for place in before:
            lost = await _lost(conn, place, day)
            who = (place.stream_id, place.consumer_id)
            await conn.execute(_DROP_DEAD_LETTERS, *who, day)
            if lost:
                await conn.execute(_INSERT_LOSS, *who, day, lost)
        await conn.execute(inline(_DROP_PARTITION, _written(day)))


async def _look(conn: Conn, stream_id: UUID, consumer_id: UUID, day: date) -> _Place:
    row = await conn.fetchrow(_READ_PLACE, stream_id, consumer_id)
    if row is None:
        return _Place(stream_id, consumer_id, 0, _NO_END, 0)
    undelivered = await _undelivered(conn, stream_id, consumer_id, day, row["position"], _NO_END, row["filters"])
    return _Place(stream_id, consumer_id, row["generation"], row["position"], undelivered)


async def _lost(conn: Conn, before: _Place, day: date) -> int:
    """Under the lock. The long count was made before it; only what was given out since is counted here."""
    who = (before.stream_id, before.consumer_id)
    row = await conn.fetchrow(_READ_PLACE, *who)
    if row is None:
        return 0
    if row["generation"] != before.generation or row["position"] < before.position:
        beyond = await _undelivered(conn, *who, day, row["position"], _NO_END, row["filters"])
    else:
        since = await _undelivered(conn, *who, day, before.position, row["position"], row["filters"])
        beyond = before.undelivered - since
    return beyond + int(await conn.fetchval(_COUNT_HELD_BACK, *who, day, row["position"]))


async def _undelivered(
    conn: Conn, stream_id: UUID, consumer_id: UUID, day: date, after: int, up_to: int, filters: str
) -> int:
    if after >= up_to:
        return 0
    wanted = Filters.of(orjson.loads(filters)).parameters()
    return int(await conn.fetchval(_COUNT_UNDELIVERED, stream_id, consumer_id, day, after, up_to, *wanted))


async def _days(conn: Conn) -> list[date]:
    return [row["day"] for row in await conn.fetch(_LIST_PARTITIONS)]


def _written(day: date) -> int:
    return int(day.strftime("%Y%m%d"))
