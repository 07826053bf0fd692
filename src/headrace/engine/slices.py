"""The slices of a backfill: windows of one listing that are read side by side and share what is left.

A slice that finds room gives away the older (or newer) half of what it has still to read: the append of its next page
narrows its own checkpoint and adds that of the new slice, so that at every moment the slices cover what is left.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from headrace.engine.checkpoints import SliceMark, slice_scope, write
from headrace.engine.intake import BACKFILL, Intake
from headrace.engine.pace import Priority
from headrace.engine.paging import Behind, CursorGuard
from headrace.engine.partitions import has_gone
from headrace.engine.refused import is_refused, leave_out
from headrace.engine.session import Session, Stopped
from headrace.engine.tally import Tally
from headrace.engine.transport import ReadFailed
from headrace.engine.windows import share_newer, share_older
from headrace.providers.kit import Collection, Cursor, Listing, Page, Window
from headrace.stream.items import CheckpointWrite, Record

WORTH_SHARING = 3.0
"""A slice is shared while at least this many pages seem to be left."""


class Slices:
    """Reads every slice to its end.

    `scope` is the collection whose checkpoints they are, `source` the one whose listing is read. `with_page(page, n)`
    are the rows that go with a page of n requests, beside the slice's own; `number()` gives a new slice its number.
    """

    def __init__(
        self,
        session: Session,
        intake: Intake,
        scope: str,
        source: Collection,
        reads: frozenset[str],
        marks: dict[int, SliceMark],
        with_page: Callable[[Page, int], list[CheckpointWrite]],
        number: Callable[[], int],
    ) -> None:
        assert source.listing is not None
        self._session = session
        self._intake = intake
        self._scope = scope
        self._source = source
        self._listing: Listing = source.listing
        self._reads = reads
        self._marks = marks
        self._with_page = with_page
        self._number = number
        self._newest: datetime | None = None
        self._running: dict[int, asyncio.Task[None]] = {}
        self._refused: dict[int, ReadFailed] = {}
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Read them all: one in a place of the backfill's own, the others in the spare places of the sync.

        Raises ReadFailed, Fenced (the other slices are cut short), or Stopped (each has stored its answer under way).
        """
        stopped = False
        self._refused.clear()
        try:
            while self._running or (self._marks and not stopped):
                if not self._running and self._marks and self._refused.keys() == self._marks.keys():
                    await self._leave_out()
                    break
                while not stopped and self._start_one():
                    pass
                await self._moved.wait()
                self._moved.clear()
                for number in [number for number, task in self._running.items() if task.done()]:
                    try:
                        self._running.pop(number).result()
                    except Stopped:
                        stopped = True
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)
            self._running.clear()
        if stopped:
            raise Stopped

    async def _leave_out(self) -> None:
        """Nothing is left to read but what is refused: the backfill ends without it."""
        refused = {str(self._marks[number].partition): failed for number, failed in self._refused.items()}
        await leave_out(self._session, self._source.partitions, self._source.id, refused, Priority.BACKFILL)
        await self._session.note(*(self.write(number, mark, remove=True) for number, mark in self._marks.items()))
        self._marks.clear()

    def write(self, number: int, mark: SliceMark, *, remove: bool = False) -> CheckpointWrite:
        return write("backfill", slice_scope(self._scope, number), mark, self._scope, remove=remove)

    def _start_one(self) -> bool:
        waiting = self._marks.keys() - self._running.keys() - self._refused.keys()
        if not waiting:
            return False
        number = min(waiting)
        spare = bool(self._running)
        if spare and not self._session.spare.take():
            return False
        task = asyncio.create_task(self._read(number), name=f"{self._scope}#{number}")
        self._running[number] = task

        def ended(_: object) -> None:
            if spare:
                self._session.spare.give()
            self._moved.set()

        task.add_done_callback(ended)
        return True

    async def _read(self, number: int) -> None:
        mark = self._marks[number]
        oldest_first = self._listing.order == "oldest_first"
        speed = _Speed(mark.at or (mark.window.lo if oldest_first else mark.window.hi))
        guard = CursorGuard(f"the listing of {self._source.id}")
        cursor = mark.cursor
        tally = Tally()
        async with Behind(partial(self._intake.take, origin=BACKFILL)) as behind:
            while True:
                try:
                    page = await self._page(mark, cursor, tally)
                except ReadFailed as failed:
                    if await self._has_gone(mark, failed):
                        await behind.put([], [self.write(number, mark, remove=True)])
                        break
                    if is_refused(mark.partition, failed):
                        self._refused[number] = failed
                        return
                    guard.revive(cursor, failed)
                    cursor = None
                    continue
                cursor = await guard.follow(page, behind)
                if cursor is None:
                    last = [*self._with_page(page, tally.take()), self.write(number, mark, remove=True)]
                    await behind.put(page.items, last)
                    break
                mark.cursor, mark.at = cursor, self._position(page) or mark.at
                speed.pages += 1
                given = self._share(mark, speed)
                fresh = self._number() if given is not None else 0
                writes = [*self._with_page(page, tally.take()), self.write(number, mark)]
                if given is not None:
                    writes.append(self.write(fresh, given))
                await behind.put(page.items, writes)
                if given is not None:
                    await behind.flush()
                    self._marks[fresh] = given
                    self._moved.set()
                await self._session.pause(page)
        del self._marks[number]

    async def _has_gone(self, mark: SliceMark, failed: ReadFailed) -> bool:
        return await has_gone(self._session, self._source.partitions, mark.partition, failed, Priority.BACKFILL)

    async def _page(self, mark: SliceMark, cursor: Cursor | None, tally: Tally) -> Page:
        context = self._session.context(self._reads, mark.partition)
        return await self._session.read_window(
            self._source.id, tally.around(self._listing.page), context, mark.window, cursor, Priority.BACKFILL
        )

    def _position(self, page: Page) -> datetime | None:
        """Where the slice stands after a page, in the time by which its listing is cut and ordered."""
        listing = self._listing
        if not may_be_shared(listing):
            return None
        times = [
            moment
            for item in page.items
            if isinstance(item, Record) and item.collection == self._source.id
            if (moment := item.created if listing.windowed == "created" else item.updated) is not None
        ]
        if not times:
            return None
        self._newest = max(self._newest or times[0], *times)
        return min(times) if listing.order == "newest_first" else max(times)

    def _share(self, mark: SliceMark, speed: "_Speed") -> SliceMark | None:
        """The part of its window that a slice gives away if there is room to read it side by side; narrows `mark`."""
        at = mark.at
        if (
            at is None
            or self._source.id in self._session.windowless
            or not self._session.spare.free
            or len(self._marks) > len(self._running)
        ):
            return None
        window = mark.window
        if self._listing.order == "newest_first":
            cut = share_older(window, at, self._newest or at)
            left = None if window.lo is None else at - window.lo
            stays, goes = (Window(cut, window.hi), Window(window.lo, cut))
        else:
            newest = self._session.provider_now()
            cut = share_newer(window, at, newest)
            left = (window.hi or newest) - at
            stays, goes = (Window(window.lo, cut), Window(cut, window.hi))
        if cut is None or (left is not None and left < speed.a_page(at) * WORTH_SHARING):
            return None
        mark.window = stays
        return SliceMark(goes, partition=mark.partition)


def may_be_shared(listing: Listing) -> bool:
    """Whether a backfill of more than one page may be cut into slices: each ends on a page of its own, so that together
    they may take more pages than the listing has."""
    return listing.windowed is not None and listing.order in ("newest_first", "oldest_first")


class _Speed:
    """How long a stretch of time one page of a slice covers."""

    def __init__(self, start: datetime | None) -> None:
        self.pages = 0
        self._start = start

    def a_page(self, at: datetime) -> timedelta:
        if self._start is None:
            self._start, self.pages = at, 0
        return abs(at - self._start) / max(self.pages, 1)
