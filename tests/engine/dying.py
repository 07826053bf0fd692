"""A process that dies at a chosen moment: after any await of the engine on the database or on the provider.

From that moment on nothing more happens: whatever the dead process still tries is refused, as if it had been killed.
(Dying before an await is dying after the one before it.)
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from holding import Holding

from headrace.engine.services import EngineServices


class Killed(asyncio.CancelledError):
    """The process is no more: what runs in it ends as if it was cancelled."""


class Points:
    """Counts what is done; after the deed with the number `last` nothing more is."""

    def __init__(self, last: int | None) -> None:
        self.passed = 0
        self.dead = False
        self._last = last

    @asynccontextmanager
    async def deed(self) -> AsyncIterator[None]:
        """Something that, once done, stays done."""
        self._check()
        yield
        self._check()
        self.passed += 1
        self.dead = self.passed == self._last
        self._check()

    def _check(self) -> None:
        if self.dead:
            raise Killed


class _Pool:
    """A pool of connections to a database that outlives the process."""

    def __init__(self, pool: Any, points: Points) -> None:
        self._pool = pool
        self._points = points

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        async with self._points.deed(), self._pool.acquire() as conn:
            yield conn

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._pool, name)

        async def call(*args: Any) -> Any:
            async with self._points.deed():
                return await method(*args)

        return call


class _Database:
    def __init__(self, db: Any, points: Points) -> None:
        self.api, self.ingest = _Pool(db.api, points), _Pool(db.ingest, points)
        self.clock = db.clock


class _Transport:
    def __init__(self, transport: Any, points: Points) -> None:
        self._transport = transport
        self._points = points
        self.provider_now = transport.provider_now

    async def run(self, *args: Any, **options: Any) -> Any:
        async with self._points.deed():
            return await self._transport.run(*args, **options)


def dying(services: EngineServices, points: Points) -> EngineServices:
    """The same services, until the last point."""
    db: Any = _Database(services.db, points)
    transport: Any = _Transport(services.transport, points)
    return replace(services, db=db, transport=transport)


async def reach(held: Holding, alive: EngineServices, points: Points, condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for the condition; a dead runner's sync is taken up by a living one."""
    async with asyncio.timeout(60):
        while not await condition():
            if points.dead and held.services is not alive:
                await held.kill()
                held.services = alive
                await held.start()
                await held.ask()
            elif held.task is not None and held.task.done() and held.services is alive:
                held.task.result()
            await asyncio.sleep(0.02)
