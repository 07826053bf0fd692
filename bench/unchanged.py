"""Read again unchanged: a second backfill of a copy that is whole; records/s, and not one may be emitted anew.

python -m bench.unchanged [--quick] [--records 200000]
"""

import asyncio

from bench.first_load import COLLECTIONS
from bench.report import check, figure
from bench.stand import options, stand


async def main() -> None:
    chosen = options(__doc__, 200_000)
    async with stand(chosen.records, of=COLLECTIONS.values()) as here:
        sync = await here.sync(COLLECTIONS)
        await here.complete(sync)
        held = await here.same(sync, COLLECTIONS)
        consumer = await here.api.consumers.create(stream_id=sync["stream_id"], name="bench", deliver_policy="new")
        spent = await here.read_again(sync, held)
        emitted = (await here.api.consumers.get(consumer["id"]))["num_pending"]
        check(emitted == 0, f"{emitted} of {held} unchanged records were emitted again")
    figure(f"second reading of {held:,} unchanged records", held / spent.seconds, "records/s", at_least=80_000)
    spent.report(held)


if __name__ == "__main__":
    asyncio.run(main())
