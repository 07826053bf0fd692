"""Consuming over HTTP with acks, at batch 1, 10, 100 and 1000.

python -m bench.consume [--quick] [--records 200000]
"""

import asyncio

from bench.load import consume
from bench.report import figure
from bench.stand import options, stand

COLLECTIONS = {"stripe:customer": "customers", "stripe:charge": "charges"}
CASES = ((1, 1), (1, 4), (1, 32), (10, 1), (10, 4), (100, 1), (100, 4), (1000, 1), (1000, 4))
GOALS = {(1, 4): 2_000, (100, 4): 40_000, (1000, 4): 80_000}


async def main() -> None:
    chosen = options(__doc__, 200_000)
    async with stand(chosen.records, of=COLLECTIONS.values()) as here:
        sync = await here.sync(COLLECTIONS)
        await here.complete(sync)
        for batch, workers in CASES:
            consumer = await here.api.consumers.create(stream_id=sync["stream_id"], max_ack_pending=100_000)
            rate = await consume(here.server.url, here.server.token, consumer["id"], batch, workers, 8.0)
            goal = GOALS.get((batch, workers))
            figure(f"consume and ack, batch {batch}, {workers} workers", rate, "messages/s", at_least=goal)
            await here.api.consumers.delete(consumer["id"])


if __name__ == "__main__":
    asyncio.run(main())
