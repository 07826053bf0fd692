"""Headrace's commands as operating-system processes: for tests and benchmarks that start, kill and stop them."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_LINE_LIMIT = 1 << 20


class CommandProcess:
    """`headrace` with these arguments, as a process of its own; `lines` is what it has printed so far.

    The environment is that of this process without `HEADRACE_…`, plus `env`. Used as an async context manager it is
    killed at the end, if it still lives.
    """

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self._arguments = arguments
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        self._env |= env or {}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._printed = asyncio.Event()
        self.lines: list[str] = []

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode if self._process else None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "headrace",
            *self._arguments,
            env=self._env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LINE_LIMIT,
        )
        self._reader = asyncio.create_task(self._read())

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()

    async def line(self, part: str, timeout_s: float = 180.0) -> str:
        """The first line printed, before or from now on, that holds `part`. Raises TimeoutError with what was printed
        instead, also when the process ends without it."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        seen = 0
        while True:
            self._printed.clear()
            for line in self.lines[seen:]:
                if part in line:
                    return line
            seen = len(self.lines)
            ended = self._reader is None or self._reader.done()
            with contextlib.suppress(TimeoutError):
                if not ended:
                    async with asyncio.timeout_at(deadline):
                        await self._printed.wait()
                        continue
            raise TimeoutError(f"no line with {part!r}; the last ones are:\n" + "\n".join(self.lines[-20:]))

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self.ended()

    async def stop(self, timeout_s: float = 30.0) -> int:
        """SIGTERM; the exit code. Raises TimeoutError when it does not end."""
        self.signal(signal.SIGTERM)
        async with asyncio.timeout(timeout_s):
            return await self.ended()

    async def ended(self) -> int:
        """Wait until the process has ended by itself; its exit code."""
        if self._process is None:
            return 0
        code = await self._process.wait()
        if self._reader is not None:
            # A grandchild may hold the pipe open a moment longer than the process lives.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    await asyncio.shield(self._reader)
            self._reader.cancel()
        return code

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            async for line in self._process.stdout:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self._printed.set()
        finally:
            self._printed.set()


class ServeProcess(CommandProcess):
    """`headrace serve`. `url` and `token` are known once it is `ready`.

    With `database_url` it shares that database (and needs the master key that all of them share, `secret_key`); else
    it has an embedded one under `data_dir`. `settings` are more of them, by name (`limits_override`). `source` is
    another checkout whose code it shall run.
    """

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        database_url: str | None = None,
        token: str = "hr_test_token",  # noqa: S107 - it opens nothing but what a test has started
        secret_key: str = "0" * 64,
        port: int = 0,
        role: str = "all",
        settings: Mapping[str, str] | None = None,
        source: Path | None = None,
    ) -> None:
        env = {"HEADRACE_API_TOKEN": token, "HEADRACE_SECRET_KEY": secret_key, "HEADRACE_ALLOW_BASE_URL": "1"}
        env |= {f"HEADRACE_{name.upper()}": value for name, value in (settings or {}).items()}
        if database_url is not None:
            env["HEADRACE_DATABASE_URL"] = database_url
        if data_dir is not None:
            env["HEADRACE_DATA_DIR"] = str(data_dir)
        if source is not None:
            env["PYTHONPATH"] = str(source.resolve() / "src")
        super().__init__("serve", "--port", str(port), "--role", role, env=env)
        self.token = token
        self.url = ""

    async def ready(self, timeout_s: float = 180.0) -> Self:
        """Wait until it serves."""
        line: dict[str, Any] = json.loads(await self.line('"event":"serving"', timeout_s))
        self.url = line["url"]
        return self


class FakeProcess(CommandProcess):
    """`headrace fake PROVIDER`. `url` is known once it is `ready`."""

    def __init__(self, provider: str, **options: object) -> None:
        named = (part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value)))
        super().__init__("fake", provider, *named)
        self.url = ""

    async def ready(self, timeout_s: float = 180.0) -> Self:
        line = await self.line("is served on http", timeout_s)
        self.url = next(word for word in line.split() if word.startswith("http")).rstrip(";")
        return self
