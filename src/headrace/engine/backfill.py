"""Backfill: everything that a collection holds, resumable in the middle, while changes are read beside it."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from headrace.engine import expected
from headrace.engine.checkpoints import BackfillMark, Checkpoints, SliceMark, backfill_mark, slice_numbers, write
from headrace.engine.ingest import Load
from headrace.engine.intake import Intake
from headrace.engine.pace import Priority
from headrace.engine.partitions import partitions_of
from headrace.engine.schedule import Tempo
from headrace.engine.session import Session
from headrace.engine.slices import Slices
from headrace.engine.tally import Tally
from headrace.errors import ImplementationError
from headrace.providers.kit import Collection, Page, Provider, Window
from headrace.stream.items import CheckpointWrite, Record


class Backfill:
    """The backfill of one collection, and of the `riders` embedded in its listing that are due with it."""

    reading = "backfill"
    upstream = True

    def __init__(
        self,
        session: Session,
        intake: Intake,
        collection: Collection,
        riders: Iterable[str],
        checkpoints: Checkpoints,
    ) -> None:
        self.scope = collection.id
        self.mark = BackfillMark()
        self.collections = frozenset({collection.id, *riders})
        self._session = session
        self._source = listed_in(session.access.provider, collection.id)
        self._riders = {rider: BackfillMark() for rider in riders}
        self._marks: dict[int, SliceMark] = {}
        self._stale: list[int] = []
        self._reads = session.access.provider.reads(self.collections)
        self._slices = Slices(
            session, intake, self.scope, self._source, self._reads, self._marks, self._with_page, self._next_number
        )
        self._uncounted: list[str | None] = []
        self._more = asyncio.Event()
        self._whole = False
        self.reload(checkpoints)

    def reload(self, checkpoints: Checkpoints) -> None:
        """Go back to what is stored. Slices that an earlier backfill left are kept in mind: they go when this begins.
        What rode along in a listing that is not read any more begins anew."""
        self.mark = backfill_mark(checkpoints, self.scope)
        if self.mark.along is not None:
            self.mark = BackfillMark(cause=self.mark.cause, since=self.mark.since)
        self._riders = {rider: backfill_mark(checkpoints, rider) for rider in self._riders}
        slices = {number: row.mark(SliceMark) for number, row in slice_numbers(checkpoints, self.scope)}
        self._marks.clear()
        if self.mark.state == "reading":
            self._marks.update(slices)
        self._stale = [] if self._marks else list(slices)

    def due(self, tempo: Tempo) -> datetime | None:
        return None if self.mark.state == "done" else tempo.now

    async def step(self, tempo: Tempo) -> None:
        """Read to the end. Raises ReadFailed, Stopped, Fenced; what was stored until then need not be read again."""
        if self.mark.state == "due":
            await self._begin()
        self._whole = self._told_by_pages()
        counting = asyncio.create_task(self._count())
        try:
            await self._slices.run()
        finally:
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)
        await self._close()

    async def _begin(self) -> None:
        session = self._session
        await session.establish(self.collections)
        tally = Tally()
        partitions = await partitions_of(session, self._source.partitions, Priority.BACKFILL, tally=tally)
        self.mark.state, self.mark.began = "reading", session.provider_now()
        self.mark.window = self._window()
        self.mark.carries = sorted(self._riders)
        for rider in self._riders.values():
            rider.state, rider.began, rider.along = "reading", self.mark.began, self.scope
        for partition in partitions:
            self._marks[self._next_number()] = SliceMark(self.mark.window, partition=partition)
        slices = [self._slices.write(number, SliceMark(self.mark.window), remove=True) for number in self._stale]
        slices += [self._slices.write(number, mark) for number, mark in self._marks.items()]
        rows = self._writes(started_at=session.now())
        rows[0].requests = tally.take()
        await session.note(*rows, *slices)
        if self._source.id == self.scope and expected.may_count(self._source, partitions):
            self._uncounted = partitions
            self._more.clear()

    async def _count(self) -> None:
        """Ask how much there is in all, once it has shown that it is more than a page and the pages do not tell."""
        if not self._uncounted:
            return
        await self._more.wait()
        window, partitions = self.mark.window, self._uncounted
        records = await expected.count(self._session, self._source, self._reads, window, partitions)
        self._uncounted = []
        if records is not None:
            await self._session.note(write("backfill", self.scope, self.mark, self.scope, expected=records))

    def _told_by_pages(self) -> bool:
        """Whether the total that a page tells is the backfill's: not that of one partition or slice of several, nor of
        the parents in whose listing its records come."""
        windows = [mark.window for mark in self._marks.values()]
        return self._source.id == self.scope and self._source.partitions is None and windows == [self.mark.window]

    def _window(self) -> Window:
        """What is asked for: not what the age limit leaves out, where the provider can filter by the time that tells a
        record's age."""
        window, cutoff = self.mark.window, self._session.cutoff()
        provider = self._session.access.provider
        if cutoff is None or window.lo is not None or not cut_by_age(provider, self.scope):
            return window
        return Window(cutoff, window.hi)

    async def _close(self) -> None:
        """The append that proves that everything was read: every page is stored before it."""
        session = self._session
        for mark in (self.mark, *self._riders.values()):
            mark.state, mark.since, mark.along = "done", None, None
        session.unread -= self.collections
        session.completed_at.update(dict.fromkeys(self.collections, session.now()))
        writes = self._writes(completed_at=session.now())
        await session.ingest.store(Load(checkpoints=writes, completes=not session.unread))

    def _next_number(self) -> int:
        # The count that is stored may be behind the slices that are: pages of two slices are stored in either order.
        self.mark.slices = max(self.mark.slices, *self._marks, *self._stale, 0) + 1
        return self.mark.slices

    def _writes(self, **facts: Any) -> list[CheckpointWrite]:
        """The rows of the collection and of those that ride along."""
        own = write("backfill", self.scope, self.mark, self.scope, **facts)
        return [own, *(write("backfill", rider, mark, rider, **facts) for rider, mark in self._riders.items())]

    def _with_page(self, page: Page, requests: int) -> list[CheckpointWrite]:
        """These rows with what a page adds to their counts."""
        rows = self._writes()
        rows[0].pages, rows[0].requests = 1, requests
        if self._whole:
            rows[0].expected = page.expected
        if rows[0].expected is None and (page.next is not None or len(self._marks) > 1):
            self._more.set()
        self._whole = self._whole and self._told_by_pages()
        for row in rows:
            row.records = sum(isinstance(item, Record) and item.collection == row.scope for item in page.items)
        return rows


def cut_by_age(provider: Provider, collection_id: str) -> bool:
    """Whether the collection's listing can leave out what is too old: it is cut by the time that tells the age. Where
    records are known to change by their own updated time, an old birth says nothing."""
    collection = listed_in(provider, collection_id)
    if collection.listing is None:
        return False
    if collection.listing.windowed == "updated":
        return True
    return collection.listing.windowed == "created" and all(each.field != "updated" for each in collection.changes)


def listed_in(provider: Provider, collection_id: str) -> Collection:
    """The collection in whose listing the records come: itself, or the parent that it is embedded in."""
    collection = provider.collection(collection_id)
    while collection is not None and collection.embedded:
        assert collection.children is not None
        collection = provider.collection(collection.children.parent)
    if collection is None:
        raise ImplementationError(f"{collection_id} is not declared by {provider.slug}")
    return collection
