"""Changes at the head: what happened since the last read, as soon as it shows.

A head window ends a little after the present of the provider's clock, so that the newest shows at once; the next one
begins a little before the moment at which this one was asked for. So the edge is read twice and nothing falls between;
what turns up later still is the settled horizon's business.
"""

from datetime import datetime, timedelta

from headrace.engine.checkpoints import Checkpoints, HeadMark, Walk
from headrace.engine.horizons import Horizons
from headrace.engine.intake import Intake, Origin
from headrace.engine.pace import Priority
from headrace.engine.partitions import spans_of
from headrace.engine.schedule import Tempo, last_read, next_interval
from headrace.engine.session import Session
from headrace.engine.sources import TimeSource
from headrace.engine.transport import ReadFailed
from headrace.engine.walking import walk_through
from headrace.engine.windows import ceil_to, floor_to
from headrace.stream.items import CheckpointWrite

AHEAD = timedelta(seconds=5)
BEHIND = timedelta(seconds=5)
"""The provider's clock is known to within three seconds (its Date header)."""


class Changes:
    """The head of one source."""

    reading = "changes"
    upstream = True

    def __init__(self, horizons: Horizons, intake: Intake) -> None:
        self.scope = horizons.source.scope
        self.collections = horizons.source.covers
        self._horizons = horizons
        self._session: Session = horizons.session
        self._source: TimeSource = horizons.source
        self._intake = intake

    def due(self, tempo: Tempo) -> datetime | None:
        head = self._horizons.head
        if head is None:
            return None  # a backfill establishes it
        if head.walk is not None or (tempo.asked_at is not None and head.read_at <= tempo.asked_at):
            return tempo.now
        if tempo.scheduled:
            return tempo.now if tempo.run_started is not None and head.read_at < tempo.run_started else None
        return last_read(head.read_at, tempo) + next_interval(self._horizons.pause, tempo, self._source.least)

    def reload(self, checkpoints: Checkpoints) -> None:
        self._horizons.reload(checkpoints)

    async def step(self, tempo: Tempo) -> None:
        """Read from the position up to now. Raises ReadFailed, Gap, Stopped, Fenced."""
        head = self._head
        if head.walk is None:
            self._horizons.pause = next_interval(self._horizons.pause, tempo, self._source.least)
            self._horizons.check_reach(head.position)
            await self._horizons.check_partitions()
            head.walk = await self._begin(head)
        try:
            origin = self._origin(head.walk)
            await walk_through(self._session, self._intake, self._source, head.walk, origin, self._rows)
        except ReadFailed as failed:
            if failed.fault.kind == "expired":
                raise self._horizons.gap() from failed
            raise

    @property
    def _head(self) -> HeadMark:
        head = self._horizons.head
        assert head is not None
        return head

    async def _begin(self, head: HeadMark) -> Walk:
        session, source = self._session, self._source
        lo = min(head.position, self._settles_from() or head.position)
        now, now_at = session.provider_now(), session.now()
        hi = ceil_to(now + AHEAD, source.resolution)
        return Walk(lo, hi, await spans_of(session, source.scope, source.partitions, lo, hi), now, now_at)

    def _settles_from(self) -> datetime | None:
        """The settled horizon, when this read can do its work too: an idle source is asked once, not twice."""
        settled = self._horizons.settled
        if settled is None or settled.walk is not None or not self._horizons.idle:
            return None
        return settled.through

    def _origin(self, walk: Walk) -> Origin:
        """A source of births gives what was born, changed or not. What was seen to is passed over, unless this read is
        the settled one as well."""
        settled = self._horizons.settled
        settles = settled is not None and walk.lo <= settled.through
        return Origin(Priority.CHANGES, changing=self._source.seen_changing, follow=True, head=not settles)

    def _rows(self, items: int) -> list[CheckpointWrite]:
        head, settled = self._head, []
        walk = head.walk
        assert walk is not None
        if not walk.spans:
            head.position = max(head.position, floor_to(walk.began, self._source.resolution) - BEHIND)
            head.read_at, head.walk = walk.began_at, None
            settled = self._horizons.settle(walk)
        row = self._horizons.head_row()
        row.pages, row.records = 1, items
        return [row, *settled]
