"""Idle cost: a thousand active continuous syncs with nothing to do, each reading once in its 60 s; the share of one
core that `headrace serve` takes, without its database and with it.

python -m bench.idle [--quick] [--syncs 1000] [--seconds 120]
"""

import argparse
import asyncio
import time

import httpx2
import psutil

from bench.report import check, figure, progress
from bench.stand import UNLIMITED, Stand, busy_s, stand

COLLECTIONS = ["stripe:customer", "stripe:charge"]
AT_ONCE = 8
"""So many syncs are created at a time."""
REST = 2.5
"""Requests a minute of a sync at rest, at most: one read of the head in 60 s, and what is read more rarely."""
SETTLED_WITHIN_S = 600.0
LOOK_EVERY_S = 10.0


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--syncs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=120)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.syncs, chosen.seconds = 100, 60
    async with stand(0) as here:
        await _syncs(here, chosen.syncs)
        await _settle(here, chosen.syncs)
        server = psutil.Process(here.server.pid)
        began, own, all_ = time.monotonic(), _own_s(server), busy_s([here.server.pid])
        asked = await _requests(here)
        await asyncio.sleep(chosen.seconds)
        seconds = time.monotonic() - began
        own, all_ = _own_s(server) - own, busy_s([here.server.pid]) - all_
        asked = await _requests(here) - asked
    figure(f"{chosen.syncs} idle syncs: reads of changes", asked / seconds, "a second")
    figure(f"{chosen.syncs} idle syncs: headrace", 100 * own / seconds, "% of a core", below=10)
    figure(f"{chosen.syncs} idle syncs: PostgreSQL", 100 * (all_ - own) / seconds, "% of a core")
    check(asked > 0, "nothing was read while the syncs were idle")


async def _syncs(here: Stand, count: int) -> None:
    stream = await here.api.streams.create(slug="idle")
    properties = {"kind": "stripe_key", "name": "idle", "secret": "sk_test_idle", "test": True}
    credential = await here.api.credentials.create(properties={**properties, "base_url": here.provider_url})
    began = time.monotonic()

    async def some(first: int) -> None:
        for number in range(first, count, AT_ONCE):
            await here.api.syncs.create(
                name=f"idle {number}",
                provider="stripe",
                stream_id=stream["id"],
                collection_ids=COLLECTIONS,
                credential_id=credential["id"],
                rate_limit=UNLIMITED,
            )
            if number and number % 100 == 0:
                progress(f"{number} of {count} syncs created after {time.monotonic() - began:.0f} s")

    await asyncio.gather(*(some(first) for first in range(AT_ONCE)))


async def _settle(here: Stand, count: int) -> None:
    """Wait until the syncs ask at their slowest, over a whole minute: those that were made together read together. Ends
    the run when they do not come to that in time."""
    began, counts = time.monotonic(), [await _requests(here)]
    while (seconds := time.monotonic() - began) < SETTLED_WITHIN_S:
        await asyncio.sleep(LOOK_EVERY_S)
        counts.append(await _requests(here))
        progress(
            f"settling for {seconds + LOOK_EVERY_S:.0f} s: {counts[-1] - counts[-2]} requests in {LOOK_EVERY_S:.0f} s"
        )
        minute = counts[-1 - round(60 / LOOK_EVERY_S) :]
        if len(minute) > 60 / LOOK_EVERY_S and minute[-1] - minute[0] <= REST * count:
            return
    check(False, f"the syncs did not come to rest within {SETTLED_WITHIN_S:.0f} s")


async def _requests(here: Stand) -> int:
    async with httpx2.AsyncClient(base_url=here.provider_url) as provider:
        return int((await provider.get("/_control/counts")).json()["requests"])


def _own_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    asyncio.run(main())
