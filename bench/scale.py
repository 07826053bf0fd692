"""More workers: eight syncs read by one worker, then by two, in two ways.

Each worker held to a part of a core: PostgreSQL and the provider server share this machine's cores with the workers, so
on two cores a second worker at full speed only takes from the others. Held to a small part, the workers are what binds,
as they are where each has a machine of its own; the rates then tell whether work that is shared is work that is done,
or whether two workers stand in each other's way. They tell it only where each uses nearly all of its part: how much it
used stands beside them.

At full speed: what this machine does, without a goal. Beside the rates stands the processor time of each part: what it
would take is what binds elsewhere.

Both are taken over some seconds in the middle of a long backfill, without its beginning and its end.

python -m bench.scale [--quick] [--seconds 30]
"""

import argparse
import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import psutil

from bench.cluster import Cluster, cluster, until
from bench.report import check, figure
from bench.stand import busy_s

SYNCS = 8
PART = 0.15
"""Of a core, for each worker: two of them, and what they cause in the others, leave most of two cores free."""
COLLECTIONS = ["stripe:customer", "stripe:charge"]
HELD = "customers=500000,charges=500000"
"""By the provider, for each sync: more than is read in the time."""
WARM = 1_000 * SYNCS
"""Records that are read before it counts."""
_READ = "select count(*) from records"
_DONE = "select count(*) from sync_states where initial_backfill_completed_at is not null"
_OWNERS = "select count(distinct owner) from sync_epochs"
_ENABLE = "update syncs set status = 'active', updated_at = clock_timestamp()"
_NOTIFY = "select pg_notify('headrace_sync', id::text) from syncs"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=30)
    chosen = parser.parse_args()
    seconds = 10 if chosen.quick else chosen.seconds
    print(f"each worker held to {PART:.0%} of a core")
    held = [await _rate(workers, seconds, PART) for workers in (1, 2)]
    figure(f"two workers against one, {SYNCS} syncs", held[1] / held[0], "times", at_least=1.7)
    print("at full speed, bound by this machine's cores")
    free = [await _rate(workers, seconds, None) for workers in (1, 2)]
    figure(f"two workers against one, {SYNCS} syncs", free[1] / free[0], "times")


async def _rate(workers: int, seconds: float, part: float | None) -> float:
    """Records a second that so many workers read and store."""
    async with cluster(HELD) as here:
        await _prepare(here, workers)
        async with _held_to(part, [worker.pid for worker in here.workers]):
            await here.execute(_ENABLE)
            await here.execute(_NOTIFY)

            async def warm() -> bool:
                return bool(await here.value(_READ) >= WARM)

            await until(warm)
            before, each, stored, began = here.busy_s(), _each(here), await here.value(_READ), time.monotonic()
            await asyncio.sleep(seconds)
            read = await here.value(_READ) - stored
            seconds = time.monotonic() - began
            spent = {name: after - before[name] for name, after in here.busy_s().items()}
            used = [after - earlier for after, earlier in zip(_each(here), each, strict=True)]
        check(await here.value(_DONE) == 0, "a sync was read to its end: there was not enough to read")
    figure(f"{workers} worker(s): records read", read / seconds, "a second")
    if part is not None:
        figure(f"{workers} worker(s): used of its part, at least", 100 * min(used) / (part * seconds), "%")
    for name, busy in spent.items():
        figure(f"{workers} worker(s): {name}", 1e6 * busy / read, "µs a record")
    figure(f"{workers} worker(s): cores in use", sum(spent.values()) / seconds, f"of {os.cpu_count()}")
    return float(read / seconds)


def _each(here: Cluster) -> list[float]:
    return [busy_s([worker.pid]) for worker in here.workers]


async def _prepare(here: Cluster, workers: int) -> None:
    """The workers run and share the syncs, which are disabled yet."""
    await here.start(workers)
    await here.syncs(SYNCS, COLLECTIONS, status="disabled")

    async def shared() -> bool:
        held = await here.value("select count(*) from sync_epochs where owner is not null")
        return bool(held == SYNCS and await here.value(_OWNERS) == workers)

    await until(shared)


@asynccontextmanager
async def _held_to(part: float | None, pids: Sequence[int]) -> AsyncIterator[None]:
    """Each of these processes has so much of a core for the time of the block: it is stopped while it has used more."""
    if part is None:
        yield
        return
    holding = asyncio.gather(*(_hold(pid, part) for pid in pids))
    try:
        yield
    finally:
        holding.cancel()
        with suppress(asyncio.CancelledError):
            await holding


async def _hold(pid: int, part: float) -> None:
    worker = psutil.Process(pid)
    used, began, stopped = _used_s(worker), time.monotonic(), False
    try:
        while True:
            over = _used_s(worker) - used > part * (time.monotonic() - began)
            if over != stopped:
                os.kill(pid, signal.SIGSTOP if over else signal.SIGCONT)
                stopped = over
            await asyncio.sleep(0.01)
    finally:
        os.kill(pid, signal.SIGCONT)


def _used_s(worker: psutil.Process) -> float:
    times = worker.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    asyncio.run(main())
