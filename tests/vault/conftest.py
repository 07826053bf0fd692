"""What the vault's tests share."""

import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def at_once() -> Callable[..., list[str]]:
    """Run a Python program in four processes of the operating system and return what each printed.

    Each prints `ready`, then waits for a line: they are let go when all have come so far.
    """

    def run(program: str, *arguments: str) -> list[str]:
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(4)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        said = [process.communicate(timeout=60)[0] for process in processes]
        assert [process.returncode for process in processes] == [0] * len(processes)
        return said

    return run
