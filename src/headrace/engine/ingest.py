"""From pages to appends: the one writer of a sync.

Pages come from several readings at once. The writer takes all that is ready when it is free, so that an append is
large while there is much to do and nothing waits while there is little. Appends happen in the order in which their
pages were handed in.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from headrace.clock import Clock
from headrace.db.pool import Database
from headrace.db.trouble import PASSING, in_words
from headrace.engine.checkpoints import CheckpointKey, merge
from headrace.errors import Fenced
from headrace.stream import dictionaries
from headrace.stream.append import append
from headrace.stream.items import Appended, Batch, Canon, CheckpointWrite, ChildSet, Delete, Fence, Mention, Record

log = structlog.get_logger(__name__)

MOST_ROWS = 2_000
MOST_BYTES = 8 << 20
"""An append is closed when it has this much; a single page may be larger."""
WAITING_BYTES = 32 << 20
WAITING_ROWS = 8_000
"""Readings wait while this much is handed in and not yet stored: memory stays bounded however slow the database."""


@dataclass(slots=True)
class Load:
    """What one page proves, on its way into the stream. `seen` names the sweep that saw every record of it.
    `completes`: with it every collection of the sync is backfilled."""

    records: list[Record] = field(default_factory=list)
    deletes: list[Delete] = field(default_factory=list)
    child_sets: list[ChildSet] = field(default_factory=list)
    checkpoints: list[CheckpointWrite] = field(default_factory=list)
    seen: UUID | None = None
    completes: bool = False

    @property
    def rows(self) -> int:
        return len(self.records) + len(self.deletes) + len(self.child_sets)


@dataclass(slots=True)
class _Waiting:
    load: Load
    size: int
    done: asyncio.Future[list[Mention]]


class Ingest:
    """Appends in order, merged. `stored` is called after each append.

    The first append that is fenced ends it: that and every later load fails with `Fenced`, and nothing of them is
    stored. Errors of the database that pass are waited out for as long as they last; `trouble` then says which, and
    `troubled` is called when it begins and when it is over. A load
    that the database refuses for what is in it fails alone.
    """

    def __init__(
        self,
        db: Database,
        fence: Fence,
        canons: Mapping[str, Canon],
        clock: Clock,
        stored: Callable[[Appended], None],
        troubled: Callable[[], None] = lambda: None,
    ) -> None:
        self.fence = fence
        self.trouble: str | None = None
        self.troubled_since: float | None = None
        self._db = db
        self._canons = canons
        self._clock = clock
        self._stored = stored
        self._troubled = troubled
        self._queue: deque[_Waiting] = deque()
        self._rows = self._bytes = 0
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._broken: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self._training: asyncio.Task[None] | None = None

    async def store(self, load: Load) -> list[Mention]:
        """Append the load, merged with others that are ready; returns after the commit.

        The answer names the load's records of which it is unclear whether they are the newest: as long as there is
        one, neither these nor the load's checkpoints are stored, while everything else is. Raises Fenced.
        """
        while self._broken is None and not self._room.is_set():
            await self._room.wait()
        if self._broken is not None:
            raise self._broken
        size = sum(len(record.raw) for record in load.records)
        waiting = _Waiting(load, size, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._count(load.rows, size)
        self._ready.set()
        if self._task is None:
            self._task = asyncio.create_task(self._write(), name=f"ingest-{self.fence.sync_id}")
        return await asyncio.shield(waiting.done)

    async def idle(self) -> None:
        """Wait until nothing is left of what was handed in. Raises Fenced."""
        while self._queue and self._broken is None:
            await asyncio.wait([self._queue[-1].done])
        if self._broken is not None:
            raise self._broken

    async def close(self, *, drain: bool) -> None:
        """End. With `drain` what was handed in is stored before, unless the database is in trouble."""
        task, self._task = self._task, None
        if task is not None:
            while drain and self._queue and self.trouble is None and not task.done():
                await asyncio.wait([self._queue[-1].done], timeout=0.1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        training, self._training = self._training, None
        if training is not None:
            training.cancel()
            await asyncio.gather(training, return_exceptions=True)
        self._break(Fenced("The sync is no longer read here; its pages are read again by whoever reads it next."))

    async def _write(self) -> None:
        alone = 0  # so many loads are tried one by one
        while True:
            await self._ready.wait()
            while self._queue:
                batch, loads = self._merge(alone=alone > 0)
                try:
                    appended = await self._append(batch)
                except Fenced as error:
                    self._break(error)
                    return
                except Exception as error:
                    if len(loads) > 1:
                        alone = len(loads)
                        continue
                    log.exception("append_refused", sync_id=str(self.fence.sync_id))
                    self._queue.popleft()
                    self._count(-loads[0].load.rows, -loads[0].size)
                    _fail(loads[0], error)
                else:
                    self._finish(loads, appended.unclear)
                    self._stored(appended)
                    self._train(appended.untrained)
                alone = max(0, alone - 1)
            self._ready.clear()

    def _finish(self, loads: list[_Waiting], unclear: list[Mention]) -> None:
        """Answer the loads of an append. If something was unclear none of its checkpoints was written: those of the
        loads that are clear follow in the next append."""
        own = [_unclear_of(waiting.load, unclear) for waiting in loads]
        again: list[_Waiting] = []
        for waiting, mentions in zip(loads, own, strict=True):
            self._queue.popleft()
            self._count(-waiting.load.rows, -waiting.size)
            load = waiting.load
            if unclear and not mentions and (load.checkpoints or load.completes):
                again.append(_Waiting(Load(checkpoints=load.checkpoints, completes=load.completes), 0, waiting.done))
            else:
                _answer(waiting, mentions)
        self._queue.extendleft(reversed(again))

    def _merge(self, *, alone: bool) -> tuple[Batch, list[_Waiting]]:
        """As many loads from the front of the queue as one append takes, or one. They stay in the queue until it is
        done."""
        first = self._queue[0].load
        batch = Batch(seen=first.seen, only_if_clear=True)
        loads: list[_Waiting] = []
        size = 0
        checkpoints: dict[CheckpointKey, CheckpointWrite] = {}
        rows = 0
        for waiting in self._queue:
            load = waiting.load
            if loads and (
                alone or load.seen != batch.seen or rows + load.rows > MOST_ROWS or size + waiting.size > MOST_BYTES
            ):
                break
            loads.append(waiting)
            rows, size = rows + load.rows, size + waiting.size
            batch.records += load.records
            batch.deletes += load.deletes
            batch.child_sets += load.child_sets
            batch.backfill_completed |= load.completes
            merge(checkpoints, load.checkpoints)
        batch.checkpoints = list(checkpoints.values())
        return batch, loads

    async def _append(self, batch: Batch) -> Appended:
        pause = 0.1
        while True:
            try:
                appended = await append(self._db, self.fence, batch, self._canons, self._clock.now())
            except PASSING as error:
                self._note(in_words(error))
                log.warning("append_repeated", sync_id=str(self.fence.sync_id), error=type(error).__name__)
                await self._clock.sleep(pause)
                pause = min(2 * pause, 5.0)
            else:
                self._note(None)
                return appended

    def _train(self, collections: list[str]) -> None:
        """Make the dictionaries that are wanting, one at a time, while appends go on without."""
        if collections and (self._training is None or self._training.done()):
            self._training = asyncio.create_task(self._train_each(collections), name=f"train-{self.fence.sync_id}")

    async def _train_each(self, collections: list[str]) -> None:
        for each in collections:
            try:
                await dictionaries.train(self._db, self.fence, each)
            except Exception as error:
                log.warning(
                    "no_dictionary", sync_id=str(self.fence.sync_id), collection=each, error=type(error).__name__
                )

    def _note(self, trouble: str | None) -> None:
        if trouble == self.trouble:
            return
        self.trouble = trouble
        self.troubled_since = None if trouble is None else self.troubled_since or self._clock.monotonic()
        self._troubled()

    def _count(self, rows: int, size: int) -> None:
        self._rows += rows
        self._bytes += size
        if self._rows < WAITING_ROWS and self._bytes < WAITING_BYTES:
            self._room.set()
        else:
            self._room.clear()

    def _break(self, error: BaseException) -> None:
        self._broken = self._broken or error
        for waiting in self._queue:
            _fail(waiting, error)
        self._queue.clear()
        self._room.set()


def _unclear_of(load: Load, unclear: list[Mention]) -> list[Mention]:
    """Those of an append's unclear records that came with this load, by name or as a child of one of its parents."""
    if not unclear:
        return []
    named = {(item.collection, item.id) for item in load.records} | {(d.collection, d.id) for d in load.deletes}
    parents = {(children.collection, children.parent) for children in load.child_sets}
    return [
        mention
        for mention in unclear
        if (mention.collection, mention.id) in named or (mention.collection, mention.parent) in parents
    ]


def _answer(waiting: _Waiting, unclear: list[Mention]) -> None:
    if not waiting.done.done():
        waiting.done.set_result(unclear)


def _fail(waiting: _Waiting, error: BaseException) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)
        waiting.done.exception()  # its reader may be gone
