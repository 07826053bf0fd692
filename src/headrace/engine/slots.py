"""Concurrency slots: at most n requests at once, whatever the number of processes.

The n slots of a limit are numbered; a row says who holds one, and holds as long as the holder's heartbeat. A process
keeps a slot for a moment after a request, for the next one, but no longer than a second in all: others may want it.
"""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import structlog

from headrace.db.pool import Database
from headrace.db.queries import load
from headrace.engine.outage import OUTAGE
from headrace.engine.precedence import FairQueue, Priority
from headrace.engine.presence import Presence

SQL = load(__package__, "slots.sql")
TAKE_SLOT = SQL.take_slot
GIVE_BACK = SQL.give_back

log = structlog.get_logger(__name__)

Limit = tuple[bytes, str, int]
"""Whose (account hash, or a sync's id), limit class, how many."""

_LINGER_S = 0.25
_HELD_S = 1.0
_AGAIN_S = 0.05
_MOST = 1024


@dataclass(frozen=True, slots=True)
class _Key:
    provider: str
    owner: bytes
    limit_class: str


@dataclass(frozen=True, slots=True)
class _Held:
    """`at` is the steady moment from which the slot can be another's, if the heartbeat was broken since."""

    number: int
    at: float


@dataclass(eq=False, slots=True)
class _Waiter:
    """`most` tells how many slots the limit has now. What is given is a slot, or None where it is a limit no more."""

    most: Callable[[], int]
    given: asyncio.Future[_Held | None]


