"""The life of one sync while this worker holds it: readings are stepped when they are due, failures are waited out.

The runner only schedules. What a reading does, and how far it is, stands in the reading and its checkpoints; one that
was cut short goes back to what is stored before it is stepped again.
"""

import asyncio
import random
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from headrace.control.syncs import Sync
from headrace.db.queries import load
from headrace.db.trouble import PASSING
from headrace.engine.access import Access
from headrace.engine.assembly import Assembly
from headrace.engine.checkpoints import Checkpoints, load_checkpoints
from headrace.engine.gap import fall_back
from headrace.engine.health import Health
from headrace.engine.horizons import Gap
from headrace.engine.refused import load_refused
from headrace.engine.runs import Runs
from headrace.engine.services import EngineServices
from headrace.engine.session import Session, Stopped
from headrace.engine.stepping import Stepper
from headrace.engine.transport import ReadFailed
from headrace.errors import Fenced
from headrace.stream.items import Fence

SQL = load(__package__, "states.sql")
EPOCH = SQL.epoch

LONGEST_WAIT = timedelta(hours=1)
AGAIN_S = 1.0
LONGEST_AGAIN_S = 15.0
"""After an error of the database, growing: each try reads a page of the provider that may not be stored."""
STOP_WITHIN_S = 2.0
"""How long the answers under way are waited for when the runner stops; what came is stored then. The worker gives it
half a second more."""
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
        self.resting = False
        """Whether nothing is under way, and nothing begins before something is due or asked for."""
        self._changed_at: datetime | None = None
        self._answered_at: datetime | None = None
        self._session: Session | None = None
        self._again_s = AGAIN_S
        self._log = structlog.get_logger(__name__).bind(sync_id=str(sync.id))

    # ── what the worker says ──

    async def run(self) -> None:
        """Read until stopped. Raises Fenced when the sync is no longer this worker's."""
        while not self._stopping:
            self._renew, fence = False, self._fence
            try:
                await self._hold()
            except Stopped:
                pass  # disabled or let go in the midst of putting the readings together
            except Fenced:
                await self._await_another_than(fence)
            except PASSING as error:
                self._log.warning("database_away", error=type(error).__name__)
                await self._pause_after_outage()

    async def _pause_after_outage(self) -> None:
        """Between half of it and the whole, so that the syncs do not all come back at once; a stop ends it."""
        seconds, self._again_s = self._again_s, min(2 * self._again_s, LONGEST_AGAIN_S)
        deadline = self._services.clock.monotonic() + seconds * (0.5 + 0.5 * random.random())  # noqa: S311
        while not self._stopping and (left := deadline - self._services.clock.monotonic()) > 0:
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wake.wait()

    def reconfigure(self, sync: Sync, fence: Fence, access: Access) -> None:
        """Go on with another configuration, fence or credential. What needs no new fence holds from the next request
        on; otherwise the readings are put together anew, and answers under way are dropped."""
        if access != self._access:
            self._health.forget()
        self._renew |= fence != self._fence or access != self._access
        self._sync, self._fence, self._access = sync, fence, access
        if self._session is not None:
            self._session.sync = sync
        self._end_waits()
        self.hint()

    def hint(self) -> None:
        """Something may have changed upstream, or a read was asked for: look now, not at the next turn."""
        self._look = True
        self._wake.set()

    def leave(self) -> None:
        """Begin nothing any more. One that rests goes on resting until `stop`."""
        self._stopping = True

    async def stop(self) -> None:
        """Begin no further request; the answers under way are awaited and stored, then `run` returns."""
        self.leave()
        self._end_waits()
        self._wake.set()

    def storing_trouble(self, for_s: float) -> str | None:
        """Why pages have not been stored for so many seconds, None while they are."""
        ingest = self._session.ingest if self._session is not None else None
        if ingest is None or ingest.troubled_since is None:
            return None
        return ingest.trouble if self._services.clock.monotonic() - ingest.troubled_since > for_s else None

    # ── one fence ──

    async def _hold(self) -> None:
        """Put the readings together and step them, until stopped or something asks for them to be put together anew."""
        assembly = await self._assemble()
        session = self._session = assembly.session
        stepper = Stepper(assembly, self._health, self._access, self._wake, self._checkpoints)
        gap, clock = self._unfollowed(assembly), self._services.db.clock
        jumps = clock.jumps
        try:
            while gap is None and not (self._stopping or self._renew):
                self._wake.clear()
                await self._take_note(assembly)
                self._again_s = AGAIN_S
                if clock.jumps != jumps:
                    jumps = clock.jumps
                    self._health.try_now(session.now())  # attempts were put off by the clock of before
                await self._begin_run(assembly, stepper)
                stepper.start_due(self._runs.tempo(session), active=self._proceed())
                self.resting = not stepper.busy
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._wait(assembly, stepper)):
                        await self._wake.wait()
                self.resting = False
                gap = stepper.reap() or self._unfollowed(assembly)
        finally:
            self._session, self.resting = None, False
            await stepper.dismiss(within=STOP_WITHIN_S if self._stopping else None)
            await session.ingest.close(drain=self._stopping)
            self._changed_at, self._answered_at = session.changed_at, session.answered_at
        if gap is not None:
            await self._fall_back(gap)

    async def _assemble(self) -> Assembly:
        assembly = Assembly(self._new_session(), await self._checkpoints())
        assembly.session.establish = assembly.establish
        await assembly.aside.load()
        await assembly.session.load_held()
        await load_refused(assembly.session)
        await self._runs.load(assembly.session)
        return assembly

    def _new_session(self) -> Session:
        session = Session(self._services, self._sync, self._fence, self._access, self._proceed, self._wake.set)
        session.changed_at, session.answered_at = self._changed_at, self._answered_at
        return session

    async def _checkpoints(self) -> Checkpoints:
        async with self._services.db.ingest.acquire() as conn:
            return await load_checkpoints(conn, self._fence.stream_id, self._fence.sync_id)

    def _proceed(self) -> bool:
        return not self._stopping and not self._renew and self._sync.status == "active"

    def _end_waits(self) -> None:
        """What waits to be sent, for minutes perhaps, is not to keep the sync from its next holder."""
        if self._session is not None and not self._proceed():
            self._session.waits.end()

    async def _fall_back(self, gap: Gap) -> None:
        session = self._session = self._new_session()
        checkpoints = await self._checkpoints()
        try:
            await fall_back(Assembly(session, checkpoints), checkpoints, gap)
        except ReadFailed as failed:
            self._health.failed("changes", gap.scope, failed, session.now(), self._access)
        finally:
            self._session = None
            await session.ingest.close(drain=False)

    def _unfollowed(self, assembly: Assembly) -> Gap | None:
        gap = assembly.unfollowed() if self._proceed() else None
        retry_at = None if gap is None else self._health.retry_at("changes", gap.scope)
        return gap if retry_at is None or retry_at <= assembly.session.now() else None

    async def _await_another_than(self, fence: Fence) -> None:
        """A PATCH gave the sync a new revision, which the worker is about to hand over, or has handed over meanwhile.
        Raises Fenced when the sync was taken over or deleted."""
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
            self._look, asked = False, self._runs.requested
            await self._runs.load(session)
            await session.load_held()
            await assembly.aside.load()
            if self._runs.requested != asked:
                self._health.try_now(session.now())
        try:
            await self._health.save(session, assembly.purged)
        except PASSING:
            if session.ingest.trouble is None:
                raise
            # Pages wait for the same trouble to pass, and whoever asks this process is told of it.

    async def _begin_run(self, assembly: Assembly, stepper: Stepper) -> None:
        due = self._run_due(assembly, stepper)
        if due is not None and due <= assembly.session.now():
            await self._runs.begin(assembly.session)

    def _run_due(self, assembly: Assembly, stepper: Stepper) -> datetime | None:
        """When the next run begins: not before the changes of the former one are read."""
        return self._runs.due(assembly.session) if self._proceed() and not stepper.reads_changes else None

    def _wait(self, assembly: Assembly, stepper: Stepper) -> float:
        """Seconds until something is due that does not run yet."""
        tempo, active = self._runs.tempo(assembly.session), self._proceed()
        times = [stepper.next_due(tempo, active=active), self._run_due(assembly, stepper)]
        soonest = min((moment for moment in times if moment is not None), default=tempo.now + LONGEST_WAIT)
        return max(0.0, min(soonest - tempo.now, LONGEST_WAIT).total_seconds())
