"""Running `headrace` as a user's shell does."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code == 0, self.err
        return orjson.loads(self.out)

    def lines(self) -> list[Any]:
        assert self.code == 0, self.err
        return [orjson.loads(line) for line in self.out.splitlines()]


class Shell:
    """A shell with this environment, of `HEADRACE_…` nothing else."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")} | dict(env)

    async def __call__(self, *arguments: str, stdin: bytes = b"", **env: str) -> Ran:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "headrace",
            *arguments,
            env=self.env | env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate(stdin)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())
