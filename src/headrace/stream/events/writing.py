"""The events of an append, written in its own transaction.

What an event shows of the record is copied in the database from the row that was just written. Only the old values of
changed fields come from here. They are made before the transaction, of the very rows that the append then replaces: it
writes over none that another has numbered since it compared them, and under no fence that let one be taken away.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.stream.compare import Changes
from headrace.stream.dictionaries import read_again, texts
from headrace.stream.events.changes import old_values
from headrace.stream.items import Canon, Fence, Record

_SQL = load(__package__, "events.sql")
_READ_OLD = _SQL.read_old
_INSERT_EVENTS = _SQL.insert_events
_PLAIN = Canon()


Drafts: TypeAlias = dict[UUID, bytes]
"""By record, the old values of what an update changes; of records that are new, or back, there are none."""


async def draft(conn: Conn, fence: Fence, changes: Changes, canons: Mapping[str, Canon]) -> Drafts:
    """What is to be said of the upserts. Reads the held payloads of the records that change."""
    updates = {
        over.new.record_id: over for over in changes.upserts if over.held and not (over.creates or over.held.deleted)
    }
    drafts: Drafts = {}
    for record_id, old in await _old(conn, fence, list(updates)) if updates else ():
        item = updates[record_id].new.item
        assert isinstance(item, Record)
        drafts[record_id] = old_values(old, item.raw, canons.get(item.collection, _PLAIN))
    return drafts


@read_again
async def _old(conn: Conn, fence: Fence, record_ids: Sequence[UUID]) -> list[tuple[UUID, bytes]]:
    rows = await conn.fetch(_READ_OLD, fence.stream_id, record_ids)
    held = await texts(conn, fence.stream_id, [(row["codec"], row["data"]) for row in rows])
    return [(row["record_id"], text) for row, text in zip(rows, held, strict=True)]


async def write(
    conn: Conn, stream_id: UUID, changes: Changes, drafts: Drafts, base: int, head: int, now: datetime
) -> None:
    """Write an event for each number above `base`, which the records have by now.

    Raises asyncpg.CheckViolationError when the day on which they expire has no partition yet.
    """
    said: list[tuple[int, Any]] = [
        (number, old)
        for number, over in enumerate(changes.upserts, base + 1)
        if (old := drafts.get(over.new.record_id)) is not None
    ]
    numbers, olds = [number for number, _ in said], [old for _, old in said]
    expires = expires_on(now, changes.event_days)
    await conn.execute(_INSERT_EVENTS, stream_id, base, head, expires, numbers, olds)


def expires_on(now: datetime, event_days: int) -> date:
    """The first day on which an event of this moment is no longer kept."""
    return (now + timedelta(days=event_days)).date() + timedelta(days=1)
