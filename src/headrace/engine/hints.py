"""What webhooks name: kept until it was fetched, by whichever process holds the sync."""

from collections.abc import Iterable
from datetime import datetime

from headrace.control.syncs import Sync
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.engine import patch
from headrace.providers.kit import Hint

_NAME = load(__package__, "intake.sql").name_hint


async def take(conn: Conn, sync: Sync, hints: Iterable[Hint], now: datetime) -> None:
    """A genuine webhook came: the sync looks at once, and what it names of the sync's collections is fetched. Call it
    in a transaction."""
    for hint in hints:
        if hint.collection in sync.collection_ids:
            place = (sync.stream_id, sync.id, hint.collection, hint.id, hint.address)
            await conn.execute(_NAME, *place, now, hint.forgotten)
    await patch.hint(conn, sync, now)
