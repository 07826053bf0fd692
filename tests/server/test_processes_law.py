"""Several processes serve one consumer while records change; they and the database are killed. No promise breaks.

What comes is random; what must hold stands in `delivery_ledger`. All the while a reader follows the stream by cursor:
what it has put together at the end is what the stream holds.
"""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest
from acking import PATIENT
from delivery_ledger import Given, Ledger, now
from processes import start_sync

from headrace.client import AsyncClient, RetryPolicy
from headrace.client.errors import ApiError, ConnectionFailed
from headrace.db.launcher import EmbeddedPostgres
from headrace.db.pool import AWAY, Database
from headrace.errors import Fenced
from headrace.stream.append import append_within
from headrace.stream.items import Batch, Fence, Record
from headrace.testing.processes import ServeProcess
from headrace.testing.stripe import StripeServer

IDS = 40
COLLECTION = "stripe:customer"
ACK_WAIT_S = 4.0
ROOM = 25
ONCE = RetryPolicy(attempts=1)
PASSING: tuple[type[Exception], ...] = (*AWAY, asyncpg.PostgresError, Fenced)


@contextlib.contextmanager
def away() -> Iterator[None]:
    """Whoever is asked may be dead, or its database."""
    try:
        yield
    except ConnectionFailed:
        pass
    except ApiError as error:
        if error.status < 500:
            raise


