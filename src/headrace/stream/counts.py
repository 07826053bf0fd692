"""How many living records each collection of a sync has: exact at every commit, and told without a look at them.

The count is a sum of rows, one for each append or removal that changed it, which no two writers share (decision 002).
"""

from collections import Counter
from collections.abc import Mapping
from uuid import UUID

from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.ids import uuid7
from headrace.stream.compare import Changes

_SQL = load(__package__, "counts.sql")
_ADD, _LIVING, _FORGET = _SQL.add, _SQL.living, _SQL.forget
_CROWDED, _HOLD_EPOCH, _TAKE_ROWS = _SQL.crowded, _SQL.hold_epoch, _SQL.take_rows

_ROWS = 20
"""So many rows a sum may have; reading that many costs as good as nothing."""


async def living(conn: Conn, stream_id: UUID, sync_id: UUID) -> dict[str, int]:
    """By collection, the records of the sync that a reader sees and that are not deleted; one without any may be
    missing."""
    return {row["collection_id"]: row["living"] for row in await conn.fetch(_LIVING, stream_id, sync_id)}


def differences(changes: Changes) -> Counter[str]:
    """What writing `changes` adds to the count of each collection."""
    found = Counter(over.new.item.collection for over in changes.upserts if over.held is None or over.held.deleted)
    found.subtract(over.new.item.collection for over in changes.deletes)
    return found


async def add(conn: Conn, stream_id: UUID, sync_id: UUID, by_collection: Mapping[str, int]) -> None:
    """In the transaction of the change itself, which holds the sync's epoch row. Differences of 0 leave no row."""
    changed = {collection: living for collection, living in by_collection.items() if living}
    if changed:
        await _write(conn, stream_id, sync_id, changed)


async def forget(conn: Conn, stream_id: UUID, sync_id: UUID, collection_id: str | None) -> None:
    """All records of the sync (or of one collection) are purged by this transaction, which holds the epoch row for
    itself: no other change of these counts is under way."""
    await conn.execute(_FORGET, stream_id, sync_id, collection_id)


async def fold(db: Database, stream_id: UUID, more_than: int = _ROWS) -> int:
    """Make one row of each sum that has more rows than so many; returns how many rows went."""
    folded = 0
    async with db.ingest.acquire() as conn:
        for row in await conn.fetch(_CROWDED, stream_id, more_than):
            folded += await _fold(conn, stream_id, row["sync_id"], row["collection_id"])
    return folded


async def _write(conn: Conn, stream_id: UUID, sync_id: UUID, by_collection: Mapping[str, int]) -> None:
    await conn.execute(_ADD, stream_id, sync_id, uuid7(), list(by_collection), list(by_collection.values()))


async def _fold(conn: Conn, stream_id: UUID, sync_id: UUID, collection_id: str) -> int:
    async with conn.transaction():
        if not await conn.fetchval(_HOLD_EPOCH, stream_id, sync_id):
            return 0
        # Summed are the rows that this very statement took: whoever folds at the same time takes others, or none.
        taken = await conn.fetch(_TAKE_ROWS, stream_id, sync_id, collection_id)
        if taken:  # a sum of 0 stays: by its row the collection is known to hold something, if only deleted records
            await _write(conn, stream_id, sync_id, {collection_id: sum(row["living"] for row in taken)})
    return len(taken)
