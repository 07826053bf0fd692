"""Many syncs: ten thousand in one database with four workers. They are taken up, read, taken over from a worker that is
killed, and let go, without a stampede: what each step takes, how long the database's queue was, what a worker holds.

python -m bench.many [--quick] [--syncs 10000]
"""

import argparse
import asyncio
import time

from bench.cluster import Cluster, cluster, until
from bench.report import figure

WORKERS = 4
COLLECTIONS = ["stripe:customer"]
_HELD = "select count(*) from sync_epochs where owner in (select id from workers)"
_HELD_BY_OTHERS = "select count(*) from sync_epochs where owner in (select id from workers where pid <> $1)"
_DONE = "select count(*) from sync_states where initial_backfill_completed_at is not null"
_ACTIVE = "select count(*) from pg_stat_activity where application_name like 'headrace%' and state <> 'idle'"
_CONNECTIONS = "select count(*) from pg_stat_activity where application_name like 'headrace%'"


class Watch:
    """The most that was seen of a figure."""

    def __init__(self, here: Cluster) -> None:
        self.active = self.connections = self.late_s = 0.0
        self._here = here

    async def run(self) -> None:
        while True:
            begun = time.monotonic()
            self.active = max(self.active, await self._here.value(_ACTIVE))
            self.connections = max(self.connections, await self._here.value(_CONNECTIONS))
            self.late_s = max(self.late_s, time.monotonic() - begun)
            await asyncio.sleep(0.5)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--syncs", type=int, default=10_000)
    chosen = parser.parse_args()
    count = 400 if chosen.quick else chosen.syncs
    async with cluster("customers=10") as here:
        await here.syncs(count, COLLECTIONS, sync_frequency="4h")
        await _run(here, count)


async def _run(here: Cluster, count: int) -> None:
    async def held() -> bool:
        return bool(await here.value(_HELD) == count)

    async def done() -> bool:
        return bool(await here.value(_DONE) == count)

    watch = Watch(here)
    watching = asyncio.create_task(watch.run())
    await here.start(WORKERS)
    figure(f"{count} syncs: all held by {WORKERS} workers after", await until(held), "s")
    figure(f"{count} syncs: all read once after", await until(done), "s")
    figure(f"{count} syncs: resident, the largest worker", here.resident() / 1e6, "MB", below=250)
    before, began = here.busy_s(), time.monotonic()
    await asyncio.sleep(20)
    seconds = time.monotonic() - began
    for part, after in here.busy_s().items():
        figure(f"{count} syncs at rest: {part}", 100 * (after - before[part]) / seconds, "% of a core")
    killed = here.workers.pop()
    await killed.kill()

    async def taken_over() -> bool:
        return bool(await here.value(_HELD_BY_OTHERS, killed.pid) == count)

    figure("one of them killed: its syncs held by others after", await until(taken_over), "s", below=15)
    began = time.monotonic()
    await asyncio.gather(*(worker.stop() for worker in here.workers))
    figure("all stopped in order after", time.monotonic() - began, "s", below=5)
    watching.cancel()
    figure("statements under way at once, at most", watch.active, "")
    figure("connections, at most", watch.connections, "")
    figure("a statement of somebody else took, at most", 1000 * watch.late_s, "ms")


if __name__ == "__main__":
    asyncio.run(main())
