"""How Headrace's cost grows with the number of records: at the first load, when all is read again, and at the end of a
consumer. A cost a record that is the same at each size is what is wanted.

python -m bench.peers.growth [--quick] [--sizes 10000 100000 1000000 10000000]
"""

import argparse
import asyncio
import math
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from bench.load import consume
from bench.peers.ground import Database, Ground, database, ground
from bench.peers.headrace import Headrace
from bench.peers.program import Watch
from bench.peers.results import Result, tables
from bench.peers.scenarios import judge

SCENARIO = "growth"
HEADING = "How Headrace's cost grows"
SIZES = (10_000, 100_000, 1_000_000)


async def grown(shared: Database, sizes: Sequence[int]) -> AsyncIterator[Result]:
    """A row for each size: records in all, half customers and half invoices."""
    for size in sizes:
        async with ground(shared, size // 2, size // 2) as there:
            peer = Headrace(there)
            try:
                yield await _taken(there, peer, size)
            finally:
                await peer.close()


async def _taken(there: Ground, peer: Headrace, size: int) -> Result:
    await peer.open()  # what it takes to begin is no part of what grows
    figures: dict[str, float] = {}
    for name in ("first load", "read again"):
        async with Watch(peer.pids) as watch:
            began, busy = time.perf_counter(), peer.busy_s()
            await peer.start()
            await peer.done()
            _note(figures, name, size, time.perf_counter() - began, peer.busy_s() - busy)
        figures[f"{name}, peak MB"] = watch.most / 1e6
    figures["bytes on disk a record"] = await there.database.size(there.database_name) / size
    async with Watch(peer.pids) as watch:
        began, busy = time.perf_counter(), peer.busy_s()
        await _to_the_end(peer)
        _note(figures, "consumed", size, time.perf_counter() - began, peer.busy_s() - busy)
    figures["consumed, peak MB"] = watch.most / 1e6
    return Result(SCENARIO, f"{size:,} records", figures, str(await judge(peer)))


def _note(figures: dict[str, float], name: str, records: int, seconds: float, busy_s: float) -> None:
    figures[f"{name}, s per million"] = seconds / records * 1e6
    figures[f"{name}, CPU s per million"] = busy_s / records * 1e6


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
            results = [result async for result in grown(shared, sizes)]
    print(tables(results, {SCENARIO: HEADING}))


if __name__ == "__main__":
    asyncio.run(main())
