"""The two horizons of a reading of changes by time, as they move together.

The head is read up to the present, so that the newest shows at once; some time behind it everything is read again,
when the provider's answers have become final.
"""

from datetime import datetime, timedelta

from headrace.engine.checkpoints import Checkpoints, HeadMark, SettledMark, Walk, write
from headrace.engine.fetching import ASIDE
from headrace.engine.pace import Priority
from headrace.engine.partitions import KEPT, partitions_of
from headrace.engine.session import Session
from headrace.engine.sources import TimeSource
from headrace.engine.transport import ReadFailed
from headrace.engine.windows import floor_to
from headrace.providers.kit import Window
from headrace.stream.items import CheckpointWrite

RETENTION_MARGIN = timedelta(hours=1)
"""A position this close to the end of a feed's reach counts as beyond it."""


class Gap(Exception):
    """The source no longer reaches back to where it was read: the collections that it covers are to be read anew.

    `since` is the moment up to which they are known to be complete.
    """

    def __init__(self, scope: str, since: datetime) -> None:
        super().__init__(f"{scope} no longer reaches back to {since.isoformat()}")
        self.scope = scope
        self.since = since


class Grown(Gap):
    """Partitions turned up that were not there before: what they hold is to be read. `partitions` are all there are."""

    def __init__(self, scope: str, since: datetime, fresh: list[str], partitions: list[str]) -> None:
        super().__init__(scope, since)
        self.fresh = fresh
        self.partitions = partitions


class Horizons:
    """The marks of one source. Both are None until they are established."""

    def __init__(self, session: Session, source: TimeSource, checkpoints: Checkpoints) -> None:
        self.session = session
        self.source = source
        self.scope = source.scope
        self.covers = source.covers
        self.head: HeadMark | None = None
        self.settled: SettledMark | None = None
        self.pause = timedelta(0)
        """Between two reads of the head, as it is now."""
        self.reload(checkpoints)

    def reload(self, checkpoints: Checkpoints) -> None:
        """Go back to what is stored."""
        head = checkpoints.get(("changes", self.source.scope))
        settled = checkpoints.get(("settled", self.source.scope))
        self.head = head.mark(HeadMark) if head is not None else None
        self.settled = settled.mark(SettledMark) if settled is not None else None

    @property
    def established(self) -> bool:
        return self.head is not None and self.settled is not None

    @property
    def idle(self) -> bool:
        """Whether the head is read so seldom that it does the work of the settled re-read as well."""
        return self.source.lookback is None and self.pause >= self.source.settled_every

    async def establish(self) -> None:
        """Fix the position from which changes are read, before a backfill begins, so that nothing that changes during
        it is lost. A page is asked for and left unread: it makes the provider's clock known. If it is refused, the
        position is fixed all the same: a copy whose changes show late is better than none, and the reading of changes
        says what is wrong, and goes on from there once it is put right.
        """
        if not self.established:
            session, source = self.session, self.source
            now = session.provider_now()
            partitions = await partitions_of(session, source.partitions, Priority.CHANGES)
            for partition in partitions[:1]:
                window = Window(now - source.settle, now)
                context = session.context(partition=partition)
                try:
                    await session.read_window(source.scope, source.page, context, window, None, Priority.CHANGES)
                except ReadFailed as failed:
                    if failed.fault.kind not in ASIDE:
                        raise
            rows = await self.restart()
            if source.leads and source.partitions is not None:
                assert self.head is not None
                self.head.partitions = [key for key in partitions if key]
                rows[0] = self.head_row()
            await session.note(*rows)

    async def restart(self) -> list[CheckpointWrite]:
        """Begin anew at the present, less the time after which answers are final; the rows to store for it."""
        position = floor_to(self.session.provider_now() - self.source.settle, self.source.resolution)
        partitions = self.head.partitions if self.head is not None else None
        self.head = HeadMark(position, self.session.now(), partitions=partitions)
        self.settled = SettledMark(position)
        return [self.head_row(), self.settled_row(None)]

    def check_reach(self, position: datetime) -> None:
        """Raises Gap when the source may no longer reach back to the position."""
        retention = self.source.retention
        if retention is not None and self.session.provider_now() - position > retention - RETENTION_MARGIN:
            raise self.gap()

    async def check_partitions(self) -> None:
        """Raises Grown when a partition turned up that nobody has read yet. One that went is forgotten, so that it is
        read whole when it comes back."""
        head, source = self.head, self.source
        if source.partitions is None or head is None or not source.leads:
            return
        there = [
            key for key in await partitions_of(self.session, source.partitions, Priority.CHANGES, kept=KEPT) if key
        ]
        fresh = [] if head.partitions is None else [key for key in there if key not in head.partitions]
        if fresh:
            assert self.settled is not None
            raise Grown(source.scope, self.settled.through, fresh, there)
        head.partitions = there

    def gap(self) -> Gap:
        assert self.settled is not None
        return Gap(self.source.scope, self.settled.through)

    def settle(self, walk: Walk) -> list[CheckpointWrite]:
        """The row to store when a walk that was read to its end moves the settled horizon."""
        assert self.settled is not None
        through = min(walk.hi, floor_to(walk.began - self.source.settle, self.source.resolution))
        if walk.lo > self.settled.through or through <= self.settled.through:
            return []
        self.settled.through = through
        return [self.settled_row(through)]

    def head_row(self) -> CheckpointWrite:
        assert self.head is not None
        return write("changes", self.source.scope, self.head, self.source.collection_id)

    def settled_row(self, through: datetime | None) -> CheckpointWrite:
        assert self.settled is not None
        source = self.source
        return write("settled", source.scope, self.settled, source.collection_id, settled_through=through)
