"""First load: a provider server on loopback into the stream, one process, embedded database; records/s from the
creation of the sync until its initial backfill is complete.

python -m bench.first_load [--quick] [--records 200000]
"""

import asyncio

from bench.report import figure
from bench.stand import options, stand

COLLECTIONS = {"stripe:customer": "customers", "stripe:charge": "charges"}


async def main() -> None:
    chosen = options(__doc__, 200_000)
    async with stand(chosen.records, of=COLLECTIONS.values()) as here:
        with here.spent() as spent:
            sync = await here.sync(COLLECTIONS)
            await here.complete(sync)
        held = await here.same(sync, COLLECTIONS)
    figure(f"first load of {held:,} records", held / spent.seconds, "records/s", at_least=25_000)
    spent.report(held)


if __name__ == "__main__":
    asyncio.run(main())
