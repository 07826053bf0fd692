"""Consuming with acks, Headrace over HTTP beside NATS JetStream and a queue in a table of the same PostgreSQL, on the
same messages.

python -m bench.peers.consume [--quick] [--records 40000] [--rounds 1] [--seconds 2]
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import orjson

from bench.load import consume
from bench.peers.front import front
from bench.peers.queues import jetstream, jetstream_workers, rate, table, table_workers
from bench.peers.results import Result, tables
from bench.stand import Stand, stand
from headrace.cli.database import database_url
from headrace.settings import Settings

SCENARIO = "consume"
HEADING = "Consume and ack, messages/s"
COLLECTIONS = {"stripe:customer": "customers"}
CASES = [(batch, workers) for batch in (1, 10, 100, 1000) for workers in (1, 4, 16)]


def row(batch: int, workers: int) -> str:
    """The name of a case in the table."""
    return f"batch {batch:,}, {workers} workers"


ROWS = [row(*case) for case in CASES]


async def consumed(records: int, rounds: int, seconds: float) -> AsyncIterator[Result]:
    """A row for each batch and number of workers, each rate taken over so many seconds, or to the end of the stream."""
    async with stand(records, of=COLLECTIONS.values()) as here:
        sync = await here.sync(COLLECTIONS)
        await here.complete(sync)
        await here.api.syncs.update(sync["id"], status="disabled")
        messages = [orjson.dumps(record) async for record in here.api.records.list(sync_id=sync["id"], limit=1000)]
        with tempfile.TemporaryDirectory(prefix="headrace-bench-nats-") as folder:
            async with (
                jetstream(Path(folder), messages) as nats,
                database_url(Settings(data_dir=here.data_dir)) as database,
                front(database) as url,
            ):
                for number in range(rounds):
                    for batch, workers in CASES:
                        async with table(database, messages):
                            over_http = await consume(url, "", "bench", batch, workers, seconds)
                        async with table(database, messages), table_workers(database, workers) as work:
                            direct = await rate(work, batch, seconds)
                        async with jetstream_workers(nats, f"of-{number}-{batch}-{workers}", workers) as work:
                            nats_rate = await rate(work, batch, seconds)
                        rates = {
                            "Headrace, HTTP": await _ours(here, sync["stream_id"], batch, workers, seconds),
                            "table, HTTP": over_http,
                            "table, PostgreSQL's protocol": direct,
                            "JetStream, its protocol": nats_rate,
                        }
                        yield Result(SCENARIO, row(batch, workers), rates)


async def _ours(here: Stand, stream_id: str, batch: int, workers: int, seconds: float) -> float:
    consumer = await here.api.consumers.create(stream_id=stream_id, max_ack_pending=100_000)
    found = await consume(here.server.url, here.server.token, consumer["id"], batch, workers, seconds)
    await here.api.consumers.delete(consumer["id"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.consume", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages, one round")
    parser.add_argument("--records", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=1, help="medians are told")
    parser.add_argument("--seconds", type=float, default=2.0)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.records, chosen.rounds, chosen.seconds = chosen.records // 10, 1, 1.0

    async def found() -> list[Result]:
        return [result async for result in consumed(chosen.records, chosen.rounds, chosen.seconds)]

    print(tables(asyncio.run(found()), {SCENARIO: HEADING}))


if __name__ == "__main__":
    main()