@dataclass(slots=True)
class _Pool:
    """What this process holds of one limit and does not use at the moment, and who waits for more; one task at a time
    asks the database."""

    idle: list[_Held] = field(default_factory=list)
    waiting: FairQueue[_Waiter] = field(default_factory=FairQueue)
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Hold:
    """Slots that are held. `lost`: the heartbeat was broken meanwhile, so that they may be another's by now."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self.since = math.inf

    @property
    def lost(self) -> bool:
        return self.since < self._presence.unbroken_since and self.since != math.inf


class Slots:
    """The concurrency slots as this process holds them."""

    def __init__(self, db: Database, presence: Presence) -> None:
        self._db = db
        self._presence = presence
        self._pools: dict[_Key, _Pool] = {}
        self._due: list[tuple[_Key, _Held]] = []
        self._returning: asyncio.Task[None] | None = None
        self._away = False

    @asynccontextmanager
    async def hold(
        self, provider: str, wanted: Callable[[], Iterable[Limit]], priority: Priority, sync_id: UUID | None
    ) -> AsyncIterator["Hold"]:
        """Hold a slot of each limit while the block runs. `wanted` tells the limits as they are now: it is asked again
        while one waits, so that a changed number counts at once. The most pressing are served first, syncs in turns.
        """
        hold = Hold(self._presence)
        async with AsyncExitStack() as stack:
            for owner, limit_class, _ in sorted(wanted()):
                key = _Key(provider, owner, limit_class)
                held = await self._acquire(key, partial(_most, key, wanted), priority, sync_id)
                if held is not None:
                    stack.callback(self._release, key, held)
                    hold.since = min(hold.since, held.at)
            yield hold

    async def stop(self) -> None:
        """Give back what is held and not in use. Those who wait are cancelled."""
        for key, pool in self._pools.items():
            if pool.task is not None:
                pool.task.cancel()
            for waiter in pool.waiting:
                waiter.given.cancel()
            self._due += [(key, held) for held in pool.idle]
            pool.idle.clear()
        if self._returning is not None:
            self._returning.cancel()
            await asyncio.gather(self._returning, return_exceptions=True)
        try:
            await self._return_due()
        except OUTAGE as error:
            log.warning("slots_not_returned", error=type(error).__name__)

    # ── in turn ──

    async def _acquire(
        self, key: _Key, most: Callable[[], int], priority: Priority, sync_id: UUID | None
    ) -> _Held | None:
        await self._presence.start("requests")
        pool = self._pools.setdefault(key, _Pool())
        waiter = _Waiter(most, asyncio.get_running_loop().create_future())
        pool.waiting.add(waiter, priority, sync_id)
        pool.freed.set()
        if pool.task is None or pool.task.done():
            pool.task = asyncio.create_task(self._serve(key, pool), name=f"slots-{key.provider}")
        try:
            return await waiter.given
        except asyncio.CancelledError:
            pool.waiting.remove(waiter)
            if waiter.given.done() and not waiter.given.cancelled() and not waiter.given.exception():
                held = waiter.given.result()
                if held is not None:
                    self._release(key, held)
            raise

    async def _serve(self, key: _Key, pool: _Pool) -> None:
        """Until nobody waits. An error that is nobody's fault here must not leave anybody waiting for ever."""
        try:
            await self._serve_on(key, pool)
        except Exception as error:
            log.exception("slots_failed", provider=key.provider)
            for waiter in pool.waiting:
                pool.waiting.remove(waiter)
                if not waiter.given.done():
                    waiter.given.set_exception(error)

    async def _serve_on(self, key: _Key, pool: _Pool) -> None:
        while pool.waiting:
            pool.freed.clear()
            [first] = pool.waiting.order(1, _anybody)
            limit = first.most()
            if limit <= 0:
                self._give(pool, first, None)
            elif (held := self._idle(key, pool, limit) or await self._take(key, limit)) is not None:
                # Somebody more pressing may have come while the database was asked; all may have gone.
                for waiter in pool.waiting.order(1, _anybody):
                    self._give(pool, waiter, held)
                    break
                else:
                    self._release(key, held)
            else:
                await self._freed(pool)

    def _give(self, pool: _Pool, waiter: _Waiter, held: _Held | None) -> None:
        pool.waiting.remove(waiter, served=True)
        waiter.given.set_result(held)

    def _idle(self, key: _Key, pool: _Pool, limit: int) -> _Held | None:
        while pool.idle:
            held = pool.idle.pop()
            if held.number <= limit and held.at >= self._presence.unbroken_since:
                return held
            self._give_back(key, held)
        return None

    async def _take(self, key: _Key, limit: int) -> _Held | None:
        if not self._presence.alive:
            return None
        numbers = random.sample(range(1, limit + 1), min(limit, _MOST))
        now, at = self._db.clock.now(), self._db.clock.monotonic()
        try:
            found = await self._db.api.fetchval(
                TAKE_SLOT, key.provider, key.owner, key.limit_class, [UUID(int=number) for number in numbers],
                self._presence.worker_id, now, *self._presence.lifetime(),
            )  # fmt: skip
        except OUTAGE as error:
            if not self._away:
                log.warning("slots_unreachable", provider=key.provider, error=type(error).__name__)
            self._away = True
            return None
        self._away = False
        return None if found is None else _Held(found.int, at)

    async def _freed(self, pool: _Pool) -> None:
        try:
            async with asyncio.timeout(_AGAIN_S * (1 + random.random())):  # noqa: S311
                await pool.freed.wait()
        except TimeoutError:
            pass

    def _release(self, key: _Key, held: _Held) -> None:
        pool = self._pools[key]
        if self._db.clock.monotonic() - held.at > _HELD_S:
            self._give_back(key, held)
            return
        pool.idle.append(held)
        pool.freed.set()
        asyncio.get_running_loop().call_later(_LINGER_S, self._lingered, key, held)

    def _lingered(self, key: _Key, held: _Held) -> None:
        pool = self._pools[key]
        if held in pool.idle:
            pool.idle.remove(held)
            self._give_back(key, held)

    def _give_back(self, key: _Key, held: _Held) -> None:
        self._due.append((key, held))
        if self._returning is None or self._returning.done():
            self._returning = asyncio.create_task(self._return_on(), name="slots-return")

    async def _return_on(self) -> None:
        while self._due:
            try:
                await self._return_due()
            except OUTAGE:
                await asyncio.sleep(_LINGER_S)

    async def _return_due(self) -> None:
        while self._due:
            key, held = self._due[0]
            await self._db.api.execute(
                GIVE_BACK, key.provider, key.owner, key.limit_class, UUID(int=held.number), self._presence.worker_id
            )
            self._due.pop(0)


def _anybody(_: _Waiter) -> bool:
    return True


def _most(key: _Key, wanted: Callable[[], Iterable[Limit]]) -> int:
    """How many slots the limit has now; 0: it is no longer a limit."""
    return next((most for owner, name, most in wanted() if (owner, name) == (key.owner, key.limit_class)), 0)