class Play:
    """The consumer, its workers, the writers and the reader."""

    def __init__(self, db: Database, stream_id: UUID, sync_id: UUID, consumer_id: str, seed: int) -> None:
        self.db, self.stream_id, self.sync_id = db, stream_id, sync_id
        self.consumer_id = consumer_id
        self.ledger = Ledger(ACK_WAIT_S, ROOM)
        self.chance = Random(seed)
        self.servers: list[ServeProcess] = []
        self.over = False
        self.written = False
        """The last append is committed, or was cut off."""
        self.copy: dict[str, int] = {}
        self.out: list[Given] = []

    # ── writing ──

    async def write(self, writer: int) -> None:
        """Each writer has records of its own. Now and then a transaction is held open before its commit."""
        turn = 0
        while not self.over:
            turn += 1
            ids = self.chance.sample(range(writer * IDS, (writer + 1) * IDS), self.chance.randint(1, 8))
            slow = 0.3 * self.chance.random() if self.chance.random() < 0.1 else 0.0
            with contextlib.suppress(*PASSING):
                await self._append([f"cus_{id_:014d}" for id_ in ids], writer * 10**6 + turn, slow)
            await asyncio.sleep(0.02)

    async def _append(self, ids: list[str], content: int, slow: float) -> None:
        now_ = self.db.clock.now()
        async with self.db.ingest.acquire() as conn:
            async with conn.transaction():
                row = await conn.fetchrow(
                    "select epoch, revision from sync_epochs where stream_id = $1 and sync_id = $2 for update",
                    self.stream_id,
                    self.sync_id,
                )
                assert row is not None
                fence = Fence(self.stream_id, self.sync_id, row["epoch"], row["revision"])
                raws = [orjson.dumps({"id": id_, "content": content}) for id_ in ids]
                records = [Record(COLLECTION, id_, raw, now_) for id_, raw in zip(ids, raws, strict=True)]
                await append_within(conn, fence, Batch(records), {}, now_)
                await asyncio.sleep(slow)
            rows = await conn.fetch(
                "select upstream_id, updated_idx from records where stream_id = $1 and upstream_id = any ($2)",
                self.stream_id,
                ids,
            )
        for row in rows:
            self.ledger.appended(row["upstream_id"], row["updated_idx"])

    # ── reading ──

    async def follow(self) -> None:
        """By cursor, through whichever server; until the end is reached after everything was written."""
        cursor: str | None = None
        at = 0
        while True:
            ended, more = self.written, True
            with away():
                async with self._api() as api:
                    while more:
                        page = await api.records.page(cursor, stream_id=str(self.stream_id), limit=7)
                        for each in page["records"]:
                            assert each["updated_idx"] > at
                            at = each["updated_idx"]
                            self.copy[each["upstream_id"]] = each["data"]["content"]
                        cursor, more = page["cursor"], bool(page["records"])
            if ended and not more:
                return
            await asyncio.sleep(0.02)

    # ── consuming ──

    async def work(self) -> None:
        """A worker that does with its messages whatever a worker can do."""
        while not self.over:
            with away():
                async with self._api() as api:
                    await self._receive(api)
                    await self._settle(api)
            await asyncio.sleep(0.02)

    async def _receive(self, api: AsyncClient) -> None:
        sent = now()
        batch = await api.consumers.next(self.consumer_id, self.chance.randint(1, 10), self.chance.choice([0, 100]))
        for each in batch["data"]:
            record = each["record"]
            self.out.append(
                self.ledger.delivered(record["upstream_id"], record["updated_idx"], each["ack_token"], sent)
            )

    async def _settle(self, api: AsyncClient) -> None:
        some = [self.out.pop(self.chance.randrange(len(self.out))) for _ in range(min(len(self.out), 6))]
        what = self.chance.choices(["ack", "nack", "extend", "nothing"], [6, 2, 1, 1])[0]
        tokens = [each.token for each in some]
        if what == "nothing" or not some:
            return
        if what == "extend":
            self.out += some  # what is extended is out no shorter than it was
            await api.consumers.extend(self.consumer_id, tokens)
            return
        in_time = [each for each in some if self.ledger.ends(each)]
        await (api.consumers.ack if what == "ack" else api.consumers.nack)(self.consumer_id, tokens)
        if what == "ack":
            for each in in_time:
                if now() < each.sent + ACK_WAIT_S:  # else it may have been delivered again before the ack came
                    each.acked_at = now()

    async def more(self, messages: int) -> None:
        """Until so many more were delivered."""
        enough = self.ledger.total + messages
        async with asyncio.timeout(240):
            while self.ledger.total < enough:
                await asyncio.sleep(0.02)

    async def reset(self) -> None:
        """From the start again. What is answered before this is known to be done counts for nothing."""
        for given in [each for all_ in self.ledger.given.values() for each in all_]:
            given.out_until, given.acked_at = 0.0, None
        self.ledger.since, self.ledger.reset_sent = float("inf"), now()
        async with AsyncClient(self.servers[0].url, self.servers[0].token, retries=PATIENT) as api:
            await api.consumers.reset(self.consumer_id, "all")
        self.ledger.since = now()

    async def drain(self) -> None:
        """Ack everything until nothing is left."""
        async with AsyncClient(self.servers[0].url, self.servers[0].token, retries=PATIENT) as api:
            while True:
                sent = now()
                batch = await api.consumers.next(self.consumer_id, 100, 500)
                for each in batch["data"]:
                    record = each["record"]
                    idx = record["updated_idx"]
                    self.ledger.ends(self.ledger.delivered(record["upstream_id"], idx, each["ack_token"], sent))
                if batch["data"]:
                    await api.consumers.ack(self.consumer_id, [each["ack_token"] for each in batch["data"]])
                elif not (batch["info"]["num_pending"] or batch["info"]["num_ack_pending"]):
                    return

    def _api(self) -> AsyncClient:
        server = self.chance.choice(self.servers)
        return AsyncClient(server.url, server.token, retries=ONCE)


