"""More workers: eight syncs read by one worker, then by two. The provider server and PostgreSQL share the cores with
them, so beside the rates stands the processor time of each part: what it would take is what binds elsewhere.

python -m bench.scale [--quick] [--records 100000]
"""

import asyncio
import os

from bench.cluster import cluster, until
from bench.report import figure
from bench.stand import options

SYNCS = 8
COLLECTIONS = ["stripe:customer", "stripe:charge"]
_DONE = "select count(*) from sync_states where initial_backfill_completed_at is not null"
_OWNERS = "select count(distinct owner) from sync_epochs"
_ENABLE = "update syncs set status = 'active', updated_at = clock_timestamp()"
_NOTIFY = "select pg_notify('headrace_sync', id::text) from syncs"


async def main() -> None:
    chosen = options(__doc__, 100_000)
    each = max(chosen.records // SYNCS, 100)
    one = await _rate(1, each)
    two = await _rate(2, each)
    figure(f"two workers against one, {SYNCS} syncs", two / one, "times", at_least=1.7)


async def _rate(workers: int, records: int) -> float:
    """Records a second that so many workers read."""
    halves = f"customers={records // 2},charges={records // 2}"
    async with cluster(halves) as here:
        await here.start(workers)
        await here.syncs(SYNCS, COLLECTIONS, status="disabled")

        async def shared() -> bool:
            held = await here.value("select count(*) from sync_epochs where owner is not null")
            return bool(held == SYNCS and await here.value(_OWNERS) == workers)

        await until(shared)
        before = here.busy_s()
        await here.execute(_ENABLE)
        await here.execute(_NOTIFY)

        async def done() -> bool:
            return bool(await here.value(_DONE) == SYNCS)

        seconds = await until(done)
        spent = {part: after - before[part] for part, after in here.busy_s().items()}
    read = SYNCS * records
    figure(f"{workers} worker(s): records read", read / seconds, "a second")
    for part, busy in spent.items():
        figure(f"{workers} worker(s): {part}", 1e6 * busy / read, "µs a record")
    figure(f"{workers} worker(s): cores in use", sum(spent.values()) / seconds, f"of {os.cpu_count()}")
    return read / seconds


if __name__ == "__main__":
    asyncio.run(main())
