"""What leaves the log: purges, records that are too old, deleted ones kept long enough, values that are past.

Everything goes in chunks, by key, so that no step holds a lock for long (`portions.py`). Each function does one chunk;
call it until it returns 0. None of it gives a message: readers see less, and a consumer counts anew what waits.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import orjson

from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.errors import Fenced
from headrace.stream import counts, lifecycle
from headrace.stream.items import Fence

_SQL = load(__package__, "retention.sql")
_READ_PURGE = _SQL.read_purge
_FIND_PURGED = _SQL.find_purged
_PURGE_RECORDS = _SQL.purge_records
_PURGE_TOMBSTONES = _SQL.purge_tombstones
_FIND_PURGED_EVENTS = _SQL.find_purged_events
_PURGE_EVENTS = _SQL.purge_events
_DROP_DEAD_LETTERS = _SQL.drop_dead_letters
_READ_SWEEPS, _FORGET_SEEN = _SQL.read_sweeps, _SQL.forget_seen
_FINISH_PURGE = _SQL.finish_purge
_FINISH_SYNC = (
    _SQL.finish_epoch,
    _SQL.finish_state,
    _SQL.finish_checkpoints,
    _SQL.finish_dictionaries,
    _SQL.finish_held_deletes,
    _SQL.finish_set_aside,
)
_BEGIN_REMOVAL = _SQL.begin_removal
_AGED = (_SQL.find_aged, _SQL.age_out)
_DELETED = (_SQL.find_deleted, _SQL.drop_deleted)
_DROP_HEADS = _SQL.drop_heads
_READ_CONSUMERS = _SQL.read_consumers
_DROP_POSITIONS = _SQL.drop_positions

_KEPT = timedelta(minutes=65)  # `1h` needs an hour of heads
_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class _Place:
    """Everything of the purge up to here is gone, and stays so: what comes again has a higher number."""

    purge_id: UUID
    collection_id: str | None = None
    updated_idx: int = 0
    event_idx: int = 0


@dataclass(slots=True)
class PurgeWalk:
    """How far the purges of a stream have come, in the memory of whoever does them. Nothing depends on it but time:
    without it a chunk has to walk over what the chunks before it deleted, until vacuum has been there."""

    place: _Place | None = None


@dataclass(slots=True)
class AgeWalk:
    """How far one walk through a sync's records by age has come."""

    since: datetime | None = None


Removal: TypeAlias = Callable[[Database, Fence, datetime, int, AgeWalk], Awaitable[int]]


async def purge_chunk(db: Database, stream_id: UUID, limit: int = 1000, walk: PurgeWalk | None = None) -> int:
    """Remove up to `limit` rows of the stream's oldest purge; returns how many, 0 when no purge is left.

    The end of a purge counts as one row, and takes a deleted sync's fence, state and checkpoints along. The stream
    itself may be gone already. `walk` is given again with the stream's next chunk.
    """
    walk = walk or PurgeWalk()
    async with db.ingest.acquire() as conn, conn.transaction():
        purge = await conn.fetchrow(_READ_PURGE, stream_id)
        if purge is None:
            return 0
        place = walk.place
        if place is None or place.purge_id != purge["purge_id"]:
            place = _Place(purge["purge_id"])
        gone, place = await _purge_rows(conn, stream_id, purge, limit, place)
        if not gone:
            if purge["cause"] == "sync_deleted":
                for statement in _FINISH_SYNC:
                    await conn.execute(statement, stream_id, purge["sync_id"])
            await conn.execute(_FINISH_PURGE, stream_id, purge["purge_id"])
    walk.place = place  # committed: what was skipped otherwise would be seen again when the purge is over
    return gone or 1


