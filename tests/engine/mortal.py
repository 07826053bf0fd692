"""A worker that is a process of its own and is killed by SIGKILL at a chosen moment: after any word of the database or
of a provider has reached it.

A moment has a name, `where: what`, which is the engine's function and the statement or the kind of request, and a
number, since most happen more than once. The process writes the name of each into a file as it passes, so that a first
run tells which there are. (Dying before a statement is dying after the word before it: the database learns of the death
when nobody listens to its answer.)

The process is forked from one that has imported everything, which makes a life cheap enough for hundreds of deaths.
"""

import asyncio
import multiprocessing
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from asyncpg.connection import Connection

from headrace.engine.wire import Wire
from headrace.server import serve
from headrace.settings import Settings

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    ["headrace.server", *(point.module for point in entry_points(group="headrace.providers"))]
)
_ID = re.compile(r"/\w+_\w{6,}")


class Moment(NamedTuple):
    """The `number`-th time (from 1) that what is named has happened in a process."""

    name: str
    number: int


class _Moments:
    """Tells each moment, and kills the process at the last."""

    def __init__(self, last: Moment | None, told: Path) -> None:
        self._last = last
        self._passed: Counter[str] = Counter()
        self._told = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def passed(self, what: str) -> None:
        name = f"{_where()}: {what}"
        self._passed[name] += 1
        os.write(self._told, f"{name}\n".encode())
        if (name, self._passed[name]) == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def _where() -> str:
    """The function of Headrace that is at work, above those that lead to the database."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("headrace.") and not module.startswith("headrace.db."):
            return f"{module.removeprefix('headrace.')}.{frame.f_code.co_name}"
        frame = frame.f_back
    return "asyncpg"


def _what(query: str) -> str:
    """The beginning of a statement, without what differs from one run to the next."""
    words = " ".join(line for line in query.splitlines() if not line.startswith("--")).split()
    return " ".join(words)[:40].rstrip("; ").split("'")[0]


def _watch(moments: _Moments) -> None:
    """Every trip of this process to the database, and every answer of a provider, is a moment from now on.

    The pools are the engine's own: what is wrapped lies below them, where asyncpg and the wire begin.
    """
    connection: Any = Connection
    wire: Any = Wire
    plain, copy, send = connection.execute, connection.copy_to_table, wire.send

    async def execute(self: Any, query: str, *args: Any, **options: Any) -> Any:
        done = await plain(self, query, *args, **options)
        if not args:  # else it went by _execute
            moments.passed(_what(query))
        return done

    def prepared(run: Any) -> Any:
        async def watched(self: Any, query: str, *args: Any, **options: Any) -> Any:
            done = await run(self, query, *args, **options)
            moments.passed(_what(query))
            return done

        return watched

    async def copied(self: Any, table: str, **options: Any) -> Any:
        done = await copy(self, table, **options)
        moments.passed(f"copy {table}")
        return done

    async def sent(self: Any, request: Any, url: Any, **options: Any) -> Any:
        answer = await send(self, request, url, **options)
        moments.passed(f"{request.method} {_ID.sub('/ID', url.path)}")
        return answer

    connection.execute, connection.copy_to_table, wire.send = execute, copied, sent
    connection._execute, connection._executemany = prepared(connection._execute), prepared(connection._executemany)


def _live(settings: Mapping[str, Any], last: Moment | None, told: Path, log: Path) -> None:
    """The process: a worker until SIGTERM, or until its last moment."""
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    _watch(_Moments(last, told))
    asyncio.run(serve(Settings(**settings), lambda _: None))


class MortalWorker:
    """Such a process. `last` None: it lives until it is told to stop."""

    def __init__(self, settings: Mapping[str, Any], last: Moment | None, told: Path, log: Path) -> None:
        self.last = last
        self._process = _FORKING.Process(target=_live, args=(dict(settings), last, told, log), daemon=True)

    def start(self) -> None:
        self._process.start()

    @property
    def killed(self) -> bool:
        """It has died at its moment. Raises AssertionError when it ended in any other way."""
        code = self._process.exitcode
        assert code in (None, -signal.SIGKILL), f"the worker ended by itself with {code}"
        return code is not None

    async def stop(self) -> bool:
        """Tell it to stop, and wait. Whether it was killed before it was done."""
        self._process.terminate()
        return await self._ended() == -signal.SIGKILL

    async def kill(self) -> None:
        if self._process.pid is not None:
            self._process.kill()
            await self._ended()

    async def _ended(self) -> int:
        async with asyncio.timeout(60):
            while self._process.exitcode is None:
                await asyncio.sleep(0.02)
        return self._process.exitcode
