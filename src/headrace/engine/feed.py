"""Changes from a feed whose place is told by the provider's own cursor."""

from datetime import datetime, timedelta
from functools import partial

from headrace.engine.checkpoints import Checkpoints, TokenMark, write
from headrace.engine.horizons import RETENTION_MARGIN, Gap
from headrace.engine.intake import Intake, Origin
from headrace.engine.pace import Priority
from headrace.engine.paging import Behind, TokenGuard
from headrace.engine.schedule import Tempo, last_read, next_interval
from headrace.engine.session import Session
from headrace.engine.sources import TokenSource
from headrace.engine.transport import ReadFailed
from headrace.errors import ImplementationError
from headrace.providers.kit import EVERYTHING
from headrace.stream.items import CheckpointWrite

ORIGIN = Origin(Priority.CHANGES, changing=True, follow=True)

MOST_UNSTORED = 25
"""So many pages that say nothing new are read before the place is stored. A feed that asks list after list whether it
has changed has a page for each, and a place that grows with them."""


class TokenFeed:
    """One feed of tokens. Its end being reached proves everything up to the settle time before that read."""

    reading = "changes"
    upstream = True

    def __init__(self, session: Session, intake: Intake, source: TokenSource, checkpoints: Checkpoints) -> None:
        self.scope = source.scope
        self.collections = source.covers
        self.covers = source.covers
        self.mark: TokenMark | None = None
        self._session = session
        self._intake = intake
        self._feed = source.feed
        self._interval = timedelta(0)
        self.reload(checkpoints)

    def reload(self, checkpoints: Checkpoints) -> None:
        """Go back to what is stored."""
        row = checkpoints.get(("changes", self.scope))
        self.mark = row.mark(TokenMark) if row is not None else None

    @property
    def established(self) -> bool:
        return self.mark is not None

    async def establish(self) -> None:
        """Take the token of now, before a backfill begins, so that nothing that changes during it is lost."""
        if self.mark is None:
            await self._session.note(*await self.restart())

    async def restart(self) -> list[CheckpointWrite]:
        """Begin anew at the present; the rows to store for it. Raises ReadFailed, Stopped."""
        session, start = self._session, self._feed.start
        if start is None:
            raise ImplementationError(f"the feed {self._feed.name} tells its place by token and must declare a start")
        page = await session.read(start(session.context()), Priority.CHANGES)
        if page.next is None:
            raise ImplementationError(f"the start of the feed {self._feed.name} must give the token as `next`")
        self.mark = TokenMark(page.next, session.provider_now(), session.now())
        return [self._row()]

    def due(self, tempo: Tempo) -> datetime | None:
        mark = self.mark
        if mark is None:
            return None  # a backfill establishes it
        if tempo.asked_at is not None and mark.read_at <= tempo.asked_at:
            return tempo.now
        if tempo.scheduled:
            return tempo.now if tempo.run_started is not None and mark.read_at < tempo.run_started else None
        return last_read(mark.read_at, tempo) + next_interval(self._interval, tempo, self._feed.every)

    async def step(self, tempo: Tempo) -> None:
        """Read on to the feed's end. Raises ReadFailed, Gap, Stopped, Fenced."""
        mark, session = self.mark, self._session
        assert mark is not None
        self._interval = next_interval(self._interval, tempo, self._feed.every)
        if session.provider_now() - mark.caught_up > self._feed.retention - RETENTION_MARGIN:
            raise Gap(self.scope, mark.caught_up)
        guard = TokenGuard(mark.token)
        async with Behind(partial(self._intake.take, origin=ORIGIN)) as behind:
            more, pages = True, 0
            while more:
                began, began_at = session.provider_now(), session.now()
                try:
                    page = await session.read(
                        self._feed.page(session.context(), EVERYTHING, mark.token), Priority.CHANGES
                    )
                except ReadFailed as failed:
                    if failed.fault.kind == "expired":
                        raise Gap(self.scope, mark.caught_up) from failed
                    raise
                more = page.more
                if page.next is None or (more and guard.leads_back(page.next)):
                    if page.items:
                        await behind.put(page.items, ())
                    raise ImplementationError(f"the feed {self._feed.name} must give a new token with each page")
                mark.token = page.next
                through = None
                if not more:
                    mark.caught_up, mark.read_at = began, began_at
                    through = began - self._feed.settle
                pages += 1
                if page.items or not more or pages >= MOST_UNSTORED:
                    row = self._row(through)
                    row.pages, row.records = pages, len(page.items)
                    pages = 0
                    await behind.put(page.items, [row])
                await session.pause(page)

    def _row(self, through: datetime | None = None) -> CheckpointWrite:
        assert self.mark is not None
        return write("changes", self.scope, self.mark, settled_through=through)
