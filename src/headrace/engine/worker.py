"""The worker: holds leases, runs the syncs that it holds, and lets them go in good order.

Three tasks: one looks at leases and configurations once a second, or at once when notified; one watches the heartbeat
and the event loop; one keeps house. No sync has a timer that asks the database: what all of them need is read together.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

import structlog

from headrace.control.syncs import Sync
from headrace.engine import metrics
from headrace.engine.configurations import Configuration, Configurations
from headrace.engine.held import HeldSync
from headrace.engine.housekeeping import Housekeeping
from headrace.engine.leases import CHANNEL, Lease, Leases, Look
from headrace.engine.outage import OUTAGE
from headrace.engine.services import EngineServices
from headrace.errors import HeadraceError
from headrace.ids import parse_uuid
from headrace.log import listen

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 1.0
_LEAST_BETWEEN_LOOKS_S = 0.05
_LOOK_WITHIN_S = 10.0
_WATCH_EVERY_S = 0.25
_LAGS_KEPT = 20
_STALLED_LAG_S = 5.0
_NOT_STORED_S = 3.0
_STOP_WITHIN_S = 2.5
_GATHER_S = 0.02
_LOAD_AT_ONCE = 200
_UNUSABLE_AGAIN_S = 30.0


class Worker:
    """One per process. `start` returns when the first heartbeat has reached the database.

    Disabled syncs are held as well: what goes on in one that is disabled (records that grow too old, grants that must
    not die) is its runner's business, and the switch back costs no claim.
    """

    def __init__(self, services: EngineServices) -> None:
        self._services = services
        self._clock = services.clock
        self._presence = services.pace.presence
        self._leases = Leases(services.db, self._presence)
        self._configurations = Configurations(services.db, services.keyring, services.providers, services.settings)
        self._housekeeping = Housekeeping(services, self._leases, self._syncs)
        self._held: dict[UUID, HeldSync] = {}
        self._leaving: dict[UUID, asyncio.Task[None]] = {}
        self._unusable: dict[UUID, float] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._hints: set[UUID] = set()
        self._wake = asyncio.Event()
        self._looked_at = self._clock.monotonic()
        self._lags: deque[float] = deque([0.0], maxlen=_LAGS_KEPT)
        self._tasks: list[asyncio.Task[None]] = []
        self._stop: asyncio.Task[None] | None = None
        self._deaf: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Raises the database's errors when the notifications cannot be listened to."""
        await self._presence.start("worker")
        self._services.transport.on_outcome = self._services.activity.tried
        self._deaf = listen(self._services.activity.heard)
        await self._services.db.listen("headrace_sync", self._notified)
        await self._services.db.listen(CHANNEL, lambda _: self._wake.set())
        for name, work in (
            ("leases", self._look_on()), ("watch", self._watch()), ("housekeeping", self._housekeeping.run()),
        ):  # fmt: skip
            self._tasks.append(asyncio.create_task(work, name=name))

    async def stop(self) -> None:
        """Let every sync go: no further request begins, answers under way are stored if they come in time, and each
        lease is released as soon as nothing of its sync is under way, so that another takes it at once. May be called
        again: it is one stop."""
        if self._stop is None:
            self._stop = asyncio.create_task(self._let_all_go(), name="worker-stop")
        await asyncio.shield(self._stop)

    async def _let_all_go(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        deadline = self._clock.monotonic() + _STOP_WITHIN_S
        for held in self._held.values():
            held.leave()
        await self._presence.announce_stopping()
        # Most rest, and go at once and together; to end their tasks takes longer than to hand them over.
        await self._release([sync_id for sync_id, held in self._held.items() if held.resting])
        stops = {asyncio.create_task(held.stop()): sync_id for sync_id, held in self._held.items()}
        left: set[asyncio.Task[None]] = set(stops)
        while left and (seconds := deadline - self._clock.monotonic()) > 0:
            done, left = await asyncio.wait(left, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(_GATHER_S)  # those that end together are released together
            done |= {stop for stop in left if stop.done()}
            left -= done
            await self._release([stops[stop] for stop in done])
        for sync_id in list(self._held):
            self._drop(sync_id)
        await asyncio.gather(*self._ending, *stops, *self._leaving.values(), return_exceptions=True)
        await self._release(list(self._leases.held))

    async def _release(self, sync_ids: Collection[UUID]) -> None:
        try:
            await self._leases.release(sync_ids)
        except OUTAGE as error:
            log.warning("leases_not_released", error=type(error).__name__)

    def status(self) -> dict[str, Any]:
        """The truth for /ready. `alive`: the heartbeat is fresh and the worker's tasks run. `stalled`: the event loop
        is late by seconds, leases have not been looked at for as long as one lasts, or pages cannot be stored. `note`
        says why, where the database is the reason."""
        age = self._presence.age_s
        lag, look_age = max(self._lags), self._clock.monotonic() - self._looked_at
        troubles = (held.storing_trouble(_NOT_STORED_S) for held in self._held.values())
        not_stored = next((trouble for trouble in troubles if trouble is not None), None)
        tasks_run = bool(self._tasks) and not any(task.done() for task in self._tasks)
        return {
            "alive": self._presence.alive and tasks_run,
            "stalled": bool(not_stored or lag > _STALLED_LAG_S or look_age > self._presence.ttl.total_seconds()),
            "worker_id": str(self._presence.worker_id),
            "workers": len(self._leases.living),
            "note": self._presence.trouble or not_stored,
            "heartbeat_age_s": round(age, 3),
            "event_loop_lag_s": round(lag, 3),
            "syncs_held": len(self._leases.held),
            "syncs_failing": sum(1 for held in self._held.values() if held.failures) + len(self._unusable),
        }

    def trouble_of(self, sync_id: UUID) -> str | None:
        """What is wrong with the database, as far as it keeps this worker from reading the sync; None: nothing."""
        held = self._held.get(sync_id)
        return self._presence.trouble or (None if held is None else held.storing_trouble(_NOT_STORED_S))

    # ── leases and configurations ──

    def _notified(self, payload: str) -> None:
        sync_id = parse_uuid(payload)
        if sync_id is None:
            # The listening connection was lost for a while: any notification may be missing.
            self._hints.update(self._held)
            self._leases.forget_streams()
        elif sync_id in self._held:
            self._hints.add(sync_id)
        else:
            self._leases.forget_streams()
            self._unusable.pop(sync_id, None)
        self._wake.set()

    async def _look_on(self) -> None:
        while True:
            self._wake.clear()
            again = False
            try:
                async with asyncio.timeout(_LOOK_WITHIN_S):
                    again = await self._look()
            except OUTAGE as error:
                log.warning("leases_not_read", error=type(error).__name__)
            except Exception:
                log.exception("leases_look_failed")
            await self._clock.sleep(_LEAST_BETWEEN_LOOKS_S)
            if not again:
                await self._woken(_LOOK_EVERY_S - _LEAST_BETWEEN_LOOKS_S)

    async def _woken(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _look(self) -> bool:
        """One look. Returns whether there is more to take up than fits into one, or than this worker got."""
        if not self._presence.alive:
            return False
        hints, self._hints = self._hints, set()
        await self._release_those_who_left()
        look = await self._leases.look()
        self._drop_lost()
        due = await self._due(look)
        loaded = await self._configurations.load(due[:_LOAD_AT_ONCE])
        for lease in due[:_LOAD_AT_ONCE]:
            await self._take_up(lease, loaded)
        for sync_id in hints - loaded.keys():
            if sync_id in self._held:
                self._held[sync_id].hint()
        self._drop_lost()  # the heartbeat may have failed meanwhile
        self._give_away(look.excess)
        self._looked_at = self._clock.monotonic()
        return look.contested or len(due) > _LOAD_AT_ONCE

    async def _due(self, look: Look) -> list[Lease]:
        """The leases whose configuration must be read: new ones, and those changed in any way since."""
        marks = {sync_id: held.configuration.mark for sync_id, held in self._held.items()}
        changed = set(await self._configurations.changed(marks)) if marks else set()
        now = self._clock.monotonic()
        return [
            lease
            for sync_id, lease in look.held.items()
            if sync_id not in self._leaving
            and (
                self._unusable.get(sync_id, 0.0) <= now
                if sync_id not in self._held
                else sync_id in changed or self._held[sync_id].lease != lease
            )
        ]

    async def _take_up(self, lease: Lease, loaded: Mapping[UUID, Configuration | HeadraceError]) -> None:
        found = loaded.get(lease.sync_id)
        if found is None:
            return
        if isinstance(found, HeadraceError):
            await self._put_aside(lease, found)
            return
        self._unusable.pop(lease.sync_id, None)
        self._services.pace.limit_sync(found.sync)
        held = self._held.get(lease.sync_id)
        if held is None:
            self._held[lease.sync_id] = HeldSync(self._services, lease, found)
        else:
            held.reconfigure(lease, found)

    async def _put_aside(self, lease: Lease, error: HeadraceError) -> None:
        """The sync is this worker's and cannot be run: its health says why, and it is tried again."""
        log.error("sync_unusable", sync_id=str(lease.sync_id), reason=error.summary)
        self._drop(lease.sync_id)
        self._unusable[lease.sync_id] = self._clock.monotonic() + _UNUSABLE_AGAIN_S
        await self._configurations.mark_unusable(lease, error.summary)

    def _drop_lost(self) -> None:
        for sync_id in self._held.keys() - self._leases.held.keys():
            self._drop(sync_id)

    def _drop(self, sync_id: UUID) -> None:
        held = self._held.pop(sync_id, None)
        self._unusable.pop(sync_id, None)
        self._services.pace.forget_sync(sync_id)
        if held is not None:
            held.drop()
            self._ending.add(held.task)
            held.task.add_done_callback(self._ending.discard)

    # ── giving away ──

    def _give_away(self, excess: Iterable[UUID]) -> None:
        """Begin to let syncs go; their leases are kept until nothing of them is under way."""
        for sync_id in excess:
            if sync_id not in self._leaving:
                held = self._held.get(sync_id)
                self._leaving[sync_id] = asyncio.create_task(self._let_go(held), name=f"leaving-{sync_id}")

    async def _let_go(self, held: HeldSync | None) -> None:
        if held is not None:
            await held.stop()
        self._wake.set()

    async def _release_those_who_left(self) -> None:
        left = [sync_id for sync_id, task in self._leaving.items() if task.done()]
        if left:
            await self._leases.release(left)
        for sync_id in left:
            del self._leaving[sync_id]
            self._drop(sync_id)

    # ── watching ──

    async def _watch(self) -> None:
        """Measure how late the event loop is, and let everything go when the heartbeat is too old."""
        while True:
            before = self._clock.monotonic()
            await self._clock.sleep(_WATCH_EVERY_S)
            self._lags.append(max(0.0, self._clock.monotonic() - before - _WATCH_EVERY_S))
            metrics.LOOP_LAG.set(max(self._lags))
            if self._leases.held and not self._presence.alive:
                log.error("heartbeat_too_old", age_s=round(self._presence.age_s, 1), syncs=len(self._held))
                self._leases.drop_all()
                self._drop_lost()

    def _syncs(self) -> list[Sync]:
        return [held.configuration.sync for held in self._held.values()]
