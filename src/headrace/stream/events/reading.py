"""Reading events by cursor."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.stream.dictionaries import read_again
from headrace.stream.read import MOST_BYTES, StoredRecord, attach, collections_like, opened

_READ_AFTER = load(__package__, "events.sql").read_after


@dataclass(slots=True)
class StoredEvent(StoredRecord):
    """What happened to a record, and the record as of then. `updated_idx` is the number that this change gave to it.

    `changes` is a JSON object: field → old value, empty but for an update.
    """

    event: str
    appended_at: datetime
    changes: bytes


def packed_events(rows: Iterable[Any]) -> list[StoredEvent]:
    """Rows of (the fields of StoredEvent up to appended_at, changes, codec, data), to be opened as records are."""
    return [
        StoredEvent(a, b, c, d, e, f, g, h, i, data, event, at, changes or b"{}", codec=codec)
        for a, b, c, d, e, f, g, h, i, event, at, changes, codec, data in rows
    ]


@read_again
async def read_after(
    conn: Conn,
    stream_id: UUID,
    after: int,
    limit: int,
    *,
    sync_ids: Sequence[UUID] | None = None,
    provider: str | None = None,
    collection_ids: Sequence[str] | None = None,
    upstream_id: str | None = None,
    deleted: bool | None = None,
    max_bytes: int = MOST_BYTES,
) -> list[StoredEvent]:
    """Events with a number above `after`; see `stream.read.read_after`. `deleted`: whether it tells of a deletion."""
    like = collections_like(provider)
    filters = (sync_ids, like, collection_ids, upstream_id, deleted)
    events = packed_events(await conn.fetch(_READ_AFTER, stream_id, after, limit, max_bytes, *filters))
    await attach(conn, stream_id, events)
    await opened(events)
    return events
