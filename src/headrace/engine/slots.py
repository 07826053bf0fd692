"""Concurrency slots: at most n requests at once, whatever the number of processes.

The n slots of a limit are numbered; a row says who holds one, and holds as long as the holder's heartbeat. A process
keeps a slot for a moment after a request, for the next one, but no longer than a second in all: others may want it.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from headrace.db.pool import Database
from headrace.db.queries import load
from headrace.engine.outage import OUTAGE
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
    number: int
    taken_at: float


@dataclass(slots=True)
class _Pool:
    """What this process holds of one limit and does not use at the moment; one at a time asks the database for more."""

    idle: list[_Held] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    freed: asyncio.Event = field(default_factory=asyncio.Event)


class Slots:
    """The concurrency slots as this process holds them."""

    def __init__(self, db: Database, presence: Presence) -> None:
        self._db = db
        self._presence = presence
        self._pools: dict[_Key, _Pool] = {}
        self._due: list[tuple[_Key, _Held]] = []
        self._returning: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def hold(self, provider: str, wanted: Callable[[], Iterable[Limit]]) -> AsyncIterator[None]:
        """Hold a slot of each limit while the block runs. `wanted` tells the limits as they are now: it is asked again
        while one waits, so that a changed number counts at once."""
        async with AsyncExitStack() as stack:
            for owner, limit_class, _ in sorted(wanted()):
                await stack.enter_async_context(self._one(_Key(provider, owner, limit_class), wanted))
            yield

    async def stop(self) -> None:
        """Give back what is held and not in use."""
        for key, pool in self._pools.items():
            self._due += [(key, held) for held in pool.idle]
            pool.idle.clear()
        if self._returning is not None:
            self._returning.cancel()
            await asyncio.gather(self._returning, return_exceptions=True)
        try:
            await self._return_due()
        except OUTAGE as error:
            log.warning("slots_not_returned", error=type(error).__name__)

    @asynccontextmanager
    async def _one(self, key: _Key, wanted: Callable[[], Iterable[Limit]]) -> AsyncIterator[None]:
        held = await self._acquire(key, lambda: _most(key, wanted()))
        try:
            yield
        finally:
            if held is not None:
                self._release(key, held)

    async def _acquire(self, key: _Key, most: Callable[[], int]) -> _Held | None:
        await self._presence.start("requests")
        pool = self._pools.setdefault(key, _Pool())
        async with pool.turn:
            while (limit := most()) > 0:
                pool.freed.clear()
                if pool.idle:
                    held = pool.idle.pop()
                    if held.number <= limit:
                        return held
                    self._give_back(key, held)
                elif (taken := await self._take(key, limit)) is not None:
                    return taken
                else:
                    await self._freed(pool)
        return None

    async def _take(self, key: _Key, limit: int) -> _Held | None:
        numbers = random.sample(range(1, limit + 1), min(limit, _MOST))
        now = self._db.clock.now()
        try:
            found = await self._db.api.fetchval(
                TAKE_SLOT, key.provider, key.owner, key.limit_class, [UUID(int=number) for number in numbers],
                self._presence.worker_id, now, self._presence.cutoff(),
            )  # fmt: skip
        except OUTAGE as error:
            log.warning("slots_unreachable", provider=key.provider, error=type(error).__name__)
            return None
        return None if found is None else _Held(found.int, self._db.clock.monotonic())

    async def _freed(self, pool: _Pool) -> None:
        try:
            async with asyncio.timeout(_AGAIN_S * (1 + random.random())):  # noqa: S311
                await pool.freed.wait()
        except TimeoutError:
            pass

    def _release(self, key: _Key, held: _Held) -> None:
        pool = self._pools[key]
        if self._db.clock.monotonic() - held.taken_at > _HELD_S:
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


def _most(key: _Key, limits: Iterable[Limit]) -> int:
    """How many slots the limit has now; 0: it is no longer a limit."""
    return next((most for owner, name, most in limits if (owner, name) == (key.owner, key.limit_class)), 0)
