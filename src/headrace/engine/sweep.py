"""Sweep: every id is read, to find what is gone where the provider does not say so, and to prove completeness.

A sweep closes after a whole pass in which every page was seen, or after two where one says too little. What was seen by
no page is then judged (`missed.py`).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from headrace.db.queries import load
from headrace.engine.checkpoints import Checkpoints, SweepMark, write
from headrace.engine.ingest import Load
from headrace.engine.intake import Intake, Origin
from headrace.engine.missed import Judgement, allowed
from headrace.engine.pace import Priority
from headrace.engine.paging import Behind, CursorGuard
from headrace.engine.partitions import has_gone, partitions_of
from headrace.engine.refused import is_refused, leave_out
from headrace.engine.schedule import RUN_EVERY, Tempo
from headrace.engine.session import Session
from headrace.engine.transport import ReadFailed
from headrace.ids import uuid7
from headrace.providers.kit import EVERYTHING, Collection, Listing
from headrace.stream.items import CheckpointWrite

FORGET_SEEN = load(__package__, "sweep.sql").forget_seen

WITHOUT_FEED, WITH_FEED = timedelta(hours=6), timedelta(days=7)
FORGET_CHUNK = 5_000


def cadence(collection: Collection) -> timedelta:
    """The time from one sweep of a collection to the next."""
    if collection.sweep_every is not None:
        return collection.sweep_every
    return WITHOUT_FEED if collection.deletes == "sweep" else WITH_FEED


class Sweep:
    """The sweep of one listing, for the `members` whose records come in it."""

    reading = "sweep"
    upstream = True

    def __init__(
        self, session: Session, intake: Intake, source: Collection, members: Iterable[str], checkpoints: Checkpoints
    ) -> None:
        assert source.listing is not None
        self.scope = source.id
        self.mark = SweepMark()
        self.collections = frozenset(members)
        self._members = [session.collection(member) for member in sorted(self.collections)]
        self._session = session
        self._intake = intake
        self._source = source
        self._listing: Listing = source.listing
        self._every = min(map(cadence, self._members))
        self._reads = session.access.provider.reads(self.collections)
        self._noted = False
        self.reload(checkpoints)

    def reload(self, checkpoints: Checkpoints) -> None:
        """Go back to what is stored. What a sweep has seen so far says nothing of a collection that came later."""
        row = checkpoints.get(("sweep", self.scope))
        self.mark = SweepMark() if row is None else row.mark(SweepMark)
        self._noted = self.mark.due_at is not None or self.mark.state != "waiting"
        if self.mark.state != "waiting" and self.mark.members != sorted(self.collections):
            self.mark = SweepMark(due_at=self._session.now())

    def due(self, tempo: Tempo) -> datetime | None:
        """A sweep begins only once its collections were read to the end, and goes on until it is done. Where nothing
        else tells of changes, a read that was asked for is a sweep."""
        if self.mark.state != "waiting":
            return tempo.now
        due_at = self._due_at()
        if due_at is None:
            return None
        if not self._noted:
            return tempo.now
        began = self.mark.began_at
        if tempo.asked_at is not None and self._alone and (began is None or began <= tempo.asked_at):
            return tempo.now
        if tempo.scheduled:
            started = tempo.run_started
            if started is None or (began is not None and began >= started):
                return None
            # What falls due before the next run begins with this one: a sweep is not late because runs are rare.
            return tempo.now if self._alone or due_at < started + RUN_EVERY else None
        return due_at

    def _due_at(self) -> datetime | None:
        """None while a collection was never read to its end."""
        completed = [self._session.completed_at.get(member) for member in self.collections]
        times = [moment for moment in completed if moment is not None]
        if len(times) < len(completed):
            return None
        return self.mark.due_at if self.mark.due_at is not None else max(times) + self._every

    @property
    def _alone(self) -> bool:
        return bool(self.collections & self._session.uncovered)

    async def step(self, tempo: Tempo) -> None:
        """Read every page, judge what was not seen, close. Raises ReadFailed, Stopped, Fenced."""
        if not self._noted:
            # Written down, so that whoever asks can tell whether it is late, also when nobody reads the sync.
            self.mark.due_at = self._due_at()
            await self._session.note(self._row())
            self._noted = True
            return
        if self.mark.state == "waiting":
            await self._begin()
        while self.mark.state == "reading":
            await self._pass()
        await self._judgement().judge()
        await self._close()

    async def _begin(self) -> None:
        session, mark = self._session, self.mark
        partitions = await partitions_of(session, self._source.partitions, Priority.SWEEP)
        mark.sweep_id = uuid7()
        mark.began, mark.began_at = session.provider_now(), session.now()
        mark.members = sorted(self.collections)
        mark.partitions, mark.left_out, mark.cursor, mark.passes = partitions, [], None, 0
        mark.scopes = allowed(session)
        mark.state = "reading"
        await session.note(self._row(started_at=session.now()))

    async def _pass(self) -> None:
        """One whole pass; afterwards a second one, or judgement."""
        mark, session = self.mark, self._session
        assert mark.sweep_id is not None
        origin = Origin(Priority.SWEEP, follow=True, sweep=mark.sweep_id)
        guard = CursorGuard(f"the listing of {self._source.id}")
        refused: dict[str, ReadFailed] = {}
        async with Behind(partial(self._intake.take, origin=origin)) as behind:
            while mark.partitions:
                context = session.context(self._reads, mark.partitions[0])
                try:
                    page = await session.read(self._listing.page(context, EVERYTHING, mark.cursor), Priority.SWEEP)
                except ReadFailed as failed:
                    if await has_gone(session, self._source.partitions, mark.partitions[0], failed, Priority.SWEEP):
                        mark.partitions.pop(0)
                        mark.cursor = None
                        guard.restart()
                        continue
                    if is_refused(mark.partitions[0], failed):
                        await self._pass_over(refused, failed)
                        guard.restart()
                        continue
                    guard.revive(mark.cursor, failed)
                    mark.cursor = None
                    continue
                mark.cursor = await guard.follow(page, behind)
                if mark.cursor is None:
                    mark.partitions.pop(0)
                    guard.restart()
                row = self._row()
                row.pages, row.records, row.expected = 1, len(page.items), page.expected
                await behind.put(page.items, [row])
                await session.pause(page)
        mark.passes += 1
        if mark.passes == 1 and await self._judgement().needs_second_pass():
            mark.partitions = await partitions_of(session, self._source.partitions, Priority.SWEEP)
        else:
            mark.state = "judging"
        await session.note(self._row())

    async def _pass_over(self, refused: dict[str, ReadFailed], failed: ReadFailed) -> None:
        """Read the partition under way last; when only refused ones are left, leave them out."""
        mark = self.mark
        partition = mark.partitions.pop(0)
        assert partition is not None
        refused[partition] = failed
        mark.partitions.append(partition)
        mark.cursor = None
        if refused.keys() >= set(mark.partitions):
            source = self._source
            await leave_out(self._session, source.partitions, source.id, refused, Priority.SWEEP)
            mark.left_out = sorted({*mark.left_out, *refused})
            mark.partitions = []

    def _judgement(self) -> Judgement:
        return Judgement(self._session, self._intake, self._source, self._members, self.mark)

    async def _close(self) -> None:
        session, mark = self._session, self.mark
        assert mark.sweep_id is not None
        sweep_id, stream_id = mark.sweep_id, session.fence.stream_id
        mark.state, mark.due_at, mark.read_at = "waiting", session.now() + self._every, mark.began_at
        row = self._row(completed_at=session.now(), settled_through=mark.began)
        await session.ingest.store(Load(checkpoints=[row]))
        while True:
            done = await session.services.db.ingest.execute(FORGET_SEEN, stream_id, sweep_id, FORGET_CHUNK)
            if int(done.rsplit(" ", 1)[1]) < FORGET_CHUNK:
                return

    def _row(self, **facts: Any) -> CheckpointWrite:
        return write("sweep", self.scope, self.mark, self.scope, **facts)
