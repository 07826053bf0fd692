"""The database goes away and comes back: nothing is sent without a permit, and everything goes on."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from paced import access, provider
from test_pace import paced, sent
from test_worker import Puppet, puppets, until
from working import make, working

from headrace.db.launcher import EmbeddedPostgres
from headrace.db.migrate import migrate
from headrace.db.pool import Database
from headrace.providers.kit import Limit

__all__ = ["puppets"]


@pytest.fixture
async def postgres() -> AsyncIterator[EmbeddedPostgres]:
    """A server of this test's own, which may be stopped. Its path is short, so that it comes back at the same URL:
    through the link that stands for a long one it would have another."""
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        server = EmbeddedPostgres(Path(folder))
        yield server
        await server.stop()


async def test_a_worker_outlives_the_database(postgres: EmbeddedPostgres, puppets: list[Puppet]) -> None:
    dsn = await postgres.start()
    await migrate(dsn)
    db = await Database.open(dsn)
    await make(db, "http://127.0.0.1:9", 3)
    async with working(db) as worker:
        await until(lambda: len(puppets) == 3)
        await postgres.stop()
        # Its leases may be another's by now.
        await until(lambda: all(puppet.cancelled for puppet in puppets))
        assert not worker.status()["alive"]
        assert await postgres.start() == dsn
        await until(lambda: len(puppets) == 6)
        await until(lambda: worker.status()["alive"] and not worker.status()["stalled"])
    await db.close()


async def test_requests_wait_for_the_ledger_to_come_back(postgres: EmbeddedPostgres) -> None:
    dsn = await postgres.start()
    await migrate(dsn)
    db = await Database.open(dsn)
    async with paced(db) as pace:
        who = access(provider(Limit(100, 1.0)))
        await sent(pace, who, None, 1)
        await postgres.stop()
        waiting = asyncio.create_task(sent(pace, who, None, 3))
        await asyncio.sleep(1.0)
        assert not waiting.done()
        await postgres.start()
        async with asyncio.timeout(60):
            assert len(await waiting) == 3
    await db.close()
