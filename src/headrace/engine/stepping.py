"""The readings of one sync as tasks: started when due, reaped when done, put back to what is stored when cut short."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

import structlog

from headrace.db.trouble import PASSING
from headrace.engine.access import Access
from headrace.engine.assembly import Assembly, Reading
from headrace.engine.checkpoints import Checkpoints
from headrace.engine.health import Health, name_of
from headrace.engine.horizons import Gap
from headrace.engine.schedule import Tempo
from headrace.engine.session import Stopped
from headrace.errors import Fenced, HeadraceError

Group = tuple[str, str]


class Stepper:
    """Steps the readings of an assembly, each at most once at a time. `wake` is set whenever one has ended.

    What a reading holds in memory may be ahead of what is stored. So one that was cut short, by whatever, goes back to
    its checkpoints before it is stepped again, together with those that share marks with it, and while none of them
    runs.
    """

    def __init__(
        self,
        assembly: Assembly,
        health: Health,
        access: Access,
        wake: asyncio.Event,
        load: Callable[[], Awaitable[Checkpoints]],
    ) -> None:
        self._assembly = assembly
        self._health = health
        self._access = access
        self._wake = wake
        self._load = load
        self._running: dict[Reading, asyncio.Task[None]] = {}
        self._cut_short: set[Group] = set()
        self._going_back: asyncio.Task[None] | None = None
        self._log = structlog.get_logger(__name__).bind(sync_id=str(assembly.session.fence.sync_id))

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._running) or self._going_back is not None

    @property
    def reads_changes(self) -> bool:
        """Whether changes are being read, at either horizon. Backfills and sweeps outlast runs."""
        return any(_group(reading)[0] == "horizons" for reading in self._running)

    def start_due(self, tempo: Tempo, *, active: bool) -> None:
        """Start what is due. `active`: requests to the provider may begin."""
        for reading in self._idle():
            due = self._due(reading, tempo, active=active)
            if due is None or due > tempo.now:
                continue
            if _group(reading) in self._cut_short:
                self._go_back()
            elif not (reading.upstream and self._probing()):
                self._running[reading] = self._task(reading.step(tempo), name_of(reading.reading, reading.scope))

    def next_due(self, tempo: Tempo, *, active: bool) -> datetime | None:
        """When something is due that does not run yet; None: not until something changes."""
        times = [
            self._due(reading, tempo, active=active)
            for reading in self._idle()
            if not self._busy(_group(reading)) and not (reading.upstream and self._probing())
        ]
        return min((moment for moment in times if moment is not None), default=None)

    def reap(self) -> Gap | None:
        """Take note of what has ended. Raises Fenced, and what the database being away raises; returns a gap found."""
        gap: Gap | None = None
        if self._going_back is not None and self._going_back.done():
            done, self._going_back = self._going_back, None
            done.result()
        for reading, task in [(reading, task) for reading, task in self._running.items() if task.done()]:
            del self._running[reading]
            if task.cancelled():
                self._cut_short.add(_group(reading))
                continue
            error = task.exception()
            if error is None:
                self._health.succeeded(reading.reading, reading.scope)
                continue
            self._cut_short.add(_group(reading))
            if isinstance(error, Gap):
                gap = error
            elif isinstance(error, Stopped):
                continue
            elif isinstance(error, (Fenced, *PASSING)) or not isinstance(error, Exception):
                raise error
            else:
                self._failed(reading, error)
        return gap

    async def dismiss(self, *, within: float | None) -> None:
        """End everything: at once, or, with `within` seconds, after the answers under way were stored."""
        tasks = [*self._running.values()]
        if within is not None and tasks:
            await asyncio.wait(tasks, timeout=within)
        if self._going_back is not None:
            tasks.append(self._going_back)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._running.clear()

    def _idle(self) -> list[Reading]:
        return [reading for reading in self._assembly.readings if reading not in self._running]

    def _due(self, reading: Reading, tempo: Tempo, *, active: bool) -> datetime | None:
        """When the reading may be stepped: not before it is due, nor before a failure has been waited out."""
        if reading.upstream and not active:
            return None
        due = reading.due(tempo)
        if due is None:
            return None
        waits = [due, self._health.retry_at(reading.reading, reading.scope)]
        if reading.upstream:
            waits.append(self._health.blocked_until())
        return max(moment for moment in waits if moment is not None)

    def _probing(self) -> bool:
        """Whether something stands in the way of every reading, and one is under way to see whether it still does."""
        return self._health.blocked_until() is not None and any(reading.upstream for reading in self._running)

    def _busy(self, group: Group) -> bool:
        """Whether a member of a group that was cut short still runs, or the group is on its way back."""
        if group not in self._cut_short:
            return False
        return self._going_back is not None or any(_group(reading) == group for reading in self._running)

    def _failed(self, reading: Reading, error: Exception) -> None:
        if not isinstance(error, HeadraceError):
            self._log.error("reading_broke", reading=reading.reading, scope=reading.scope, exc_info=error)
        self._health.failed(reading.reading, reading.scope, error, self._assembly.session.now(), self._access)
        for other, task in self._running.items():
            if _group(other) == _group(reading):
                task.cancel()

    def _go_back(self) -> None:
        """Begin to put those that were cut short, and of whose group none runs, back to what is stored."""
        running = {_group(reading) for reading in self._running}
        groups = self._cut_short - running
        if groups and self._going_back is None:
            self._going_back = self._task(self._reload(groups), "going back to what is stored")

    async def _reload(self, groups: Iterable[Group]) -> None:
        await self._assembly.session.ingest.idle()
        checkpoints = await self._load()
        for reading in self._assembly.readings:
            if _group(reading) in groups:
                reading.reload(checkpoints)
        self._cut_short.difference_update(groups)

    def _task(self, steps: Awaitable[None], name: str) -> asyncio.Task[None]:
        async def run() -> None:
            await steps

        task = asyncio.create_task(run(), name=name)
        task.add_done_callback(lambda _: self._wake.set())
        return task


def _group(reading: Reading) -> Group:
    """Those that share marks: the two horizons of a source."""
    horizon = reading.reading in ("changes", "settled")
    return ("horizons" if horizon else reading.reading, reading.scope)
