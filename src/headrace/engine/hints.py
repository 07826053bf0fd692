"""What webhooks name: kept until it was fetched, by whichever process holds the sync."""

import re
from collections.abc import Iterable
from datetime import datetime

from headrace.control.syncs import Sync
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.engine import patch
from headrace.engine.unfit import is_spelled
from headrace.providers.kit import Hint

_NAME = load(__package__, "intake.sql").name_hint
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


async def take(conn: Conn, sync: Sync, hints: Iterable[Hint], now: datetime) -> None:
    """A genuine webhook came: the sync looks at once, and what it names of the sync's collections is fetched. What
    cannot be asked for by its name is left to that look. Call it in a transaction."""
    for hint in hints:
        if hint.collection in sync.collection_ids and _can_be_asked_for(hint):
            place = (sync.stream_id, sync.id, hint.collection, hint.id, hint.address)
            await conn.execute(_NAME, *place, now, hint.forgotten)
    await patch.hint(conn, sync, now)


def _can_be_asked_for(hint: Hint) -> bool:
    """Whether the name can be kept, which no text column does for U+0000 and half of a surrogate pair, and read back
    as no other."""
    return not is_spelled(hint.id) and _NO_TEXT.search(hint.id + (hint.address or "")) is None
