"""A late writer is refused: whoever writes for a sync outside an append holds its fence meanwhile."""

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.errors import Fenced
from headrace.stream.items import Fence

_LOCK_EPOCH = load(__package__, "fence.sql").lock_epoch


async def lock_fence(conn: Conn, fence: Fence) -> None:
    """Hold the fence to the end of the transaction. Raises Fenced when the sync is no longer this writer's."""
    if await conn.fetchval(_LOCK_EPOCH, fence.stream_id, fence.sync_id, fence.epoch, fence.revision) is None:
        raise Fenced(f"Sync {fence.sync_id} is no longer this writer's: nothing was written.")