async def _purge_rows(conn: Conn, stream_id: UUID, purge: Any, limit: int, place: _Place) -> tuple[int, _Place]:
    """Records first, then, of a sync that is gone, its guards and what its sweeps have seen, then events."""
    sync_id, up_to, deleted = purge["sync_id"], purge["up_to"], purge["cause"] == "sync_deleted"
    scope = (stream_id, sync_id, purge["collection_id"], up_to, limit)
    if rows := await conn.fetch(_FIND_PURGED, *scope, place.collection_id, place.updated_idx):
        place = replace(place, collection_id=rows[-1]["collection_id"], updated_idx=rows[-1]["updated_idx"])
        await conn.execute(_PURGE_RECORDS, stream_id, [row["record_id"] for row in rows], up_to)
    elif deleted:
        rows = await conn.fetch(_PURGE_TOMBSTONES, stream_id, sync_id, limit)
    if rows:
        await _drop_dead_letters(conn, stream_id, rows)
        return len(rows), place
    if deleted and (seen := await _forget_seen(conn, stream_id, sync_id, limit)):
        return seen, place
    if events := await conn.fetch(_FIND_PURGED_EVENTS, *scope, place.event_idx):
        place = replace(place, event_idx=events[-1]["updated_idx"])
        await conn.execute(_PURGE_EVENTS, stream_id, [row["updated_idx"] for row in events])
    return len(events), place


async def _forget_seen(conn: Conn, stream_id: UUID, sync_id: UUID, limit: int) -> int:
    marks = [orjson.loads(row["value"]) for row in await conn.fetch(_READ_SWEEPS, stream_id, sync_id)]
    sweeps = [UUID(mark["sweep_id"]) for mark in marks if mark.get("sweep_id") is not None]
    return _count(await conn.execute(_FORGET_SEEN, stream_id, sweeps, limit)) if sweeps else 0


async def age_out(db: Database, fence: Fence, older_than: datetime, limit: int, walk: AgeWalk) -> int:
    """Remove up to `limit` records of the sync whose later time, created or updated, is before `older_than`; returns
    how many. What this costs goes by what is too old, not by what is held.

    `walk` is given again until it is through. Raises Fenced when another limit may be in force by now: epoch or
    revision are no longer those of the fence.
    """
    return await _remove(db, _AGED, fence, older_than, limit, walk)


async def drop_deleted(db: Database, fence: Fence, deleted_before: datetime, limit: int, walk: AgeWalk) -> int:
    """The same for records that were found deleted before `deleted_before`, tombstones included."""
    return await _remove(db, _DELETED, fence, deleted_before, limit, walk)


async def drop_old_positions(db: Database, stream_id: UUID) -> int:
    """Remove some of the stream's past heads and its consumers' past positions; what is in force stays."""
    async with db.ingest.acquire() as conn:
        dropped = _count(await conn.execute(_DROP_HEADS, stream_id, db.clock.now() - _KEPT, _ROWS))
        for row in await conn.fetch(_READ_CONSUMERS, stream_id):
            who = (stream_id, row["consumer_id"], row["generation"])
            dropped += _count(await conn.execute(_DROP_POSITIONS, *who, _ROWS))
    return dropped


async def _remove(
    db: Database, statements: tuple[str, str], fence: Fence, before: datetime, limit: int, walk: AgeWalk
) -> int:
    find, delete = statements
    async with db.ingest.acquire() as conn, conn.transaction():
        if not await conn.fetchval(_BEGIN_REMOVAL, fence.stream_id, fence.sync_id, fence.epoch, fence.revision):
            raise Fenced(f"Sync {fence.sync_id} is no longer this worker's: nothing was removed.")
        rows = await conn.fetch(find, fence.stream_id, fence.sync_id, before, limit, walk.since)
        if rows:
            gone = await conn.fetch(delete, fence.stream_id, [row["record_id"] for row in rows], before)
            living = Counter(row["collection_id"] for row in gone if row["counted"])
            await counts.add(conn, fence.stream_id, fence.sync_id, {each: -count for each, count in living.items()})
            await _drop_dead_letters(conn, fence.stream_id, rows)
            await lifecycle.tell_removal(conn, fence.stream_id, db.clock.now())
    if rows:
        walk.since = rows[-1]["moment"]
    return len(rows)


async def _drop_dead_letters(conn: Conn, stream_id: UUID, rows: Sequence[Any]) -> None:
    await conn.execute(_DROP_DEAD_LETTERS, stream_id, [row["record_id"] for row in rows])


def _count(done: str) -> int:
    return int(done.rsplit(" ", 1)[1])
