"""Erasing what was stored of a record that is gone: a person asked the provider to be forgotten."""

from uuid import UUID

from headrace.db.pool import Database
from headrace.db.queries import load

_SQL = load(__package__, "erase.sql")
_ERASE_RECORD, _ERASE_EVENTS = _SQL.erase_record, _SQL.erase_events


async def erase(db: Database, stream_id: UUID, record_id: UUID) -> bool:
    """From the commit on the record, which must be deleted, and all events of it show `{}` as their data, to whoever
    reads them or is still to be given them: messages and dead letters hold none of their own. It keeps its number, and
    nothing is emitted. False, and nothing is done, where it is not held as deleted. A repeat changes nothing."""
    async with db.ingest.acquire() as conn, conn.transaction():
        if await conn.fetchval(_ERASE_RECORD, stream_id, record_id) is None:
            return False
        await conn.execute(_ERASE_EVENTS, stream_id, record_id)
        return True
