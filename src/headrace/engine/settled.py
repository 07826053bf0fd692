"""The settled horizon: everything is read again once the provider's answers have become final.

Events turn up late, search indexes lag, transactions commit late. So each stretch of time is read a second time, the
source's settle time behind the present, in closed windows; the horizon moves when every page of one is stored. Where
records can be found by birth only, the whole span in which they still change is read again.
"""

from datetime import datetime

from headrace.engine.checkpoints import Checkpoints, SettledMark, Walk
from headrace.engine.horizons import Horizons
from headrace.engine.intake import Intake, Origin
from headrace.engine.pace import Priority
from headrace.engine.partitions import spans_of
from headrace.engine.schedule import CLOCKS_APART, Tempo
from headrace.engine.session import Session
from headrace.engine.sources import TimeSource
from headrace.engine.transport import ReadFailed
from headrace.engine.walking import walk_through
from headrace.engine.windows import floor_to
from headrace.stream.items import CheckpointWrite


class Settled:
    """The settled horizon of one source."""

    reading = "settled"
    upstream = True

    def __init__(self, horizons: Horizons, intake: Intake) -> None:
        self.scope = horizons.source.scope
        self.collections = horizons.source.covers
        self._horizons = horizons
        self._session: Session = horizons.session
        self._source: TimeSource = horizons.source
        self._intake = intake

    def due(self, tempo: Tempo) -> datetime | None:
        mark, head = self._horizons.settled, self._horizons.head
        if mark is None or head is None:
            return None
        if mark.walk is not None:
            return tempo.now
        if head.walk is not None and head.walk.lo <= mark.through:
            return None  # the head does this one's work as well
        asked = tempo.run_started if tempo.scheduled else None
        if tempo.asked_at is not None:
            asked = max(tempo.asked_at, asked or tempo.asked_at)
        if asked is not None and self._in_our_clock(mark.through) < asked + CLOCKS_APART:
            # What was asked for can be settled once its moment is the settle time ago, by whichever clock.
            return asked + CLOCKS_APART + self._source.settle + self._source.resolution
        if tempo.scheduled:
            return None
        due = self._in_our_clock(mark.through) + self._source.settle + self._source.settled_every
        return due + self._horizons.pause if self._horizons.idle else due

    def reload(self, checkpoints: Checkpoints) -> None:
        self._horizons.reload(checkpoints)

    async def step(self, tempo: Tempo) -> None:
        """Read again up to the settle time ago. Raises ReadFailed, Gap, Stopped, Fenced."""
        mark = self._mark
        if mark.walk is None:
            self._horizons.check_reach(mark.through)
            mark.walk = await self._begin(mark)
        origin = Origin(Priority.REPAIR, changing=self._source.seen_changing, follow=True)
        try:
            await walk_through(self._session, self._intake, self._source, mark.walk, origin, self._rows)
        except ReadFailed as failed:
            if failed.fault.kind == "expired":
                raise self._horizons.gap() from failed
            raise

    @property
    def _mark(self) -> SettledMark:
        mark = self._horizons.settled
        assert mark is not None
        return mark

    async def _begin(self, mark: SettledMark) -> Walk:
        session, source = self._session, self._source
        now, now_at = session.provider_now(), session.now()
        lo = hi = floor_to(now - source.settle, source.resolution)
        lo = min(mark.through, lo if source.lookback is None else lo - source.lookback)
        return Walk(lo, hi, await spans_of(session, source.scope, source.partitions, lo, hi), now, now_at)

    def _rows(self, items: int) -> list[CheckpointWrite]:
        walk = self._mark.walk
        assert walk is not None
        if walk.spans:
            row = self._horizons.settled_row(None)
        else:
            self._mark.walk = None
            moved = self._horizons.settle(walk)
            row = moved[0] if moved else self._horizons.settled_row(None)
        row.pages, row.records = 1, items
        return [row]

    def _in_our_clock(self, moment: datetime) -> datetime:
        return moment + (self._session.now() - self._session.provider_now())
