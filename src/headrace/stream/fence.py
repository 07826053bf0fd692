"""A late writer is refused: whoever writes for a sync outside an append holds its fence meanwhile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.errors import Fenced
from headrace.stream.items import Fence

_LOCK_EPOCH = load(__package__, "fence.sql").lock_epoch


@asynccontextmanager
async def fenced(db: Database, fence: Fence) -> AsyncIterator[Conn]:
    """A connection in a transaction that holds the fence to its end: committed with the block, rolled back on any
    exception. Raises Fenced, and nothing is written, when the sync is no longer this writer's, was changed in scope,
    or is deleted."""
    async with db.ingest.acquire() as conn, conn.transaction():
        if await conn.fetchval(_LOCK_EPOCH, fence.stream_id, fence.sync_id, fence.epoch, fence.revision) is None:
            raise Fenced(f"Sync {fence.sync_id} is no longer this writer's: nothing was written.")
        yield conn
