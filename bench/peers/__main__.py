"""`make bench-peers`: the whole comparison, as tables.

python -m bench.peers [--quick] [--records 200000] [--rounds 5] [--minutes 600] [--only NAME …] [--scenario NAME …]
                      [--write docs/benchmarks/peers.md] …; --help tells the others
"""

import argparse
import asyncio
import tempfile
import time
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

from bench.peers import consume, growth
from bench.peers.airbyte import Airbyte, AirbyteOutput
from bench.peers.dlt import Dlt
from bench.peers.environments import ENVIRONMENTS, Unavailable
from bench.peers.ground import Database, database
from bench.peers.headrace import Headrace
from bench.peers.peer import Command, Peer
from bench.peers.results import Result, tables
from bench.peers.scenarios import (
    AGAIN,
    CHANGED,
    FIRST,
    HEADINGS,
    HOSTILE,
    KILLED,
    Size,
    hostile,
    killed,
    load_and_change,
)
from bench.peers.singer import Singer
from bench.peers.sync_engine import SyncEngine
from bench.report import machine

ALL = {**HEADINGS, consume.SCENARIO: consume.HEADING, growth.SCENARIO: growth.HEADING}
PEERS: tuple[type[Peer], ...] = (Headrace, Dlt, Airbyte, Singer, SyncEngine)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1 000 objects of each collection, one round")
    parser.add_argument("--records", type=int, default=200_000, help="objects of each of the two collections")
    parser.add_argument("--rounds", type=int, default=5, help="how often each peer runs; medians are told")
    parser.add_argument(
        "--trials", type=int, help="in how many of the rounds it is killed and misled (default: in all)"
    )
    parser.add_argument("--bound", type=float, default=600.0, help="seconds that a peer may take for a piece of work")
    parser.add_argument("--minutes", type=float, default=600.0, help="after which no further run of a peer begins")
    parser.add_argument("--hostile-records", type=int, default=2_000, help="of each collection, where it misbehaves")
    parser.add_argument("--only", nargs="+", choices=[peer.name for peer in PEERS], metavar="NAME")
    parser.add_argument("--scenario", nargs="+", choices=list(ALL), metavar="NAME", default=list(ALL))
    parser.add_argument("--messages", type=int, default=40_000, help="that are consumed")
    parser.add_argument("--seconds", type=float, default=2.0, help="for which each rate of consuming is taken")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(growth.SIZES), help="at which growth is looked at")
    parser.add_argument("--write", type=Path, help="write the tables into this file")
    parsed = parser.parse_args()
    if parsed.quick:
        parsed.records, parsed.rounds, parsed.hostile_records = 1_000, 1, 500
        parsed.messages, parsed.seconds, parsed.sizes = 4_000, 0.5, [2_000, 10_000]
    return parsed


def _available(peers: list[type[Peer]]) -> list[type[Peer]]:
    """Those whose environment could be made; of the others it is told why not."""
    ready = []
    for peer in peers:
        try:
            if issubclass(peer, Command):
                ENVIRONMENTS[peer.environment].make()
        except Unavailable as error:
            print(f"{peer.name} is left out: {error}", flush=True)
        else:
            ready.append(peer)
    return ready


class Comparison:
    """The runs so far, and the time that is left for more."""

    def __init__(self, options: argparse.Namespace, peers: list[type[Peer]]) -> None:
        self.results: list[Result] = []
        self._options = options
        self._peers = peers
        self._began = time.monotonic()
        self._over = self._began + options.minutes * 60
        self._left_out = self._done = self._broken = 0

    async def run(self) -> None:
        options = self._options
        with tempfile.TemporaryDirectory(prefix="headrace-peers-") as folder:
            async with database(Path(folder)) as shared:
                for number in range(options.rounds):
                    # In turn, and each round begins with another: what the machine does beside weighs on all of them.
                    turn = number % len(self._peers)
                    for peer in [*self._peers[turn:], *self._peers[:turn]]:
                        await self._round(shared, number + 1, peer)
                if growth.SCENARIO in options.scenario:
                    await self._take(growth.grown(shared, options.sizes))
        if consume.SCENARIO in options.scenario:
            await self._take(consume.consumed(options.messages, options.rounds, options.seconds))

    async def _round(self, shared: Database, number: int, peer: type[Peer]) -> None:
        if time.monotonic() > self._over:
            self._left_out += 1
            return
        began = time.perf_counter()
        trials = self._options.rounds if self._options.trials is None else self._options.trials
        without = {KILLED, HOSTILE} if number > trials else set()
        print(f"round {number}, {peer.name}:", flush=True)
        try:
            await self._take(_run(shared, peer, self._options, set(self._options.scenario) - without))
        except Exception:  # hours of others' work shall not end with it
            self._broken += 1
            traceback.print_exc()
        self._done += 1
        left = self._options.rounds * len(self._peers) - self._done
        each = (time.monotonic() - self._began) / self._done / 60
        print(f"  {time.perf_counter() - began:.0f} s; about {left * each:.0f} minutes of copying are left", flush=True)

    async def _take(self, found: AsyncIterator[Result]) -> None:
        """Tell each result, and write all that there are, as it comes: a run that is broken off was not for nothing."""
        async for result in found:
            self.results.append(result)
            _tell(result)
            self.write()

    def report(self) -> str:
        """The machine, the versions, the tables."""
        order = {peer.name: place for place, peer in enumerate(PEERS)}
        ordered = sorted(self.results, key=lambda result: order.get(result.peer, len(order)))
        made_of = [ENVIRONMENTS[peer.environment].versions() for peer in self._peers if issubclass(peer, Command)]
        versions = "".join(f" {name} {version}." for each in made_of for name, version in each.items())
        each = f"{self._options.records:,}"
        size = f"{each} customers and {each} invoices, medians of at most {self._options.rounds} runs."
        short = f" {self._left_out} runs of a peer were left out: the time was over." if self._left_out else ""
        if self._broken:
            short += f" {self._broken} runs of a peer broke off with an error of the comparison itself."
        return f"{machine()}. {size}{versions}{short}\n\n{tables(ordered, ALL)}"

    def write(self) -> None:
        """Write what there is so far."""
        if self._options.write:
            self._options.write.parent.mkdir(parents=True, exist_ok=True)
            self._options.write.write_text(f"# Beside others\n\n{self.report()}")


async def _run(
    shared: Database, peer: type[Peer], options: argparse.Namespace, chosen: set[str]
) -> AsyncIterator[Result]:
    size, small = Size(options.records, options.bound), Size(options.hostile_records, min(120.0, options.bound))
    usual = None
    if chosen & {FIRST, AGAIN, CHANGED}:
        for result in await load_and_change(shared, peer, size, chosen):
            if result.scenario == FIRST and result.figures:
                usual = result.figures["requests"]
            yield result
    if FIRST in chosen and peer is Airbyte:
        for result in await load_and_change(shared, AirbyteOutput, size, {FIRST}):
            yield result
    if KILLED in chosen:
        yield await killed(shared, peer, size, usual)
    if HOSTILE in chosen:
        yield await hostile(shared, peer, small)


def _tell(result: Result) -> None:
    figures = ", ".join(f"{name} {value:,.3g}" for name, value in result.figures.items())
    print(f"  {result.scenario}, {result.peer}: {result.failed or figures} {result.right}", flush=True)


def main() -> None:
    options = _options()
    chosen = [each for each in PEERS if options.only is None or each.name in options.only]
    comparison = Comparison(options, _available(chosen))
    asyncio.run(comparison.run())
    print("\n" + comparison.report())


if __name__ == "__main__":
    main()
