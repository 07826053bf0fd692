"""The life of one sync while this worker holds it: readings are stepped when they are due, failures are waited out.

The runner only schedules. What a reading does, and how far it is, stands in the reading and its checkpoints; one that
was cut short goes back to what is stored before it is stepped again.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from headrace.control.syncs import Sync
from headrace.db.pool import AWAY
from headrace.db.queries import load
from headrace.engine.access import Access
from headrace.engine.assembly import Assembly, Reading
from headrace.engine.checkpoints import Checkpoints, load_checkpoints
from headrace.engine.gap import fall_back
from headrace.engine.health import Health, name_of
from headrace.engine.horizons import Gap
from headrace.engine.runs import Runs
from headrace.engine.schedule import Tempo
from headrace.engine.services import EngineServices
from headrace.engine.session import Session, Stopped
from headrace.errors import Fenced, HeadraceError
from headrace.stream.items import Fence

SQL = load(__package__, "states.sql")
EPOCH = SQL.epoch

LONGEST_WAIT = timedelta(hours=1)
AGAIN_S = 1.0
"""After an error of the database."""
STOP_WITHIN_S = 3.0
"""How long the answers under way are waited for when the runner stops."""
RECONFIGURED_WITHIN_S = 20.0
"""How long a new fence may take from the PATCH that changed it to the worker that hands it over."""


class SyncRunner:
    """Reads one sync under one lease until it is stopped or the lease is lost."""

    def __init__(self, services: EngineServices, sync: Sync, fence: Fence, access: Access) -> None:
        self._services = services
        self._sync, self._fence, self._access = sync, fence, access
        self._health = Health()
        self._runs = Runs()
        self._wake = asyncio.Event()
        self._stopping = self._renew = self._look = False
        self._tasks: dict[asyncio.Task[None], Reading] = {}
        self._cut_short: set[Reading] = set()
        self._changed_at: datetime | None = None
        self._answered_at: datetime | None = None
        self._session: Session | None = None
        self._log = structlog.get_logger(__name__).bind(sync_id=str(sync.id))

    # ── what the worker says ──

    async def run(self) -> None:
        """Read until stopped. Raises Fenced when the sync is no longer this worker's."""
        while not self._stopping:
            self._renew = False
            try:
                await self._hold()
            except Stopped:
                pass  # disabled or let go in the midst of putting the readings together
            except Fenced:
                await self._await_new_fence()
            except AWAY as error:
                self._log.warning("database_away", error=type(error).__name__)
                await self._services.clock.sleep(AGAIN_S)

    def reconfigure(self, sync: Sync, fence: Fence, access: Access) -> None:
        """Go on with another configuration, fence or credential. What needs no new fence holds from the next request
        on; otherwise the readings are put together anew, and answers under way are dropped."""
        if access != self._access:
            self._health.forget()
        self._renew |= fence != self._fence or access != self._access
        self._sync, self._fence, self._access = sync, fence, access
        if self._session is not None:
            self._session.sync = sync
        self.hint()

    def hint(self) -> None:
        """Something may have changed upstream, or a read was asked for: look now, not at the next turn."""
        self._look = True
        self._wake.set()

    async def stop(self) -> None:
        """Begin no further request; the answers under way are awaited and stored, then `run` returns."""
        self._stopping = True
        self._wake.set()

    # ── one fence ──

    async def _hold(self) -> None:
        """Put the readings together and step them, until stopped or something asks for them to be put together anew."""
        assembly = await self._assemble()
        session = self._session = assembly.session
        gap: Gap | None = None
        try:
            while not (self._stopping or self._renew):
                self._wake.clear()
                await self._take_note(assembly)
                await self._run_due(assembly)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._wait(assembly).total_seconds()):
                        await self._wake.wait()
                gap = self._reap(assembly)
                if gap is not None:
                    break
        finally:
            self._session = None
            await self._dismiss(assembly)
            self._changed_at, self._answered_at = session.changed_at, session.answered_at
        if gap is not None:
            await self._fall_back(gap)

    async def _assemble(self) -> Assembly:
        assembly = Assembly(self._new_session(), await self._checkpoints())
        assembly.session.establish = assembly.establish
        self._cut_short.clear()
        await assembly.aside.load()
        await assembly.session.load_held()
        await self._runs.load(assembly.session)
        return assembly

    def _new_session(self) -> Session:
        session = Session(self._services, self._sync, self._fence, self._access, self._proceed)
        session.changed_at, session.answered_at = self._changed_at, self._answered_at
        return session

    async def _checkpoints(self) -> Checkpoints:
        async with self._services.db.ingest.acquire() as conn:
            return await load_checkpoints(conn, self._fence.stream_id, self._fence.sync_id)

    def _proceed(self) -> bool:
        return not self._stopping and not self._renew and self._sync.status == "active"

    async def _dismiss(self, assembly: Assembly) -> None:
        """Let the readings go. On a stop they end by themselves and store what they have; else they are cut short."""
        if self._tasks and self._stopping:
            await asyncio.wait(self._tasks, timeout=STOP_WITHIN_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await assembly.session.ingest.close(drain=self._stopping)

    async def _fall_back(self, gap: Gap) -> None:
        session = self._new_session()
        checkpoints = await self._checkpoints()
        try:
            await fall_back(Assembly(session, checkpoints), checkpoints, gap)
        finally:
            await session.ingest.close(drain=False)

    async def _await_new_fence(self) -> None:
        """A PATCH gave the sync a new revision, which the worker is about to hand over. Raises Fenced when the sync was
        taken over or deleted."""
        fence = self._fence
        row = await self._services.db.ingest.fetchrow(EPOCH, fence.stream_id, fence.sync_id)
        if row is None or row["deleted"] or row["epoch"] != fence.epoch:
            raise Fenced(f"Sync {fence.sync_id} is another worker's now.")
        with suppress(TimeoutError):
            async with asyncio.timeout(RECONFIGURED_WITHIN_S):
                while self._fence == fence and not self._stopping:
                    await self._wake.wait()
                    self._wake.clear()

    # ── scheduling ──

    async def _take_note(self, assembly: Assembly) -> None:
        """Read what was asked for since, and write down health if it changed."""
        session = assembly.session
        if self._look:
            self._look = False
            await self._runs.load(session)
            await session.load_held()
        await self._health.save(session, assembly.purged)

    async def _run_due(self, assembly: Assembly) -> None:
        session = assembly.session
        run_due = self._runs.due(session)
        if run_due is not None and run_due <= session.now() and self._proceed():
            await self._runs.begin(session)
        tempo = self._runs.tempo(session)
        for reading in self._idle(assembly):
            due = self._due(reading, tempo)
            if due is not None and due <= tempo.now:
                task = asyncio.create_task(
                    self._step(assembly, reading, tempo), name=name_of(reading.reading, reading.scope)
                )
                task.add_done_callback(lambda _: self._wake.set())
                self._tasks[task] = reading
                if self._health.blocked_until() is not None:
                    return  # a probe is one reading

    def _wait(self, assembly: Assembly) -> timedelta:
        """How long until something is due that does not run yet."""
        session = assembly.session
        tempo = self._runs.tempo(session)
        times = [self._due(reading, tempo) for reading in self._idle(assembly)]
        if self._proceed():
            times.append(self._runs.due(session))
        if self._health.blocked_until() is not None and self._tasks:
            times.clear()
        soonest = min((moment for moment in times if moment is not None), default=tempo.now + LONGEST_WAIT)
        return max(timedelta(0), min(soonest - tempo.now, LONGEST_WAIT))

    def _idle(self, assembly: Assembly) -> list[Reading]:
        running = set(self._tasks.values())
        return [reading for reading in assembly.readings if reading not in running]

    def _due(self, reading: Reading, tempo: Tempo) -> datetime | None:
        """When the reading may be stepped: not before it is due, nor before a failure has been waited out."""
        if reading.upstream and self._sync.status != "active":
            return None
        due = reading.due(tempo)
        if due is None:
            return None
        waits = [self._health.retry_at(reading.reading, reading.scope)]
        if reading.upstream:
            waits.append(self._health.blocked_until())
        return max([due, *(moment for moment in waits if moment is not None)])

    async def _step(self, assembly: Assembly, reading: Reading, tempo: Tempo) -> None:
        if reading in self._cut_short:
            await assembly.session.ingest.idle()
            reading.reload(await self._checkpoints())
            self._cut_short.discard(reading)
        await reading.step(tempo)

    def _reap(self, assembly: Assembly) -> Gap | None:
        """Take note of the readings that ended. Raises Fenced, and what the database being away raises."""
        gap: Gap | None = None
        for task in [task for task in self._tasks if task.done()]:
            reading = self._tasks.pop(task)
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if error is None:
                self._health.succeeded(reading.reading, reading.scope)
                continue
            self._cut_short.add(reading)
            if isinstance(error, Gap):
                gap = error
            elif isinstance(error, (Fenced, *AWAY)):
                raise error
            elif isinstance(error, Exception) and not isinstance(error, Stopped):
                if not isinstance(error, HeadraceError):
                    self._log.error("reading_broke", reading=reading.reading, scope=reading.scope, exc_info=error)
                self._health.failed(reading.reading, reading.scope, error, assembly.session.now(), self._access)
                self._cut_short_with(assembly, reading)
        return gap

    def _cut_short_with(self, assembly: Assembly, failed: Reading) -> None:
        """The two horizons of a source share their marks: when one goes back to what is stored, so does the other."""
        for task, reading in self._tasks.items():
            if reading.scope == failed.scope and {reading.reading, failed.reading} == {"changes", "settled"}:
                task.cancel()
        for reading in assembly.readings:
            if reading.scope == failed.scope and {reading.reading, failed.reading} == {"changes", "settled"}:
                self._cut_short.add(reading)
