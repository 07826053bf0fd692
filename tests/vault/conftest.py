"""What the vault's tests share."""

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from headrace.control import orgs
from headrace.db.pool import Database
from headrace.vault.keys import Keyring
from headrace.vault.master import parse


@pytest.fixture
async def keyring(db: Database) -> Keyring:
    """A checked keyring with a master key of its own."""
    ring = Keyring(parse(os.urandom(32).hex(), "the test"))
    async with db.api.acquire() as conn:
        await ring.check(conn)
    return ring


@pytest.fixture
async def make_org(db: Database) -> Callable[[], Awaitable[UUID]]:
    async def make() -> UUID:
        async with db.transaction() as conn:
            return (await orgs.create(conn, "an org", db.clock.now())).org_id

    return make


@pytest.fixture
async def org_id(make_org: Callable[[], Awaitable[UUID]]) -> UUID:
    return await make_org()


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
