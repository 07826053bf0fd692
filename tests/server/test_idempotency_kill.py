"""A call with an idempotency key whose process was killed in its midst has changed everything or nothing; made again,
it changes what was not changed, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx2
from processes import eventually

from headrace.testing.processes import ServeProcess

WAITS = "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like '%into audit%')"
CHANGED = "select count(*) from streams where slug = 'a'"


async def create(server: ServeProcess) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {server.token}", "Idempotency-Key": "k1"}
    async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=120) as http:
        return await http.post("/v1/streams", json={"slug": "a"})


@asynccontextmanager
async def api(dsn: str) -> AsyncIterator[ServeProcess]:
    async with ServeProcess(database_url=dsn, role="api") as server:
        await server.ready()
        yield server


async def test_killed_before_the_commit_it_has_changed_nothing(dsn: str) -> None:
    conn, locking = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    async with api(dsn) as server:
        async with locking.transaction():
            await locking.execute("lock table audit in exclusive mode")  # the last row of the change waits here
            call = asyncio.create_task(create(server))
            await eventually(lambda: conn.fetchval(WAITS))
            await server.kill()
        (lost,) = await asyncio.gather(call, return_exceptions=True)
        assert isinstance(lost, httpx2.TransportError)
    await locking.close()
    await eventually(lambda: _alone(conn))
    assert await conn.fetchval(CHANGED) == 0
    async with api(dsn) as server:
        again = await create(server)
        assert again.status_code == 200
        assert "idempotent-replayed" not in again.headers
        assert await conn.fetchval(CHANGED) == 1
    await conn.close()


async def test_killed_after_the_commit_it_is_answered_by_what_was_kept(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    async with api(dsn) as server:
        call = asyncio.create_task(create(server))
        await eventually(lambda: _changed(conn))
        await server.kill()
        call.cancel()  # whether an answer was under way or not: nobody has it
        await asyncio.gather(call, return_exceptions=True)
    async with api(dsn) as server:
        again = await create(server)
        assert again.status_code == 200
        assert again.headers["idempotent-replayed"] == "true"
        assert again.json()["id"] == str(await conn.fetchval("select id from streams where slug = 'a'"))
        assert await conn.fetchval(CHANGED) == 1
    assert await conn.fetchval("select count(*) from audit where route = '/v1/streams'") == 1
    await conn.close()


async def _changed(conn: "asyncpg.Connection[asyncpg.Record]") -> bool:
    return bool(await conn.fetchval(CHANGED))


async def _alone(conn: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """The killed process's transactions are over."""
    others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    return await conn.fetchval(others) == 0
