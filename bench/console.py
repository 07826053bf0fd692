"""How long the console's pages take, with a thousand syncs and a stream of a million records: medians by HTTP.

python -m bench.console [--quick] [--records 1000000] [--syncs 1000]
"""

import argparse
import asyncio
import statistics
import time

import httpx2

from bench.first_load import COLLECTIONS
from bench.report import check, figure
from bench.stand import UNLIMITED, Stand, stand

TRIES = 15


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--syncs", type=int, default=1000)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.records, chosen.syncs = 20_000, 100
    async with stand(chosen.records, of=COLLECTIONS.values()) as here:
        sync = await here.sync(COLLECTIONS)
        await here.complete(sync)
        await _more(here, sync["credential_id"], sync["stream_id"], chosen.syncs - 1)
        record = await anext(aiter(here.api.records.list(stream_id=sync["stream_id"], limit=1)))
        consumers = [
            await here.api.consumers.create(name=f"consumer {number}", stream_id=sync["stream_id"])
            for number in range(20)
        ]
        stream = f"/streams/{sync['stream_id']}"
        pages = {
            "overview": "/",
            "overview, searched": "/?q=more%20777",
            "sync": f"/syncs/{sync['id']}",
            "edit": f"/syncs/{sync['id']}/edit",
            "stream": stream,
            "stream, one collection": f"{stream}?collection_id=stripe:customer",
            "stream, one sync": f"{stream}?sync_id={sync['id']}",
            "stream, one id": f"{stream}?upstream_id={record['upstream_id']}",
            "stream, an id that is not there": f"{stream}?upstream_id=nothing",
            "record": f"/records/{record['id']}",
            "consumers": "/consumers",
            "consumer": f"/consumers/{consumers[0]['id']}",
            "connect": "/connect",
            "connect, account": "/connect/stripe",
            "connect, collections": f"/connect/stripe/{sync['credential_id']}",
            "credentials": "/credentials",
            "OAuth apps": "/oauth-apps",
            "tokens": "/tokens",
            "settings": "/settings",
        }
        async with httpx2.AsyncClient(base_url=here.server.url, timeout=60) as browser:
            await browser.post("/login", content=f"token={here.server.token}")
            for name, path in pages.items():
                figure(f"console, {name}", 1000 * await _median_s(browser, path), "ms", below=100)


async def _more(here: Stand, credential_id: str, stream_id: str, count: int) -> None:
    for number in range(count):
        await here.api.syncs.create(
            name=f"more {number}",
            provider="stripe",
            stream_id=stream_id,
            collection_ids=["stripe:coupon"],
            credential_id=credential_id,
            rate_limit=UNLIMITED,
            status="disabled",
        )


async def _median_s(browser: httpx2.AsyncClient, path: str) -> float:
    took = []
    for _ in range(TRIES):
        began = time.perf_counter()
        answer = await browser.get(path)
        took.append(time.perf_counter() - began)
        check(answer.status_code == 200, f"{path} answered {answer.status_code}")
    return statistics.median(took)


if __name__ == "__main__":
    asyncio.run(main())
