"""More workers: eight syncs read by one worker and by two, alternately, in the midst of one long backfill.

What is asked is whether work that is shared is work that is done, or whether two workers stand in each other's way.
PostgreSQL and the provider server share this machine's cores with the workers: on two cores, a second worker at full
speed only takes from the others, and the rates tell of the machine. So each worker is held to a part of a core (it is
stopped while it has used more), small enough that two of them, and what they cause in the others, leave most of two
cores free: then the workers are what binds, as they are where each has a machine of its own.

One and two are measured by turns in the same run, since the machine's speed changes from minute to minute. After each
change of their number it is waited until the syncs are shared and the workers are warm. A pair of measures counts when

- each worker used at least 90 % of its part: else something other than the workers bound, other work on the machine,
  the database, the provider;
- the provider server took as much processor time a record in both, within 10 %: it does the same work for each record
  whoever asks, so a difference says that the machine was not the same.

Of the pairs that count, five at least, the median is told, else no ratio. Beside it stands the same ratio by processor
time, 2 × (the workers' time a record, one) / (the same, two): it does not ask how much the workers were let run, so it
is worth more than the first on a machine with other work.

python -m bench.scale [--quick] [--seconds 20] [--pairs 7]
"""

import argparse
import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from statistics import median

import psutil

from bench.cluster import Cluster, cluster, until
from bench.report import check, figure, progress
from bench.stand import busy_s

SYNCS = 8
PART = 0.15
"""Of a core, for each worker."""
WARM = 5_000 * SYNCS
"""Records that are read at full speed after each change of the number of workers, before it counts."""
SETTLE_S = 3.0
LEAST_PAIRS = 5
LEAST_USED = 0.9
ALIKE = 0.1
COLLECTIONS = ["stripe:customer", "stripe:charge"]
HELD = "customers=1000000,charges=1000000"
"""By the provider, for each sync: more than is read in the time."""
_READ = "select coalesce(sum(living), 0) from record_counts"
_DONE = "select count(*) from sync_states where initial_backfill_completed_at is not null"


@dataclass(frozen=True)
class Measure:
    """Some seconds of so many workers: records a second, processor time in µs a record, the least share of its part
    that a worker used."""

    rate: float
    spent: dict[str, float]
    used: float


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pairs", type=int, default=7)
    chosen = parser.parse_args()
    seconds, pairs = (5.0, 2) if chosen.quick else (chosen.seconds, chosen.pairs)
    print(f"each worker held to {PART:.0%} of a core")
    async with cluster(HELD) as here:
        await here.start(1)
        await here.syncs(SYNCS, COLLECTIONS)
        measured = []
        for number in range(pairs):
            progress(f"pair {number + 1} of {pairs}")
            # Every other pair begins with two, so that what changes slowly favours neither.
            order = (1, 2) if number % 2 == 0 else (2, 1)
            taken = {workers: await _measure(here, workers, seconds) for workers in order}
            measured.append((taken[1], taken[2]))
            _tell(*measured[-1])
        check(await here.value(_DONE) == 0, "a sync was read to its end: there was not enough to read")
    _conclude(measured)


def _tell(one: Measure, two: Measure) -> None:
    for workers, each in ((1, one), (2, two)):
        figure(f"{workers} worker(s): records read", each.rate, "a second")
        figure(f"{workers} worker(s): used of its part, at least", 100 * each.used, "%")
        for name, busy in each.spent.items():
            figure(f"{workers} worker(s): {name}", busy, "µs a record")
    print("  " + (why_not(one, two) or "counts"), flush=True)


def why_not(one: Measure, two: Measure) -> str | None:
    """Why a pair says nothing; None: it counts."""
    if min(one.used, two.used) < LEAST_USED:
        return "does not count: the workers were not what bound"
    there = [each.spent["the provider"] for each in (one, two)]
    if max(there) > (1 + ALIKE) * min(there):
        return "does not count: the machine was not the same for both"
    return None


def _conclude(measured: Sequence[tuple[Measure, Measure]]) -> None:
    counted = [(one, two) for one, two in measured if why_not(one, two) is None]
    figure("pairs that count", len(counted), f"of {len(measured)}")
    if len(counted) < LEAST_PAIRS:
        print(f"no ratio: {LEAST_PAIRS} pairs are needed; the machine must be quieter, or --pairs larger")
        return
    rates = median(two.rate / one.rate for one, two in counted)
    figure(f"two workers against one, {SYNCS} syncs", rates, "times", at_least=1.7)
    times = median(2 * one.spent["workers"] / two.spent["workers"] for one, two in counted)
    figure("the same by processor time", times, "times", at_least=1.7)


async def _measure(here: Cluster, workers: int, seconds: float) -> Measure:
    await _have(here, workers)
    await _read_on(here, WARM)
    async with _held_to(PART, [worker.pid for worker in here.workers]):
        await asyncio.sleep(SETTLE_S)
        before, each, stored, began = here.busy_s(), _each(here), await here.value(_READ), time.monotonic()
        await asyncio.sleep(seconds)
        read = int(await here.value(_READ) - stored)
        seconds = time.monotonic() - began
        spent = {name: 1e6 * (after - before[name]) / max(read, 1) for name, after in here.busy_s().items()}
        used = [after - earlier for after, earlier in zip(_each(here), each, strict=True)]
    return Measure(read / seconds, spent, min(used) / (PART * seconds))


async def _read_on(here: Cluster, records: int) -> None:
    enough = await here.value(_READ) + records

    async def warm() -> bool:
        return bool(await here.value(_READ) >= enough)

    await until(warm)


def _each(here: Cluster) -> list[float]:
    return [busy_s([worker.pid]) for worker in here.workers]


async def _have(here: Cluster, workers: int) -> None:
    """So many workers run, and share the syncs evenly."""
    if len(here.workers) < workers:
        await here.start(workers - len(here.workers))
    while len(here.workers) > workers:
        await here.workers.pop().stop()

    async def shared() -> bool:
        owners = await here.value(
            "select array_agg(n) from (select count(*) as n from sync_epochs group by owner) as o"
        )
        return bool(owners == [SYNCS // workers] * workers)

    await until(shared)


@asynccontextmanager
async def _held_to(part: float, pids: Sequence[int]) -> AsyncIterator[None]:
    """Each of these processes has so much of a core for the time of the block: it is stopped while it has used more."""
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
