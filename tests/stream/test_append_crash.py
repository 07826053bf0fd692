"""kill -9 of the database in the middle of appends: what was acknowledged is there, and numbers are not used twice."""

import asyncio
import os
import signal

import asyncpg
import pytest
from stream_log import THINGS, Log, new_log, record

from headrace.db.launcher import EmbeddedPostgres
from headrace.db.migrate import migrate
from headrace.db.pool import AWAY, Database
from headrace.stream import dictionaries
from headrace.stream.codec import WITH_DICTIONARY
from headrace.stream.items import CheckpointWrite

PASSING = (*AWAY, asyncpg.PostgresError)


@pytest.mark.slow
async def test_what_was_acknowledged_survives_the_death_of_the_database(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("crash"))
    dsn = await server.start()
    try:
        await migrate(dsn)
        db = await Database.open(dsn, api_size=4, ingest_size=4)
        log = await new_log(db)
        await log.append(*(record(f"x-{number}", raw=text(f"x-{number}")) for number in range(1, 1001)))
        assert await dictionaries.train(db, log.fence, THINGS)
        acknowledged: dict[str, int] = {}
        numbers: dict[int, str] = {}
        for kill in range(4):
            await appends_until_killed(log, server, kill, acknowledged, numbers)
            await until_back(db)
            stored = await log.read()
            assert all(each.data == text(each.upstream_id) for each in stored)
            held = {each.upstream_id: each.updated_idx for each in stored}
            assert acknowledged.items() <= held.items()
            checkpoint = await db.api.fetchval("select (value ->> 'after')::int from checkpoints")
            assert checkpoint == max(int(id_.split("-")[1]) for id_ in held if id_[0] != "x"), (
                "it stands with its records"
            )
        assert await db.api.fetchval("select count(*) from records where codec = $1", WITH_DICTIONARY) > 60
        await db.close()
    finally:
        await server.stop()


def text(id_: str) -> bytes:
    return b'{"id":"%s","object":"thing","notes":"Sold on account, paid later. Not to be sold again."}' % id_.encode()


async def appends_until_killed(
    log: Log, server: EmbeddedPostgres, kill: int, acknowledged: dict[str, int], numbers: dict[int, str]
) -> None:
    """Append as fast as it goes; the database is killed while an append is under way."""
    killer: asyncio.Task[None] | None = None
    start = 1 + max((int(id_.split("-")[1]) for id_ in acknowledged), default=0) + 1000 * (kill > 0)
    for number in range(start, start + 100_000):
        ids = [f"{lane}-{number}" for lane in "abc"]
        checkpoint = CheckpointWrite("backfill", "all", {"after": number})
        try:
            result = await log.append(*(record(id_, raw=text(id_)) for id_ in ids), checkpoints=[checkpoint])
        except PASSING:
            break
        for idx, id_ in enumerate(ids, result.head - 2):
            assert idx not in numbers, "a number was given twice"
            acknowledged[id_], numbers[idx] = idx, id_
        if number == start + 20 + 7 * kill:
            killer = asyncio.create_task(asyncio.to_thread(kill_all, server))
    assert killer is not None
    await killer


def kill_all(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


async def until_back(db: Database) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await db.api.fetchval("select 1")
                await db.ingest.fetchval("select 1")
                return
            except PASSING:
                await asyncio.sleep(0.05)
