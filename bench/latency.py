"""Latency: from a change at the provider to the message at a waiting consumer, at 20 changes a second.

python -m bench.latency [--quick] [--seconds 60]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from bench.first_load import COLLECTIONS
from bench.report import check, figure
from bench.stand import Stand
from headrace.client import AsyncClient
from headrace.testing.processes import ServeProcess
from headrace.testing.stripe import StripeServer
from headrace.testing.stripe.events import Event


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=60)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.seconds = 10
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        data_dir = Path(folder) / "data"
        server = ServeProcess(data_dir=data_dir)
        async with StripeServer(5000, changes_per_s=20, limits="real") as provider, server:
            await server.ready()
            async with AsyncClient(server.url, server.token) as api:
                latencies = await _measure(Stand(provider.base_url, server, api, data_dir), provider, chosen.seconds)
            await server.stop()
    check(bool(latencies), "no change arrived")
    latencies.sort()
    median_ms = 1000 * statistics.median(latencies)
    figure(f"{len(latencies)} changes: provider to consumer, median", median_ms, "ms", below=1000)
    figure("95 % of them within", 1000 * latencies[int(0.95 * (len(latencies) - 1))], "ms")


async def _measure(here: Stand, provider: StripeServer, seconds: float) -> list[float]:
    changed_at: dict[str, float] = {}

    def changed(event: Event) -> None:
        object_id = provider.account.id_of(event.collection, event.ordinal)
        changed_at.setdefault(object_id, time.monotonic())

    sync = await here.sync(COLLECTIONS)
    await here.complete(sync)
    consumer = await here.api.consumers.create(stream_id=sync["stream_id"], name="bench", deliver_policy="new")
    provider.account.listeners.append(changed)
    latencies: list[float] = []

    async def consume() -> None:
        async with here.api.consumers.consume(consumer["id"]) as messages:
            async for message in messages:
                async with message:
                    moment = changed_at.pop(message.record["upstream_id"], None)
                    if moment is not None:
                        latencies.append(time.monotonic() - moment)

    task = asyncio.create_task(consume())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return latencies


if __name__ == "__main__":
    asyncio.run(main())
