"""One connection that listens on any number of channels and makes itself anew when it is lost."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import structlog

log = structlog.get_logger(__name__)


class Listener:
    """Notifications are wake-ups only: nothing depends on one arriving, since a lost connection loses them."""

    def __init__(self, connect: Callable[[], Awaitable[Any]]) -> None:
        self._connect = connect
        self._callbacks: dict[str, list[Callable[[str], None]]] = defaultdict(list)
        self._connection: Any = None
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def listen(self, channel: str, callback: Callable[[str], None]) -> None:
        """Add a callback; returns when the server listens on the channel. Raises when the database is away."""
        first = channel not in self._callbacks
        self._callbacks[channel].append(callback)
        if self._task is None:
            await self._open()
            self._task = asyncio.create_task(self._keep(), name="database-listener")
        elif first and self._connection is not None:
            await self._connection.add_listener(channel, self._received)

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _open(self) -> None:
        connection = await self._connect()
        self._lost.clear()
        connection.add_termination_listener(lambda _: self._lost.set())
        try:
            for channel in self._callbacks:
                await connection.add_listener(channel, self._received)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection

    def _received(self, connection: object, pid: int, channel: str, payload: object) -> None:
        for callback in self._callbacks[channel]:
            callback(str(payload))

    async def _keep(self) -> None:
        while True:
            await self._lost.wait()
            self._connection = None
            log.warning("database_lost", reason="its connection to wake-ups ended; it is asked again until it answers")
            pause = 0.1
            while self._connection is None:
                await asyncio.sleep(pause)
                pause = min(2 * pause, 2.0)
                with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await self._open()
            log.info("database_back")
            for callbacks in list(self._callbacks.values()):
                for callback in callbacks:
                    callback("")
