"""The append: one answer of a provider, or several merged, in one transaction with the checkpoints that it proves."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import orjson

from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.errors import Fenced
from headrace.stream import columns, copying, counts, dictionaries
from headrace.stream.compare import Changes, compare
from headrace.stream.events import partitions, writing
from headrace.stream.events.writing import Drafts
from headrace.stream.incoming import Incoming, identify, newest
from headrace.stream.items import Appended, Batch, Canon, CheckpointWrite, Delete, Fence
from headrace.stream.ready import Ready, ready

_SQL = load(__package__, "append.sql")
_READ_CHILDREN = _SQL.read_children
_LOCK_EPOCH = _SQL.lock_epoch
_LOCK_STREAM = _SQL.lock_stream
_TAKE_NUMBERS = _SQL.take_numbers
_UPSERT_RECORDS = _SQL.upsert_records
_DELETE_RECORD = _SQL.delete_record
_INSERT_TOMBSTONES = _SQL.insert_tombstones
_REFRESH_RECORD = _SQL.refresh_record
_DROP_PURGED = _SQL.drop_purged
_INSERT_SEEN = _SQL.insert_seen
_WRITE_CHECKPOINT = _SQL.write_checkpoint
_REMOVE_CHECKPOINT = _SQL.remove_checkpoint
_COMPLETE_BACKFILL = _SQL.complete_backfill

_CHUNK = 2000

T = TypeVar("T")


class _Overtaken(Exception):
    """A row is no longer the one that was compared."""


async def append(db: Database, fence: Fence, batch: Batch, canons: Mapping[str, Canon], now: datetime) -> Appended:
    """Append `batch` to the stream of `fence`; all of it stands when this returns, or nothing.

    Only what changed is written and numbered; the order of the numbers is that of commits. Of several pictures of one
    record the newest wins, whatever order they come in; where it cannot be told which that is, nothing is written for
    it and it comes back in `unclear`, to be fetched. With `only_if_clear` the checkpoints then are not written: they
    belong to the append of what was fetched.

    `canons` maps collection ids to canonical forms; `now` is the present by the database's clock. Raises Fenced when
    epoch or revision are no longer the writer's or the sync is deleted. After a lost connection the outcome is
    unknown: repeat the append; the repeat changes nothing.
    """
    records = identify(fence.sync_id, batch.records)
    while True:
        async with db.ingest.acquire() as conn:
            deletes = identify(fence.sync_id, [*batch.deletes, *await _children_gone(conn, fence, batch)])
            incoming, unclear = newest([*records, *deletes]) if deletes else newest(records)
            changes = await _compare_all(conn, fence, incoming, canons)
            changes.unclear += [each.mention() for each in unclear]
            writes = await ready(conn, fence, changes)
            drafts = await writing.draft(conn, fence, changes, canons) if changes.event_days else None
            seen = [each.record_id for each in records]
            try:
                async with conn.transaction():
                    head = await _write(conn, fence, batch, changes, writes, drafts, seen, now)
            except _Overtaken:
                continue  # whoever overtook this append has made progress, so this ends
            except asyncpg.CheckViolationError:
                if drafts is None or not await partitions.prepare(conn, now, changes.event_days):
                    raise
                continue  # the first events that are kept up to their day
        return _told(changes, writes, head)


async def append_within(conn: Conn, fence: Fence, batch: Batch, canons: Mapping[str, Canon], now: datetime) -> Appended:
    """`append` as part of the caller's transaction, which must hold the sync's epoch row `FOR UPDATE`: then no other
    append of the sync comes between the comparison and the write."""
    days = await _lock_stream(conn, fence)
    if days:
        await partitions.prepare(conn, now, days)
    records = identify(fence.sync_id, batch.records)
    deletes = identify(fence.sync_id, [*batch.deletes, *await _children_gone(conn, fence, batch)])
    incoming, unclear = newest([*records, *deletes])
    changes = await _compare_all(conn, fence, incoming, canons)
    changes.unclear += [each.mention() for each in unclear]
    writes = await ready(conn, fence, changes)
    drafts = await writing.draft(conn, fence, changes, canons) if days else None
    seen = [each.record_id for each in records]
    return _told(changes, writes, await _write(conn, fence, batch, changes, writes, drafts, seen, now))


async def _children_gone(conn: Conn, fence: Fence, batch: Batch) -> list[Delete]:
    gone: list[Delete] = []
    for children in batch.child_sets:
        rows = await conn.fetch(
            _READ_CHILDREN,
            fence.stream_id,
            fence.sync_id,
            columns.text(children.parent),
            children.collection,
            [columns.text(each) for each in children.ids],
        )
        gone += [
            Delete(
                children.collection,
                name,
                children.as_of,
                parent=children.parent,
                partition=row["partition"],
                slack=children.slack,
            )
            for row in rows
            for name in columns.meant(row["upstream_id"])
        ]
    return gone


async def _compare_all(conn: Conn, fence: Fence, incoming: Sequence[Incoming], canons: Mapping[str, Canon]) -> Changes:
    changes = Changes()
    for part in _chunks(incoming, _CHUNK):
        found = await compare(conn, fence, part, canons)
        for name in ("upserts", "deletes", "tombstones", "refreshes", "purged", "unclear"):
            getattr(changes, name).extend(getattr(found, name))
        changes.unchanged += found.unchanged
        changes.stale += found.stale
        changes.event_days = found.event_days or changes.event_days
        changes.head = min(changes.head, found.head)
        changes.removals = found.removals if changes.removals is None else changes.removals
    return changes


async def _write(
    conn: Conn,
    fence: Fence,
    batch: Batch,
    changes: Changes,
    writes: Ready,
    drafts: Drafts | None,
    seen: Sequence[UUID],
    now: datetime,
) -> int:
    """The transaction; the head that it leaves, 0 when it took no number. Lock order: epoch, the sync's own rows, then
    the stream, for which the other syncs on it wait."""
    packed_with = [each.dict_id for each in writes.dictionaries.values()]
    own = (fence.stream_id, fence.sync_id, fence.epoch, fence.revision)
    epoch = await conn.fetchrow(_LOCK_EPOCH, *own, packed_with)
    if epoch is None:
        raise Fenced(f"Sync {fence.sync_id} is no longer this writer's: nothing was written.")
    if epoch["dictionaries"] != len(packed_with):  # the database was put back to before they were made
        dictionaries.forget(fence, writes.dictionaries)
        raise _Overtaken
    if changes.removals not in (None, epoch["removals"]):
        raise _Overtaken
    if batch.seen is not None:
        for part in _chunks(seen, _CHUNK):
            await conn.execute(_INSERT_SEEN, fence.stream_id, batch.seen, part)
    if not (batch.only_if_clear and changes.unclear):
        await _write_checkpoints(conn, fence, batch, now)
    if not changes.writes:
        return 0
    await counts.add(conn, fence.stream_id, fence.sync_id, counts.differences(changes))
    head, days = 0, await _lock_stream(conn, fence)
    if changes.numbers:
        if days != changes.event_days:
            raise _Overtaken
        row = await conn.fetchrow(_TAKE_NUMBERS, fence.stream_id, changes.numbers, now)
        assert row is not None
        head, now = row["head"], row["appended_at"]
    base = head - changes.numbers
    await _write_records(conn, fence, changes, writes, base, now)
    if drafts is not None and changes.numbers:
        await writing.write(conn, fence.stream_id, changes, drafts, base, head, now)
    return head


async def _lock_stream(conn: Conn, fence: Fence) -> int:
    """For how many days the stream keeps events, once no other append can come between."""
    days = await conn.fetchval(_LOCK_STREAM, fence.stream_id)
    if days is None:
        raise Fenced(f"Stream {fence.stream_id} is not there: nothing was written.")
    return int(days)


async def _write_records(conn: Conn, fence: Fence, changes: Changes, writes: Ready, base: int, now: datetime) -> None:
    stream_id, sync_id = fence.stream_id, fence.sync_id
    await _each(conn, _DROP_PURGED, columns.purged(stream_id, changes.purged))
    if writes.copied:
        await _copy(conn, writes.copied, base, now)
        base += len(writes.copied)
    for given in writes.upserted:
        rows = len(given[0])
        _expect(rows, await conn.execute(_UPSERT_RECORDS, stream_id, sync_id, base, now, *given, changes.head))
        base += rows
    await _each(conn, _DELETE_RECORD, columns.deletes(stream_id, changes.deletes, base, now))
    for new in _chunks(changes.tombstones, _CHUNK):
        given = columns.tombstones(new)
        _expect(len(new), await conn.execute(_INSERT_TOMBSTONES, stream_id, sync_id, now, *given))
    await _each(conn, _REFRESH_RECORD, columns.refreshes(stream_id, changes.refreshes))


async def _copy(conn: Conn, rows: Sequence[bytes], base: int, now: datetime) -> None:
    source = copying.document(rows, base, now)
    try:
        await conn.copy_to_table("records", source=source, columns=copying.COLUMNS, format="binary")
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != "records_pkey":
            raise
        raise _Overtaken from None


async def _each(conn: Conn, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """One statement a row, sent together: a plan over one row is a walk of the primary key."""
    if rows and len(await conn.fetchmany(statement, rows)) != len(rows):
        raise _Overtaken


def _expect(rows: int, done: str) -> None:
    if int(done.rsplit(" ", 1)[1]) != rows:
        raise _Overtaken


async def _write_checkpoints(conn: Conn, fence: Fence, batch: Batch, now: datetime) -> None:
    rows = [_checkpoint(fence, each, now) for each in batch.checkpoints if not each.remove]
    if rows:
        await conn.executemany(_WRITE_CHECKPOINT, rows)  # one trip: a merged append has one for each slice
    for each in batch.checkpoints:
        if each.remove:
            await conn.execute(_REMOVE_CHECKPOINT, fence.stream_id, fence.sync_id, each.reading, each.scope)
    if batch.backfill_completed:
        await conn.execute(_COMPLETE_BACKFILL, fence.stream_id, fence.sync_id, now)


def _checkpoint(fence: Fence, checkpoint: CheckpointWrite, now: datetime) -> tuple[Any, ...]:
    return (
        fence.stream_id,
        fence.sync_id,
        checkpoint.reading,
        checkpoint.scope,
        checkpoint.collection_id,
        checkpoint.form,
        orjson.dumps(checkpoint.value).decode(),
        checkpoint.pages,
        checkpoint.records,
        checkpoint.expected,
        checkpoint.started_at,
        checkpoint.settled_through,
        checkpoint.completed_at,
        now,
        checkpoint.requests,
    )


def _chunks(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _told(changes: Changes, writes: Ready, head: int) -> Appended:
    created = sum(over.creates for over in changes.upserts)
    return Appended(
        created=created,
        updated=len(changes.upserts) - created,
        deleted=len(changes.deletes),
        unchanged=changes.unchanged,
        stale=changes.stale,
        unclear=changes.unclear,
        changed=[(over.new.item.collection, over.new.item.id) for over in changes.upserts],
        head=head,
        untrained=writes.untrained,
    )
