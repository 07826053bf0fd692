"""Consuming over HTTP with acks, at batch 1, 10, 100 and 1000.

Processor time a message is the figure to steer by on a machine with other work. `--beside` lets another checkout's
server do the same in turn, each with a database of its own, and tells how many times as fast this one is.

python -m bench.consume [--quick] [--records 200000] [--case 100x4 …] [--seconds 8] [--beside CHECKOUT] [--rounds 1]
"""

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.load import consume
from bench.report import figure
from bench.stand import Spent, Stand, stand

COLLECTIONS = {"stripe:customer": "customers", "stripe:charge": "charges"}
CASES = ((1, 1), (1, 4), (1, 32), (10, 1), (10, 4), (100, 1), (100, 4), (1000, 1), (1000, 4))
GOALS = {(1, 4): 2_000, (100, 4): 40_000, (1000, 4): 80_000}


@dataclass(frozen=True, slots=True)
class _Run:
    """Messages a second, and processor time a message in microseconds."""

    rate: float
    serve: float
    database: float


async def main() -> None:
    chosen = _options()
    async with AsyncExitStack() as stands:
        ours = await _loaded(stands, chosen.records, None)
        other = await _loaded(stands, chosen.records, chosen.beside) if chosen.beside else None
        for batch, workers in chosen.case:
            what = f"batch {batch}, {workers} workers"
            here: list[_Run] = []
            there: list[_Run] = []
            for number in range(chosen.rounds):
                turn = [(ours, here), *([(other, there)] if other else [])]
                for each, runs in turn if number % 2 == 0 else reversed(turn):
                    runs.append(await _run(each, batch, workers, chosen.seconds))
            _report(f"consume and ack, {what}", here, GOALS.get((batch, workers)))
            if there:
                _report(f"  of {chosen.beside}", there, None)
                figure("  times as many", _median(here, "rate") / _median(there, "rate"), "")


async def _loaded(stands: AsyncExitStack, records: int, source: Path | None) -> tuple[Stand, str]:
    """A stand with a stream that holds the records, and the stream's id."""
    here = await stands.enter_async_context(stand(records, of=COLLECTIONS.values(), source=source))
    sync = await here.sync(COLLECTIONS)
    await here.complete(sync)
    await here.api.syncs.update(sync["id"], status="disabled")
    return here, sync["stream_id"]


async def _run(loaded: tuple[Stand, str], batch: int, workers: int, seconds: float) -> _Run:
    here, stream_id = loaded
    consumer = await here.api.consumers.create(stream_id=stream_id, max_ack_pending=100_000)
    with here.spent() as spent:
        rate = await consume(here.server.url, here.server.token, consumer["id"], batch, workers, seconds)
    await here.api.consumers.delete(consumer["id"])
    return _Run(rate, *_a_message(spent, rate))


def _a_message(spent: Spent, rate: float) -> tuple[float, float]:
    messages = rate * spent.seconds
    return spent.serve / messages * 1e6, spent.database / messages * 1e6


def _report(what: str, runs: Sequence[_Run], goal: float | None) -> None:
    figure(what, _median(runs, "rate"), "messages/s", at_least=goal)
    for name in ("serve", "database"):
        figure(f"  processor time of {name}", _median(runs, name), "us a message")


def _median(runs: Sequence[_Run], name: str) -> float:
    return float(median(getattr(each, name) for each in runs))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the records")
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--case", type=_case, nargs="+", default=CASES, help="batch and workers, as 100x4")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--beside", type=Path, help="another checkout, whose server takes its turn")
    parser.add_argument("--rounds", type=int, default=1, help="medians are told")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.records //= 10
    return chosen


def _case(text: str) -> tuple[int, int]:
    batch, _, workers = text.partition("x")
    return int(batch), int(workers)


if __name__ == "__main__":
    asyncio.run(main())
