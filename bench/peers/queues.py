"""The queues that consuming is compared with, in one run and on the same messages: NATS JetStream, and a queue in a
table of the same PostgreSQL, made as pgmq makes it.

NATS stores in files and syncs each write, as PostgreSQL does; its acks are sent without waiting for an answer, which is
how its client acks. The queue's read and delete are a commit each, made over the database's own protocol. Neither has
HTTP in front, which Headrace has: `front` puts the same kind of server before the table.
"""

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import nats
from nats.js.api import AckPolicy, ConsumerConfig, StorageType

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

Work = Callable[[int], Awaitable[int]]
"""Take a batch and ack it; how many there were."""

_IN_FLIGHT = 1000


async def rate(workers: Sequence[Work], batch: int, seconds: float) -> float:
    """Messages acked a second by workers side by side, over so many seconds or until none is left."""
    began = time.perf_counter()

    async def go_on(work: Work) -> int:
        done = 0
        while time.perf_counter() < began + seconds and (taken := await work(batch)):
            done += taken
        return done

    done = sum(await asyncio.gather(*map(go_on, workers)))
    return done / (time.perf_counter() - began)


@asynccontextmanager
async def jetstream(folder: Path, messages: Sequence[bytes]) -> AsyncIterator[str]:
    """A NATS server that holds the messages; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "nats.conf"
    config.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}", sync_interval: always }}\n')
    program = Path(sys.executable).with_name("nats-server")
    server = await asyncio.create_subprocess_exec(program, "-c", config, stderr=asyncio.subprocess.DEVNULL)
    try:
        await _listening(port)
        url = f"nats://127.0.0.1:{port}"
        client = await nats.connect(url)
        stream = client.jetstream()
        await stream.add_stream(name="bench", subjects=["bench"], storage=StorageType.FILE)
        for start in range(0, len(messages), _IN_FLIGHT):
            part = messages[start : start + _IN_FLIGHT]
            await asyncio.gather(*(stream.publish("bench", message, timeout=60) for message in part))
        await client.close()
        yield url
    finally:
        server.terminate()
        await server.wait()


async def _listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def jetstream_workers(url: str, name: str, count: int) -> AsyncIterator[list[Work]]:
    """Workers of one pull consumer with explicit acks, from the stream's start, a connection each."""
    clients = [await nats.connect(url) for _ in range(count)]
    try:
        config = ConsumerConfig(durable_name=name, ack_policy=AckPolicy.EXPLICIT, ack_wait=30, max_ack_pending=100_000)
        await clients[0].jetstream().add_consumer("bench", config)
        pulls = [await client.jetstream().pull_subscribe_bind(name, "bench") for client in clients]

        def worker(pull: nats.js.JetStreamContext.PullSubscription) -> Work:
            async def work(batch: int) -> int:
                try:
                    taken = await pull.fetch(batch, timeout=1)
                except TimeoutError:  # nothing is left
                    return 0
                for message in taken:
                    await message.ack()
                return len(taken)

            return work

        yield [worker(pull) for pull in pulls]
    finally:
        for client in clients:
            await client.close()


_READ = """
with due as (
  select id from bench_queue where visible_at <= clock_timestamp() order by id limit $1 for update skip locked
)
update bench_queue q set visible_at = clock_timestamp() + interval '30 seconds', reads = reads + 1
from due where q.id = due.id
returning q.id, q.message
"""


@asynccontextmanager
async def table(dsn: str, messages: Sequence[bytes]) -> AsyncIterator[None]:
    """The table, holding the messages."""
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute(
            "create table bench_queue (id bigint primary key, visible_at timestamptz not null, reads integer not null, "
            "message jsonb not null); create index on bench_queue (visible_at)"
        )
        await conn.execute(
            "insert into bench_queue select ord, clock_timestamp(), 0, message::jsonb "
            "from unnest($1::text[]) with ordinality u (message, ord)",
            [message.decode() for message in messages],
        )
        await conn.execute("vacuum analyze bench_queue")
        yield
    finally:
        await conn.execute("drop table if exists bench_queue")
        await conn.close()


async def read(conn: "Connection", batch: int) -> list[asyncpg.Record]:
    """Take a batch: id and message of each."""
    return await conn.fetch(_READ, batch)


async def ack(conn: "Connection", ids: Sequence[int]) -> None:
    """Delete what was done."""
    await conn.execute("delete from bench_queue where id = any ($1)", ids)


@asynccontextmanager
async def table_workers(dsn: str, count: int) -> AsyncIterator[list[Work]]:
    """Workers on the table, a connection each."""
    conns = [await asyncpg.connect(dsn) for _ in range(count)]

    def worker(conn: "Connection") -> Work:
        async def work(batch: int) -> int:
            rows = await read(conn, batch)
            if rows:
                await ack(conn, [row["id"] for row in rows])
            return len(rows)

        return work

    try:
        yield [worker(conn) for conn in conns]
    finally:
        for conn in conns:
            await conn.close()
