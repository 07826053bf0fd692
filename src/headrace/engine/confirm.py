"""A person's word that what the safety catch holds back is really gone."""

from datetime import datetime
from uuid import UUID

from headrace.control.syncs import Sync
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.errors import Invalid, NotFound
from headrace.stream.append import append_within
from headrace.stream.columns import meant
from headrace.stream.items import Batch, Delete, Fence

SQL = load(__package__, "confirm.sql")
LOCK_EPOCH = SQL.lock_epoch
CATCH = load(__package__, "catch.sql")
HELD_DELETES, STILL_THERE, RELEASE = CATCH.held_deletes, CATCH.still_there, CATCH.release
NOTIFY = load(__package__, "patch.sql").notify


async def confirm_deletes(conn: Conn, sync: Sync, collection_id: str, sweep_id: UUID, now: datetime) -> int:
    """Delete what is held back of the collection under this sweep's id, but for records that were read since. Returns
    how many were deleted. In the caller's transaction.

    Raises Invalid when what is held has another id by now: what a person confirms is what they saw.
    """
    epoch = await conn.fetchrow(LOCK_EPOCH, sync.stream_id, sync.id)
    if epoch is None:
        raise NotFound(f"There is no sync {sync.id}: it was deleted.")
    held = await conn.fetchrow(HELD_DELETES, sync.stream_id, sync.id, collection_id)
    if held is None or held["sweep_id"] != sweep_id:
        raise Invalid(
            {"sweep_id": [f"is not what is held back now; look at GET /v1/syncs/{sync.id}/collections again"]}
        )
    rows = await conn.fetch(STILL_THERE, sync.stream_id, sync.id, collection_id, held["record_ids"], held["held_at"])
    deletes = [
        Delete(
            collection_id,
            name,
            held["held_at"],
            row["version"],
            parent=row["parent_id"],
            partition=row["partition"],
        )
        for row in rows
        for name in meant(row["upstream_id"])
    ]
    fence = Fence(sync.stream_id, sync.id, epoch["epoch"], epoch["revision"])
    appended = await append_within(conn, fence, Batch(deletes=deletes), {}, now)
    await conn.execute(RELEASE, sync.stream_id, sync.id, collection_id)
    await conn.execute(NOTIFY, str(sync.id))
    return appended.deleted
