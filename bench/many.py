"""Many syncs: ten thousand in one database with four workers. They are taken up, read, taken over from a worker that is
killed and from one that is stopped in order, and let go, without a stampede: what each step takes, how long the
database's queue was, what a worker holds. In the end each sync must hold what the provider has.

python -m bench.many [--quick] [--syncs 10000]
"""

import argparse
import asyncio
import time

from bench.cluster import Cluster, cluster, until
from bench.report import check, figure
from headrace.testing.processes import ServeProcess

WORKERS = 4
COLLECTIONS = ["stripe:customer"]
RECORDS = 10
"""Of the account, and so of each sync."""
_OWNED = "select count(*) from sync_epochs where owner is not null"
_WRONG = """
select count(*) from sync_epochs e where $1 <> (
    select count(*) from records r where r.stream_id = e.stream_id and r.sync_id = e.sync_id and not r.deleted)
"""
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
    async with cluster(f"customers={RECORDS}") as here:
        await here.syncs(count, COLLECTIONS, sync_frequency="4h")
        await _run(here, count)


async def _run(here: Cluster, count: int) -> None:
    async def held() -> bool:
        return bool(await here.value(_HELD) == count)

    async def done() -> bool:
        return bool(await here.value(_DONE) == count)

    watch = Watch(here)
    watching = asyncio.create_task(watch.run())
    began = time.monotonic()
    await here.start(WORKERS)
    figure(f"{WORKERS} workers: started after", time.monotonic() - began, "s")
    await until(held)
    figure(f"{count} syncs: all held, from the workers' start", time.monotonic() - began, "s")
    await until(done)
    figure(f"{count} syncs: all read once, from the workers' start", time.monotonic() - began, "s")
    figure(f"{count} syncs: resident, the largest worker", here.resident() / 1e6, "MB", below=250)
    before, began = here.busy_s(), time.monotonic()
    await asyncio.sleep(20)
    seconds = time.monotonic() - began
    for part, after in here.busy_s().items():
        figure(f"{count} syncs at rest: {part}", 100 * (after - before[part]) / seconds, "% of a core")
    killed = here.workers.pop()
    await killed.kill()
    figure("one of them killed: its syncs held by others after", await _taken_over(here, count, killed), "s", below=15)
    stopped = here.workers.pop()
    leaving = asyncio.create_task(stopped.stop())
    figure(
        "one stopped in order: its syncs held by others after", await _taken_over(here, count, stopped), "s", below=1
    )
    await leaving
    await _stop(here)
    watching.cancel()
    figure("statements under way at once, at most", watch.active, "")
    figure("connections, at most", watch.connections, "")
    figure("a statement of somebody else took, at most", 1000 * watch.late_s, "ms")
    wrong = await here.value(_WRONG, RECORDS)
    check(wrong == 0, f"{wrong} of {count} syncs do not hold the {RECORDS} records that the provider has")


async def _taken_over(here: Cluster, count: int, gone: ServeProcess) -> float:
    """Seconds until others hold every sync."""

    async def others() -> bool:
        return bool(await here.value(_HELD_BY_OTHERS, gone.pid) == count)

    return await until(others, 0.05)


async def _stop(here: Cluster) -> None:
    """Stop those that are left, all at once: when nobody holds a sync any more, and when the last process has ended."""

    async def nobody() -> bool:
        return bool(await here.value(_OWNED) == 0)

    began = time.monotonic()
    leaving = asyncio.gather(*(worker.stop() for worker in here.workers))
    figure("all stopped in order: the last lease released after", await until(nobody, 0.05), "s", below=1)
    await leaving
    figure("all stopped in order: the last process ended after", time.monotonic() - began, "s", below=5)


if __name__ == "__main__":
    asyncio.run(main())
