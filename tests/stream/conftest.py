import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from stream_consumer import Consumer, Process
from stream_log import Log, OnDatabase, new_log

from headrace.db.pool import Database

if os.environ.get("HEADRACE_NO_SHRINKING"):  # whether a law fails is all that `mutants.py` asks
    hypothesis_settings.register_profile("quick", phases=[Phase.generate], database=None)
    hypothesis_settings.load_profile("quick")


@pytest.fixture
async def log(db: Database) -> Log:
    """An empty stream with one sync."""
    return await new_log(db)


@pytest.fixture
async def process(log: Log) -> AsyncIterator[Process]:
    process = await Process.start(log)
    yield process
    await process.stop()


@pytest.fixture
async def other_process(log: Log) -> AsyncIterator[Process]:
    process = await Process.start(log)
    yield process
    await process.stop()


@pytest.fixture
async def consumer(log: Log, process: Process) -> Consumer:
    """A consumer from the start of the stream, with the default settings."""
    return await process.consumer(log)


@pytest.fixture
def on_db(dsn: str) -> Iterator[OnDatabase]:
    with asyncio.Runner() as runner:
        db = runner.run(Database.open(dsn, api_size=6, ingest_size=4))
        yield lambda work: runner.run(work(db))
        runner.run(db.close())
