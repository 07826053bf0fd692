"""A transaction held open elsewhere in the database while commits go on: what consuming over HTTP loses by it.

Half an hour at 500 commits a second is 900 000 of them. They are made as fast as they go, by a worker that takes single
messages: each receive and each ack is a commit on the very rows that are measured.

python -m bench.held_open [--quick] [--commits 900000]
"""

import argparse
import asyncio
import time

from bench.load import consume
from bench.report import figure
from bench.stand import Stand, stand
from headrace.cli.database import connection
from headrace.db.pool import Conn
from headrace.settings import Settings

COLLECTIONS = {"stripe:customer": "customers"}
SECONDS = 8.0


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 000 commits")
    parser.add_argument("--commits", type=int, default=900_000)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.commits = 20_000
    async with stand(100_000, of=COLLECTIONS.values()) as here:
        sync = await here.sync(COLLECTIONS)
        await here.complete(sync)
        consumer = await here.api.consumers.create(stream_id=sync["stream_id"], name="bench", max_ack_pending=100_000)
        async with connection(Settings(data_dir=here.data_dir)) as elsewhere:
            before = await _rate(here, consumer["id"])
            await elsewhere.execute("begin isolation level repeatable read")
            await elsewhere.fetchval("select count(*) from streams")
            commits, seconds = await _commit(here, consumer["id"], chosen.commits)
            held = await _rate(here, consumer["id"])
            await elsewhere.execute("rollback")
    figure("batch 100, 4 workers, nothing held open", before, "messages/s")
    figure(f"commits while the transaction was open, in {seconds:.0f} s", commits, "commits")
    figure("batch 100, 4 workers, after that, still open", held, "messages/s", at_least=0.8 * before)


async def _rate(here: Stand, consumer_id: str) -> float:
    """Messages acked a second, from the start of the stream."""
    await here.api.consumers.reset(consumer_id, "all")
    return await consume(here.server.url, here.server.token, consumer_id, 100, 4, SECONDS)


async def _commit(here: Stand, consumer_id: str, commits: int) -> tuple[int, float]:
    """So many commits of single messages received and acked, from the start again whenever the end is reached."""
    began = time.perf_counter()
    async with connection(Settings(data_dir=here.data_dir)) as conn:
        first = await _committed(conn)
        while (done := await _committed(conn) - first) < commits:
            await here.api.consumers.reset(consumer_id, "all")
            await consume(here.server.url, here.server.token, consumer_id, 1, 8, 5.0)
            await conn.execute("select pg_stat_clear_snapshot()")
    return done, time.perf_counter() - began


async def _committed(conn: Conn) -> int:
    return int(await conn.fetchval("select xact_commit from pg_stat_database where datname = current_database()"))


if __name__ == "__main__":
    asyncio.run(main())
