"""A peer's command and all that it starts: one group of processes, whose time and memory are counted together."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil


class Program:
    """A command in a session of its own, so that kill -9 reaches all of it. What it prints goes to `log`."""

    def __init__(self, command: Sequence[str], *, folder: Path, env: Mapping[str, str], log: Path) -> None:
        self.spent_s = 0.0
        self.code: int | None = None
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**_CLEAN, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._waiting = asyncio.create_task(asyncio.to_thread(self._wait))

    @property
    def pid(self) -> int:
        return self._process.pid

    def _wait(self) -> None:
        _, status, used = os.wait4(self.pid, 0)
        self.spent_s = used.ru_utime + used.ru_stime
        self.code = self._process.returncode = os.waitstatus_to_exitcode(status)

    async def ended(self) -> int:
        """Wait until it has ended; its exit code."""
        await asyncio.shield(self._waiting)
        assert self.code is not None
        return self.code

    async def kill(self) -> None:
        """kill -9 to all of it, and wait until it is gone."""
        if self.code is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        await self.ended()

    def busy_s(self) -> float:
        """Seconds of processor time so far, of what has ended and was waited for, and of what runs."""
        return self.spent_s if self.code is not None else busy_s(self.pid)

    def last_words(self, lines: int = 3) -> str:
        """The end of what it printed, from the last line on that names an error, if one does; without where it stands
        on this machine."""
        said = self._log.read_text(errors="replace").strip().splitlines()
        named = [number for number, line in enumerate(said) if "rror:" in line]
        last = said[named[-1] :][:lines] if named else said[-lines:]
        said_last = " / ".join(line.strip() for line in last)
        return _FOLDERS.sub("", said_last)[:400]


_FOLDERS = re.compile(r"(?<![\w:/])/(?:[^\s/():]+/)+")
"""Of a path, not of an address on the web."""

_CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("HEADRACE_", "PYTHON", "VIRTUAL_ENV", "PG", "NODE_"))
}


def _tree(pid: int) -> Iterable[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        yield root
        yield from root.children(recursive=True)


def busy_s(pid: int) -> float:
    """Seconds of processor time of a process, its children, and those of them that have ended."""
    while True:
        try:
            before, total = {each.pid for each in _tree(pid)}, 0.0
            for process in _tree(pid):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        except psutil.NoSuchProcess:
            continue
        # One that ended meanwhile may have been counted neither as itself nor by its parent: look again.
        if {each.pid for each in _tree(pid)} == before:
            return total


def resident(pid: int) -> int:
    """Bytes that a process and its children have resident; what they share is counted once (PSS, where it is told)."""
    total = 0
    for process in _tree(pid):
        with suppress(psutil.Error):
            held = process.memory_full_info()
            total += getattr(held, "pss", held.rss)
    return total


def _together(pids: Iterable[int]) -> int:
    return sum(map(resident, pids))


Pids = Callable[[], Iterable[int]]


class Watch:
    """The most memory that was resident in the block: looked at every 100 ms, of the processes that there then are."""

    def __init__(self, pids: Pids) -> None:
        self._pids = pids
        self.most = 0

    async def __aenter__(self) -> "Watch":
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _look(self) -> None:
        while True:
            self.most = max(self.most, await asyncio.to_thread(_together, list(self._pids())))
            await asyncio.sleep(0.1)
