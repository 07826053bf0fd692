"""The queue in a table behind HTTP, which consuming is compared with: it hands out each message once, and keeps none
that was acked."""

import math

import asyncpg
import orjson
from bench.load import Connection, consume
from bench.peers.front import front
from bench.peers.queues import read, table, table_workers

MESSAGES = [orjson.dumps({"number": number}) for number in range(25)]


async def _left(dsn: str) -> int:
    conn = await asyncpg.connect(dsn)
    try:
        return int(await conn.fetchval("select count(*) from bench_queue"))
    finally:
        await conn.close()


async def test_the_client_that_headrace_is_measured_with_takes_and_acks_every_message(dsn: str) -> None:
    async with table(dsn, MESSAGES), front(dsn) as url:
        await consume(url, "", "bench", 10, 4, math.inf)
        assert await _left(dsn) == 0


async def test_a_batch_holds_other_messages_than_the_one_before(dsn: str) -> None:
    async with table(dsn, MESSAGES), front(dsn) as url:
        connection = Connection(url, "")
        await connection.open()
        seen = []
        for batch in (10, 10, 10):
            status, body = await connection.post("/v1/http-consumers/bench/next", orjson.dumps({"batch_size": batch}))
            assert status == 200
            seen.append([message["record"]["number"] for message in orjson.loads(body)["data"]])
        connection.close()
        assert [len(each) for each in seen] == [10, 10, 5]
        assert sorted(number for each in seen for number in each) == list(range(25))
        assert await _left(dsn) == 25  # none was acked


async def test_over_postgresqls_protocol_workers_take_what_is_due(dsn: str) -> None:
    async with table(dsn, MESSAGES), table_workers(dsn, 2) as (one, other):
        assert [await one(20), await other(20), await one(20)] == [20, 5, 0]
        assert await _left(dsn) == 0


async def test_a_message_that_was_not_acked_is_not_due_yet(dsn: str) -> None:
    async with table(dsn, MESSAGES):
        conn = await asyncpg.connect(dsn)
        assert len(await read(conn, 100)) == 25
        assert await read(conn, 100) == []
        await conn.close()
