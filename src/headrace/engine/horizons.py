"""The two horizons of a reading of changes by time, as they move together.

The head is read up to the present, so that the newest shows at once; some time behind it everything is read again,
when the provider's answers have become final.
"""

from datetime import datetime, timedelta

from headrace.engine.checkpoints import Checkpoints, HeadMark, SettledMark, Walk, write
from headrace.engine.pace import Priority
from headrace.engine.partitions import partitions_of
from headrace.engine.session import Session
from headrace.engine.sources import TimeSource
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
    def idle(self) -> bool:
        """Whether the head is read so seldom that it does the work of the settled re-read as well."""
        return self.source.lookback is None and self.pause >= self.source.settled_every

    async def establish(self) -> None:
        """Fix the position from which changes are read, before a backfill begins, so that nothing that changes during
        it is lost. A page is asked for and left unread: it makes the provider's clock known, and a missing permission.
        """
        if self.head is None or self.settled is None:
            session, source = self.session, self.source
            now = session.provider_now()
            for partition in (await partitions_of(session, source.partitions, Priority.CHANGES))[:1]:
                window = Window(now - source.settle, now)
                context = session.context(partition=partition)
                await session.read_window(source.scope, source.page, context, window, None, Priority.CHANGES)
            await session.note(*await self.restart())

    async def restart(self) -> list[CheckpointWrite]:
        """Begin anew at the present, less the time after which answers are final; the rows to store for it."""
        position = floor_to(self.session.provider_now() - self.source.settle, self.source.resolution)
        self.head, self.settled = HeadMark(position, self.session.now()), SettledMark(position)
        return [self.head_row(), self.settled_row(None)]

    def check_reach(self, position: datetime) -> None:
        """Raises Gap when the source may no longer reach back to the position."""
        retention = self.source.retention
        if retention is not None and self.session.provider_now() - position > retention - RETENTION_MARGIN:
            raise self.gap()

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
