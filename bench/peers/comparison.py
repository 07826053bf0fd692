"""The comparison as a whole: whose turn it is, what is still to be taken, how long that will be, and the report."""

import argparse
import tempfile
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from bench.peers import consume, growth
from bench.peers.airbyte import Airbyte, AirbyteOutput
from bench.peers.dlt import Dlt
from bench.peers.environments import ENVIRONMENTS
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
from bench.peers.series import Series, expected_s, known
from bench.peers.singer import Singer
from bench.peers.sync_engine import SyncEngine

ALL = {**HEADINGS, consume.SCENARIO: consume.HEADING, growth.SCENARIO: growth.HEADING}
PEERS: tuple[type[Peer], ...] = (Headrace, Dlt, Airbyte, AirbyteOutput, Singer, SyncEngine)
FIGURES = "## Figures"
"""The heading under which the report stands in a file; what is above it is left as it is."""


class Comparison:
    """The results so far, those of earlier commands of the same series included, and the time that is left for more."""

    def __init__(self, options: argparse.Namespace, peers: list[type[Peer]]) -> None:
        self._options = options
        self._peers = peers
        self._sizes = {**dict.fromkeys(HEADINGS, options.records), HOSTILE: options.hostile_records}
        self._series = Series(options.series)
        self._series.expect(self._sizes)
        self._over = time.monotonic() + options.minutes * 60
        self._left_out = self._broken = 0

    def estimate(self) -> None:
        """Tell how long the copying will take that is still to be done."""
        for number in range(1, self._options.rounds + 1):
            seconds = [self._expected_s(number, peer) for peer in self._peers]
            if any(second != 0 for second in seconds):
                taken = "an unknown time, as not all of it was ever taken on this machine"
                if None not in seconds:
                    taken = f"about {sum(filter(None, seconds)) / 60:.0f} minutes"
                print(f"round {number} takes {taken}", flush=True)

    async def run(self) -> None:
        """Take what is lacking. A peer that breaks the comparison itself is told of and passed over."""
        options = self._options
        with tempfile.TemporaryDirectory(prefix="headrace-peers-") as folder:
            async with database(Path(folder)) as shared:
                for number, peer in self._turns():
                    await self._turn(shared, number, peer)
                sizes = [size for size in options.sizes if not self._series.holds(1, growth.row(size, growth.CONSUMED))]
                if growth.SCENARIO in options.scenario and sizes:
                    await self._take(growth.grown(shared, sizes), 1, growth.SCENARIO)
        if consume.SCENARIO in options.scenario:
            for number in range(1, options.rounds + 1):
                if not all(self._series.holds(number, row) for row in consume.ROWS):
                    await self._take(consume.consumed(options.messages, 1, options.seconds), number, consume.SCENARIO)

    def _turns(self) -> Iterator[tuple[int, type[Peer]]]:
        """In turn, and each round begins with another: what the machine does beside weighs on all of them."""
        for number in range(self._options.rounds):
            first = number % len(self._peers)
            for peer in [*self._peers[first:], *self._peers[:first]]:
                yield number + 1, peer

    def _lacking(self, number: int, peer: type[Peer]) -> set[str]:
        """The scenarios of copying that this peer has still to go through in this round."""
        trials = self._options.rounds if self._options.trials is None else self._options.trials
        without = {KILLED, HOSTILE} if number > trials else set()
        chosen = set(HEADINGS if peer.keeps else {FIRST}) & set(self._options.scenario)
        return chosen - without - self._series.holds(number, peer.name)

    def _expected_s(self, number: int, peer: type[Peer]) -> float | None:
        return expected_s(known(), peer.name, self._lacking(number, peer), self._sizes)

    async def _turn(self, shared: Database, number: int, peer: type[Peer]) -> None:
        lacking = self._lacking(number, peer)
        if not lacking:
            return
        if time.monotonic() + (self._expected_s(number, peer) or 0.0) > self._over:
            self._left_out += 1
            return
        print(f"round {number}, {peer.name}:", flush=True)
        try:
            await self._take(self._copied(shared, number, peer, lacking), number, peer.name)
        except Exception:  # hours of others' work shall not end with it
            self._broken += 1
            traceback.print_exc()

    async def _copied(self, shared: Database, number: int, peer: type[Peer], chosen: set[str]) -> AsyncIterator[Result]:
        options = self._options
        size, small = Size(options.records, options.bound), Size(options.hostile_records, min(120.0, options.bound))
        if ordinary := chosen & {FIRST, AGAIN, CHANGED}:
            async for result in load_and_change(shared, peer, size, ordinary):
                yield result
        if KILLED in chosen:
            first = self._series.find(number, peer.name, FIRST)
            yield await killed(shared, peer, size, first.figures.get("requests") if first else None)
        if HOSTILE in chosen:
            yield await hostile(shared, peer, small)

    async def _take(self, found: AsyncIterator[Result], number: int, of: str) -> None:
        """Tell each result, keep it, and write all that there are: a run that is broken off was not for nothing."""
        versions = {name: version for peer in self._peers if peer.name == of for name, version in _versions(peer)}
        began = time.monotonic()
        async for result in found:
            took_s, began = time.monotonic() - began, time.monotonic()
            if self._series.find(number, result.peer, result.scenario) is None:
                size = self._sizes.get(result.scenario, 0)
                self._series.add(result, number=number, size=size, took_s=took_s, versions=versions)
            figures = ", ".join(f"{name} {value:,.3g}" for name, value in result.figures.items())
            said = f"{result.failed or figures} {result.right}"
            print(f"  {result.scenario}, {result.peer}: {said} ({took_s:.0f} s in all)", flush=True)
            self.write()

    def report(self) -> str:
        """The machine, the versions, the tables."""
        order = {peer.name: place for place, peer in enumerate(PEERS)}
        ordered = sorted(self._series.results, key=lambda result: order.get(result.peer, len(order)))
        versions = "".join(f" {name} {version}." for name, version in self._series.versions().items())
        each, few = f"{self._options.records:,}", f"{self._options.hostile_records:,}"
        size = f"{each} customers and {each} invoices, {few} of each where the provider misbehaves; a row is"
        size += " the median of as many runs as it says."
        short = f" {self._left_out} runs of a peer were left out: the time was over." if self._left_out else ""
        if self._broken:
            short += f" {self._broken} runs of a peer broke off with an error of the comparison itself."
        taken = tables(ordered, ALL, self._series.origins())
        return f"{self._series.machine}. {size}{versions}{short}\n\n{taken}"

    def write(self) -> None:
        """Write what there is so far, below what stands in the file above the figures."""
        path: Path | None = self._options.write
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            above = path.read_text().partition(FIGURES)[0] if path.exists() else "# Beside others\n\n"
            path.write_text(f"{above}{FIGURES}\n\n{self.report()}")


def _versions(peer: type[Peer]) -> Iterator[tuple[str, str]]:
    if issubclass(peer, Command):
        yield from ENVIRONMENTS[peer.environment].versions().items()
