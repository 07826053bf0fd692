"""How Headrace's cost grows with the number of records: at the first load, when all is read again, and at the end of a
consumer. A cost a record that is the same at each size is what is wanted.

python -m bench.peers.growth [--quick] [--sizes 10000 100000 1000000 10000000]
"""

import argparse
import asyncio
import math
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from bench.load import consume
from bench.peers.ground import Database, Ground, database, ground
from bench.peers.headrace import Headrace
from bench.peers.program import Watch
from bench.peers.results import Result, tables
from bench.peers.scenarios import judge

SCENARIO = "growth"
HEADING = "How Headrace's cost grows"
SIZES = (10_000, 100_000, 1_000_000)
CONSUMED = "consumed"
_EVERY_S = 30.0


def row(size: int, point: str) -> str:
    """The name of a point in the table."""
    return f"{size:,} records, {point}"


async def grown(shared: Database, sizes: Sequence[int]) -> AsyncIterator[Result]:
    """Three rows for each size (records in all, half customers and half invoices): what it took until the first load
    was complete, until all was read again, and until a consumer was at the end, and what is on the disk then."""
    for size in sizes:
        async with ground(shared, size // 2, size // 2) as there:
            peer = Headrace(there)
            try:
                await peer.open()  # what it takes to begin is no part of what grows
                yield Result(SCENARIO, row(size, "first load"), await _taken(there, peer, size, _read(peer)))
                yield Result(SCENARIO, row(size, "read again"), await _taken(there, peer, size, _read(peer)))
                figures = await _taken(there, peer, size, _to_the_end(peer))
                print("    every object is compared with the provider's", flush=True)
                yield Result(SCENARIO, row(size, CONSUMED), figures, str(await judge(peer)))
            finally:
                await peer.close()


async def _taken(there: Ground, peer: Headrace, size: int, work: Coroutine[Any, Any, None]) -> dict[str, float]:
    """What this work takes, told by the record; how far it is is printed meanwhile."""
    async with Watch(peer.pids) as watch:
        began, busy, database = time.perf_counter(), peer.busy_s(), there.database.busy_s()
        telling = asyncio.create_task(_tell(there, watch))
        await work
        telling.cancel()
        seconds, busy, database = time.perf_counter() - began, peer.busy_s() - busy, there.database.busy_s() - database
    return {
        "s per million": seconds / size * 1e6,
        "CPU s per million": busy / size * 1e6,
        "PostgreSQL's CPU s per million": database / size * 1e6,
        "peak MB": watch.most / 1e6,
        "bytes on disk a record": await there.database.size(there.database_name) / size,
    }


async def _tell(there: Ground, watch: Watch) -> None:
    for turn in count(1):
        await asyncio.sleep(_EVERY_S)
        requests, held = await there.provider.requests(), await there.database.size(there.database_name)
        done = f"{requests:,} requests so far, {held / 1e9:.2f} GB on disk, {watch.most / 1e6:.0f} MB at most"
        print(f"    after {turn * _EVERY_S:.0f} s: {done}", flush=True)


async def _read(peer: Headrace) -> None:
    await peer.start()
    await peer.done()


async def _to_the_end(peer: Headrace) -> None:
    """Take and ack every message of the stream."""
    consumer = await peer.api.consumers.create(stream_id=peer.stream_id, max_ack_pending=100_000)
    await consume(peer.api_url, peer.token, consumer["id"], 1000, 4, math.inf)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.growth", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 000 and 10 000 records")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-peers-") as folder:
        async with database(Path(folder)) as shared:
            sizes = (2_000, 10_000) if chosen.quick else chosen.sizes
            results = []
            async for result in grown(shared, sizes):
                results.append(result)
                print(tables([result], {SCENARIO: HEADING}), flush=True)
    print(tables(results, {SCENARIO: HEADING}))


if __name__ == "__main__":
    asyncio.run(main())