@asynccontextmanager
async def serving(seed: int, count: int) -> AsyncIterator[tuple[Play, EmbeddedPostgres]]:
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        dsn = await postgres.start()
        servers = [ServeProcess(database_url=dsn, role="api") for _ in range(count)]
        try:
            await servers[0].start()
            await servers[0].ready()
            await asyncio.gather(*(server.start() for server in servers[1:]))
            await asyncio.gather(*(server.ready() for server in servers[1:]))
            db = await Database.open(dsn, api_size=2, ingest_size=6)
            async with StripeServer(10) as provider, AsyncClient(servers[0].url, servers[0].token) as api:
                sync = await start_sync(api, provider.base_url)
                fields: dict[str, Any] = {"ack_wait_ms": int(1000 * ACK_WAIT_S), "max_ack_pending": ROOM}
                consumer = await api.consumers.create(stream_id=sync["stream_id"], name="all", **fields)
            play = Play(db, UUID(sync["stream_id"]), UUID(sync["id"]), consumer["id"], seed)
            play.servers = servers
            yield play, postgres
            await db.close()
        finally:
            await asyncio.gather(*(server.kill() for server in servers))
            await postgres.stop()


async def kill_a_server(play: Play) -> None:
    """kill -9, and another in its place."""
    place = play.chance.randrange(len(play.servers))
    old = play.servers[place]
    await old.kill()
    play.servers[place] = new = ServeProcess(database_url=play.db.dsn, role="api")
    new.url = old.url  # nobody listens there until the new one is ready
    await new.start()
    await new.ready()


async def kill_the_database(play: Play, postgres: EmbeddedPostgres) -> None:
    """kill -9; it comes back by itself."""
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)
    async with asyncio.timeout(120):
        while True:
            await asyncio.sleep(0.1)
            with contextlib.suppress(*PASSING):
                await play.db.api.fetchval("select 1")
                return


async def hold_open(play: Play) -> None:
    """A transaction elsewhere in the database, open for as long as the database lives."""
    while not play.over:
        with contextlib.suppress(*PASSING):
            elsewhere = await asyncpg.connect(play.db.dsn)
            try:
                await elsewhere.execute("begin isolation level repeatable read; select count(*) from streams")
                while not play.over:
                    await elsewhere.execute("select 1")
                    await asyncio.sleep(0.1)
            finally:
                elsewhere.terminate()
        await asyncio.sleep(0.1)


async def run(seed: int, *, servers: int, rounds: int, calm: int) -> None:
    async with serving(seed, servers) as (play, postgres):
        following = asyncio.create_task(play.follow())
        tasks = [asyncio.create_task(play.write(writer)) for writer in range(3)]
        tasks += [asyncio.create_task(play.work()) for _ in range(4)]
        tasks.append(asyncio.create_task(hold_open(play)))
        for _ in range(rounds):
            await play.more(calm)
            await kill_a_server(play)
            await play.more(calm)
            await kill_the_database(play, postgres)
            await play.more(calm)
            await play.reset()
        await play.more(calm)
        play.over = True
        await asyncio.gather(*tasks)
        play.written = True
        await following
        await play.drain()
        held = await play.db.api.fetch(
            "select upstream_id, updated_idx from records where stream_id = $1", play.stream_id
        )
        assert not play.ledger.broken, f"{play.ledger.broken[:20]}, with a reset at {play.ledger.since}"
        play.ledger.newest |= {row["upstream_id"]: [(0.0, row["updated_idx"])] for row in held}
        assert play.ledger.missed() == set()
        assert play.copy == await _contents(play)


async def _contents(play: Play) -> dict[str, int]:
    async with AsyncClient(play.servers[0].url, play.servers[0].token, retries=PATIENT) as api:
        found = api.records.list(stream_id=str(play.stream_id), limit=1000)
        return {each["upstream_id"]: each["data"]["content"] async for each in found}


@pytest.mark.slow
async def test_no_promise_breaks_when_processes_and_the_database_are_killed() -> None:
    await run(1, servers=2, rounds=1, calm=30)


@pytest.mark.soak
@pytest.mark.timeout(1200)
async def test_no_promise_breaks_in_ten_minutes_of_kills() -> None:
    began = now()
    seed = 0
    while now() < began + 600:
        seed += 1
        await run(seed, servers=3, rounds=6, calm=300)
