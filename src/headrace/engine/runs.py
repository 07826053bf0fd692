"""What was asked of a sync from outside, and the runs of one that is read every four hours."""

from datetime import datetime, timedelta

from headrace.db.queries import load
from headrace.engine.schedule import CLOCKS_APART, RUN_EVERY, Tempo, first_run, run_after
from headrace.engine.session import Session
from headrace.errors import Fenced

SQL = load(__package__, "states.sql")
STATE, START_RUN, SCHEDULE_RUN = SQL.state, SQL.start_run, SQL.schedule_run


class Runs:
    """Kept in the sync's state row, so that another process goes on with it."""

    def __init__(self) -> None:
        self.started: datetime | None = None
        self.next: datetime | None = None
        self.requested: datetime | None = None
        self.hinted: datetime | None = None

    async def load(self, session: Session) -> None:
        """Read the row; on the first start of a scheduled sync, lay down its first run."""
        fence = session.fence
        row = await session.services.db.ingest.fetchrow(STATE, fence.stream_id, fence.sync_id)
        if row is None:
            return
        self.started, self.next = row["last_run_started_at"], row["next_run_at"]
        self.requested, self.hinted = row["run_requested_at"], row["hinted_at"]
        session.answered_at = session.answered_at or row["last_success_at"]
        if _scheduled(session) and self.next is None:
            self.next = first_run(session.now(), fence.sync_id)
            await session.services.db.ingest.execute(
                SCHEDULE_RUN, fence.stream_id, fence.sync_id, self.next, fence.epoch
            )

    def due(self, session: Session) -> datetime | None:
        """When the next run of a scheduled sync begins; None for a continuous one."""
        if not _scheduled(session):
            return None
        if self.requested is not None and (self.started is None or self.requested > self.started):
            return self.requested
        return self.next

    async def begin(self, session: Session) -> None:
        """Begin the run that is due, and write down the next. A run that was asked for counts anew from now; a late one
        runs once and keeps to its hours. Raises Fenced when the sync is another worker's, whose run it is then."""
        now, fence = session.now(), session.fence
        asked = self.requested is not None and (self.started is None or self.requested > self.started)
        self.next = now + RUN_EVERY if asked or self.next is None else run_after(self.next, now)
        self.started = now
        done = await session.services.db.ingest.execute(
            START_RUN, fence.stream_id, fence.sync_id, now, self.next, fence.epoch
        )
        if not done.endswith(" 1"):
            raise Fenced(f"Sync {fence.sync_id} is another worker's now.")

    def tempo(self, session: Session) -> Tempo:
        """What the due times depend on, now. Webhooks wait for the next run of a scheduled sync."""
        scheduled = _scheduled(session)
        now = session.now()
        told = [] if scheduled else [self.requested, self.hinted]
        asked = [moment for moment in told if moment is not None and moment <= now + CLOCKS_APART]
        return Tempo(
            now=now,
            max_poll=timedelta(milliseconds=session.sync.max_poll_ms),
            changed_at=session.changed_at,
            run_started=self.started if scheduled else None,
            scheduled=scheduled,
            asked_at=max(asked, default=None),
        )


def _scheduled(session: Session) -> bool:
    return session.sync.sync_frequency == "4h"
