"""Consuming with acks beside NATS JetStream and a queue in a table of the same PostgreSQL, on the same messages.

python -m bench.peers.consume [--quick] [--records 40000]
"""

import asyncio
import tempfile
from pathlib import Path

import orjson

from bench.load import consume
from bench.peers.queues import jetstream, jetstream_workers, rate, table_workers
from bench.report import figure
from bench.stand import options, stand
from headrace.cli.database import database_url
from headrace.settings import Settings

COLLECTIONS = {"stripe:customer": "customers"}
BATCHES = (1, 10, 100, 1000)
WORKERS = 4
SECONDS = 5.0


async def main() -> None:
    chosen = options(__doc__, 40_000)
    async with stand(chosen.records, of=COLLECTIONS.values()) as here:
        sync = await here.sync(COLLECTIONS)
        await here.complete(sync)
        await here.api.syncs.update(sync["id"], status="disabled")
        messages = [orjson.dumps(record) async for record in here.api.records.list(sync_id=sync["id"], limit=1000)]
        settings = Settings(data_dir=here.data_dir)
        with tempfile.TemporaryDirectory(prefix="headrace-bench-nats-") as folder:
            async with jetstream(Path(folder), messages) as nats, database_url(settings) as database:
                for batch in BATCHES:
                    consumer = await here.api.consumers.create(stream_id=sync["stream_id"], max_ack_pending=100_000)
                    ours = await consume(here.server.url, here.server.token, consumer["id"], batch, WORKERS, SECONDS)
                    await here.api.consumers.delete(consumer["id"])
                    async with jetstream_workers(nats, f"batch-{batch}", WORKERS) as workers:
                        stream = await rate(workers, batch, SECONDS)
                    async with table_workers(database, messages, WORKERS) as workers:
                        table = await rate(workers, batch, SECONDS)
                    figure(f"batch {batch}, {WORKERS} workers: Headrace, over HTTP", ours, "messages/s")
                    goal = 1.0 if batch >= 100 else None
                    figure("  as a multiple of NATS JetStream's rate", ours / stream, f"({stream:,.0f}/s)", goal)
                    figure("  as a multiple of a table's rate", ours / table, f"({table:,.0f}/s)", goal)


if __name__ == "__main__":
    asyncio.run(main())
