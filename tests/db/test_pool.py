"""Connections: what is set for them, transactions, and listening through a lost connection."""

import asyncio

import asyncpg
import pytest

from headrace.db.pool import AWAY, Database


async def test_a_block_that_raises_leaves_nothing(db: Database) -> None:
    async def fails() -> None:
        async with db.transaction() as conn:
            await conn.execute("insert into instance values ('x', ''::bytea)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert await db.api.fetchval("select count(*) from instance") == 0


async def test_a_transaction_left_open_does_not_go_to_the_next_who_takes_the_connection(dsn: str) -> None:
    db = await Database.open(dsn, api_size=1, ingest_size=1)
    async with db.api.acquire() as conn:
        await conn.execute("begin; insert into instance values ('x', ''::bytea)")
    async with db.api.acquire() as conn:
        assert not conn.is_in_transaction()
        assert await conn.fetchval("select count(*) from instance") == 0
    await db.close()


async def test_ingest_connections_cannot_hold_a_stream_for_long(db: Database) -> None:
    settings = "select current_setting('idle_in_transaction_session_timeout'), current_setting('plan_cache_mode')"
    assert tuple(await db.ingest.fetchrow(settings)) == ("5s", "force_custom_plan")


async def test_the_clock_is_the_databases(db: Database) -> None:
    before = await db.api.fetchval("select clock_timestamp()")
    now = db.clock.now()
    after = await db.api.fetchval("select clock_timestamp()")
    assert abs((now - before).total_seconds()) < 1
    assert abs((after - now).total_seconds()) < 1


async def test_notifications_of_all_channels_come_through_one_connection(db: Database) -> None:
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    await db.listen("one", lambda payload: heard.put_nowait(("one", payload)))
    await db.listen("two", lambda payload: heard.put_nowait(("two", payload)))
    await db.api.execute("select pg_notify('two', 'b'), pg_notify('one', 'a')")

    assert {await heard.get(), await heard.get()} == {("one", "a"), ("two", "b")}


async def test_after_a_lost_connection_it_listens_again_and_says_so(db: Database) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    await db.listen("one", heard.put_nowait)
    await db.api.fetch(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and query ilike '%listen%' and pid <> pg_backend_pid()"
    )

    assert await heard.get() == ""
    await db.api.execute("select pg_notify('one', 'again')")
    assert await heard.get() == "again"


async def test_a_database_that_is_not_there_is_away() -> None:
    with pytest.raises(AWAY):
        await Database.open("postgresql://nobody@127.0.0.1:1/nothing")


async def test_a_killed_connection_is_away_and_the_pool_goes_on(db: Database) -> None:
    async with db.api.acquire() as conn:
        pid = await conn.fetchval("select pg_backend_pid()")
        await db.ingest.execute("select pg_terminate_backend($1)", pid)
        with pytest.raises(AWAY):
            await conn.fetchval("select 1")
    assert await db.api.fetchval("select 1") == 1


async def test_closing_does_not_wait_for_statements_without_end(dsn: str) -> None:
    db = await Database.open(dsn, api_size=1, ingest_size=1)
    endless = asyncio.create_task(db.api.execute("select pg_sleep(300)"))
    running = (
        "select count(*) from pg_stat_activity where query = 'select pg_sleep(300)' and datname = current_database()"
    )
    async with asyncio.timeout(60):
        while not await db.ingest.fetchval(running):
            await asyncio.sleep(0.01)
        await db.close()
    with pytest.raises((*AWAY, asyncpg.PostgresError, asyncio.CancelledError)):
        await endless
