"""Memory: the most that a process has resident while it copies a million records, and while it sweeps them.

python -m bench.memory [--quick] [--records 1000000]
"""

import asyncio

import psutil

from bench.first_load import COLLECTIONS
from bench.report import figure
from bench.stand import options, stand


async def main() -> None:
    chosen = options(__doc__, 1_000_000)
    async with stand(chosen.records, of=COLLECTIONS.values()) as here:
        most = 0

        async def watch() -> None:
            nonlocal most
            process = psutil.Process(here.server.pid)
            while True:
                most = max(most, process.memory_info().rss)
                await asyncio.sleep(0.1)

        watching = asyncio.create_task(watch())
        sync = await here.sync(COLLECTIONS)
        await here.complete(sync)
        held = await here.count(sync)
        watching.cancel()
    figure(f"resident at most, copying {held:,} records", most / 1e6, "MB", below=250)


if __name__ == "__main__":
    asyncio.run(main())
