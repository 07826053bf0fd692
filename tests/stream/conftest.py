import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from stream_consumer import Consumer, Process
from stream_log import Log, OnDatabase, new_log

from headrace.db.pool import Database


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
