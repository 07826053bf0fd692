"""What grows too old leaves the stream, in chunks and without a delete message."""

from collections.abc import Callable
from datetime import datetime, timedelta

from headrace.engine.checkpoints import Checkpoints
from headrace.engine.schedule import Tempo
from headrace.engine.session import Session
from headrace.stream.portions import Portions
from headrace.stream.retention import AgeWalk, Removal, age_out, drop_deleted

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
        await self._remove(age_out, self._too_old)
        await self._remove(drop_deleted, self._kept_long_enough)
        sync = self._session.sync
        shortest = min(
            (days for days in (sync.max_age_days, sync.deleted_retention_days) if days is not None), default=1
        )
        self._next = self._session.now() + min(MOST_PAUSE, timedelta(days=shortest) / 24)

    async def _remove(self, removal: Removal, limit: Callable[[], datetime | None]) -> None:
        """Until nothing older is left. Raises Fenced when another limit may be in force by now."""
        session = self._session
        portions, walk = Portions(session.services.clock), AgeWalk()
        while (before := limit()) is not None:
            with portions.chunk() as rows:
                gone = await removal(session.services.db, session.fence, before, rows, walk)
            if not gone:
                return
            await portions.rest()

    def _too_old(self) -> datetime | None:
        days = self._session.sync.max_age_days
        return None if days is None else self._session.provider_now() - timedelta(days=days)

    def _kept_long_enough(self) -> datetime | None:
        days = self._session.sync.deleted_retention_days
        return None if days is None else self._session.now() - timedelta(days=days)
