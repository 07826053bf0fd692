"""What grows too old leaves the stream, in chunks and without a delete message."""

from datetime import datetime, timedelta

from headrace.engine.checkpoints import Checkpoints
from headrace.engine.schedule import Tempo
from headrace.engine.session import Session
from headrace.stream.retention import age_out, drop_deleted

CHUNK = 1_000
MOST_PAUSE = timedelta(hours=1)


class Aging:
    """Retention by age of one sync: records beyond `max_age_days`, deleted ones beyond `deleted_retention_days`.

    It asks nothing of the provider, so it goes on while the sync is disabled.
    """

    reading = "aging"
    upstream = False
    scope = "aging"
    collections: frozenset[str] = frozenset()

    def __init__(self, session: Session) -> None:
        self._session = session
        self._next: datetime | None = None

    def reload(self, checkpoints: Checkpoints) -> None:
        """Nothing of it is kept in memory."""

    def due(self, tempo: Tempo) -> datetime | None:
        sync = self._session.sync
        if sync.max_age_days is None and sync.deleted_retention_days is None:
            return None
        return self._next or tempo.now

    async def step(self, tempo: Tempo) -> None:
        """Take away what is too old by now; a lowered limit is seen to at once."""
        session, fence = self._session, self._session.fence
        db, sync = session.services.db, session.sync
        if sync.max_age_days is not None:
            while await age_out(db, fence.stream_id, fence.sync_id, _before(session, sync.max_age_days), CHUNK):
                pass
        if sync.deleted_retention_days is not None:
            before = session.now() - timedelta(days=sync.deleted_retention_days)
            while await drop_deleted(db, fence.stream_id, fence.sync_id, before, CHUNK):
                pass
        shortest = min(days for days in (sync.max_age_days, sync.deleted_retention_days) if days is not None)
        self._next = session.now() + min(MOST_PAUSE, timedelta(days=shortest) / 24)


def _before(session: Session, days: float) -> datetime:
    return session.provider_now() - timedelta(days=days)
