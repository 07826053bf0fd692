"""What leaves the log: purges, records that are too old, deleted ones kept long enough, values that are past.

Everything goes in chunks, by key, so that no step holds a lock for long. Each function does one chunk; call it until
it returns 0. None of it gives a number or a message: readers see less, and no consumer is told.
"""

from datetime import datetime, timedelta
from uuid import UUID

from headrace.db.pool import Conn, Database
from headrace.db.queries import load

_SQL = load(__package__, "retention.sql")
_READ_PURGE = _SQL.read_purge
_PURGE_RECORDS = _SQL.purge_records
_PURGE_TOMBSTONES = _SQL.purge_tombstones
_PURGE_EVENTS = _SQL.purge_events
_DROP_DEAD_LETTERS = _SQL.drop_dead_letters
_FINISH_PURGE = _SQL.finish_purge
_FINISH_SYNC = (
    _SQL.finish_epoch,
    _SQL.finish_state,
    _SQL.finish_checkpoints,
    _SQL.finish_held_deletes,
    _SQL.finish_set_aside,
)
_AGE_OUT = _SQL.age_out
_DROP_DELETED = _SQL.drop_deleted
_DROP_HEADS = _SQL.drop_heads
_READ_CONSUMERS = _SQL.read_consumers
_DROP_POSITIONS = _SQL.drop_positions

_KEPT = timedelta(minutes=65)  # `1h` needs an hour of heads
_ROWS = 10_000


async def purge_chunk(db: Database, stream_id: UUID, limit: int = 1000) -> int:
    """Remove up to `limit` rows of the stream's oldest purge; returns how many, 0 when no purge is left.

    The end of a purge counts as one row, and takes a deleted sync's fence, state and checkpoints along. The stream
    itself may be gone already.
    """
    async with db.ingest.acquire() as conn, conn.transaction():
        purge = await conn.fetchrow(_READ_PURGE, stream_id)
        if purge is None:
            return 0
        sync_id, gone = purge["sync_id"], purge["cause"] == "sync_deleted"
        rows = await conn.fetch(_PURGE_RECORDS, stream_id, sync_id, purge["collection_id"], purge["up_to"], limit)
        if not rows and gone:
            rows = await conn.fetch(_PURGE_TOMBSTONES, stream_id, sync_id, limit)
        if rows:
            await _drop_dead_letters(conn, stream_id, [row["record_id"] for row in rows])
            return len(rows)
        scope = (stream_id, sync_id, purge["collection_id"], purge["up_to"])
        if events := _count(await conn.execute(_PURGE_EVENTS, *scope, limit)):
            return events
        if gone:
            for statement in _FINISH_SYNC:
                await conn.execute(statement, stream_id, sync_id)
        await conn.execute(_FINISH_PURGE, stream_id, purge["purge_id"])
        return 1


async def age_out(db: Database, stream_id: UUID, sync_id: UUID, older_than: datetime, limit: int) -> int:
    """Remove up to `limit` records of the sync whose later time, created or updated, is before `older_than`."""
    return await _remove(db, _AGE_OUT, stream_id, sync_id, older_than, limit)


async def drop_deleted(db: Database, stream_id: UUID, sync_id: UUID, deleted_before: datetime, limit: int) -> int:
    """Remove up to `limit` records of the sync that were found deleted before `deleted_before`, tombstones included."""
    return await _remove(db, _DROP_DELETED, stream_id, sync_id, deleted_before, limit)


async def drop_old_positions(db: Database, stream_id: UUID) -> int:
    """Remove some of the stream's past heads and its consumers' past positions; what is in force stays."""
    async with db.ingest.acquire() as conn:
        dropped = _count(await conn.execute(_DROP_HEADS, stream_id, db.clock.now() - _KEPT, _ROWS))
        for row in await conn.fetch(_READ_CONSUMERS, stream_id):
            who = (stream_id, row["consumer_id"], row["generation"])
            dropped += _count(await conn.execute(_DROP_POSITIONS, *who, _ROWS))
    return dropped


async def _remove(db: Database, statement: str, stream_id: UUID, sync_id: UUID, before: datetime, limit: int) -> int:
    async with db.ingest.acquire() as conn, conn.transaction():
        rows = await conn.fetch(statement, stream_id, sync_id, before, limit)
        if rows:
            await _drop_dead_letters(conn, stream_id, [row["record_id"] for row in rows])
        return len(rows)


async def _drop_dead_letters(conn: Conn, stream_id: UUID, record_ids: list[UUID]) -> None:
    await conn.execute(_DROP_DEAD_LETTERS, stream_id, record_ids)


def _count(done: str) -> int:
    return int(done.rsplit(" ", 1)[1])
