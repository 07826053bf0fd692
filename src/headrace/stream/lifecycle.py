"""Beginnings and ends in the data plane: streams, syncs, purges. Each function runs in the caller's transaction."""

from datetime import datetime
from uuid import UUID

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.errors import NotFound
from headrace.ids import uuid7
from headrace.stream import counts

_SQL = load(__package__, "lifecycle.sql")
_CREATE_STREAM = (_SQL.create_lock, _SQL.create_head)
_SET_EVENT_DAYS = _SQL.set_event_days
_CREATE_EPOCH = _SQL.create_epoch
_CREATE_STATE = _SQL.create_state
_BUMP_REVISION = _SQL.bump_revision
_DELETE_EPOCH = _SQL.delete_epoch
_LOCK_STREAM = _SQL.lock_stream
_READ_HEAD = _SQL.read_head
_TELL_REMOVAL = _SQL.tell_removal
_CREATE_PURGE = _SQL.create_purge
_COUNT_VISIBLE = _SQL.count_visible
_DROP_STREAM = (
    _SQL.drop_lock,
    _SQL.drop_heads,
    _SQL.drop_epochs,
    _SQL.drop_states,
    _SQL.drop_checkpoints,
    _SQL.drop_minutes,
    _SQL.drop_log,
    _SQL.drop_consumer_minutes,
    _SQL.drop_held_deletes,
    _SQL.drop_set_aside,
)


async def create_stream(conn: Conn, stream_id: UUID, now: datetime, event_days: int = 0) -> None:
    """A stream that appends can be made to; its first number is 1. Events are kept for `event_days`; 0: not at all."""
    await conn.execute(_CREATE_STREAM[0], stream_id, event_days)
    await conn.execute(_CREATE_STREAM[1], stream_id, now)


async def keep_events(conn: Conn, stream_id: UUID, event_days: int) -> None:
    """Keep the events of later appends for so many days; 0: there are none. What is kept already keeps its day."""
    await conn.execute(_SET_EVENT_DAYS, stream_id, event_days)


async def delete_stream(conn: Conn, stream_id: UUID) -> None:
    """End a stream without living syncs and consumers. What is left of the records of deleted syncs stays invisible,
    and goes in chunks as their purges say."""
    for statement in _DROP_STREAM:
        await conn.execute(statement, stream_id)


async def create_sync(conn: Conn, stream_id: UUID, sync_id: UUID, org_id: UUID) -> None:
    """The rows that the engine needs of a new sync: its fence, with epoch and revision 0, and its state."""
    await conn.execute(_CREATE_EPOCH, stream_id, sync_id, org_id)
    await conn.execute(_CREATE_STATE, stream_id, sync_id)


async def bump_revision(conn: Conn, stream_id: UUID, sync_id: UUID) -> int:
    """The new revision: from the commit on, appends with an older one are refused. Waits for those under way.

    Raises NotFound for a sync that is deleted.
    """
    revision = await conn.fetchval(_BUMP_REVISION, stream_id, sync_id)
    if revision is None:
        raise NotFound(f"There is no sync {sync_id}: it was deleted.")
    return int(revision)


async def delete_sync(conn: Conn, stream_id: UUID, sync_id: UUID, now: datetime) -> None:
    """Refuse every later append, and make the sync's records invisible and undeliverable from the commit on, however
    many there are. The rows go later (`retention.purge_chunk`). A sync deleted before stays as it is."""
    if await conn.fetchval(_DELETE_EPOCH, stream_id, sync_id) is not None:
        await _begin_purge(conn, stream_id, sync_id, None, "sync_deleted", now)


async def purge(conn: Conn, stream_id: UUID, sync_id: UUID, collection_id: str | None, now: datetime) -> int:
    """Make the records that the sync (or one collection of it) holds invisible and undeliverable from the commit on.

    Returns how many a reader saw before. The rows go later (`retention.purge_chunk`). Numbers go on where they stood;
    what is read again is appended as new. Appends under way are waited for, later ones with the old revision refused.
    """
    await bump_revision(conn, stream_id, sync_id)
    visible = await conn.fetchval(_COUNT_VISIBLE, stream_id, sync_id, collection_id)
    await _begin_purge(conn, stream_id, sync_id, collection_id, "purge", now)
    return int(visible)


async def tell_removal(conn: Conn, stream_id: UUID, now: datetime) -> None:
    """Let consumers count anew what waits: from the commit on, records are gone. Takes the stream's lock, so it comes
    last."""
    await conn.execute(_LOCK_STREAM, stream_id)
    await conn.execute(_TELL_REMOVAL, stream_id, now)


async def _begin_purge(
    conn: Conn, stream_id: UUID, sync_id: UUID, collection_id: str | None, cause: str, now: datetime
) -> None:
    # The epoch row is locked already, as the order of locks demands; the head that is read here is the last.
    await conn.execute(_LOCK_STREAM, stream_id)
    head = await conn.fetchval(_READ_HEAD, stream_id)
    await conn.execute(_CREATE_PURGE, stream_id, uuid7(), sync_id, collection_id, head or 0, cause, now)
    await conn.execute(_TELL_REMOVAL, stream_id, now)
    await counts.forget(conn, stream_id, sync_id, collection_id)
