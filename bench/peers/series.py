"""A series: a comparison that is taken over several runs of the command, round by round, on one machine.

Each result is a line of JSON in .bench/series/NAME.jsonl, with the round, the size, the commit, the versions, the
machine and the date that it was taken under. What a series holds is not taken again, so a run that was cut off is
continued by the same command.
"""

import os
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import msgspec

from bench.peers.results import Result
from bench.report import machine

FOLDER = Path(__file__).parents[2] / ".bench" / "series"


@dataclass(frozen=True, slots=True)
class Taken:
    """A result and what it was taken under: its round (from 1), the size of the work, and the seconds that it took the
    comparison with all that is around it."""

    result: Result
    round: int
    size: int
    took_s: float
    commit: str
    machine: str
    versions: dict[str, str] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))


class Mixed(Exception):
    """The series was taken with another size or on another machine: its medians would be of different things."""


class Series:
    """The results so far. Without a name they are kept nowhere."""

    def __init__(self, name: str | None, folder: Path = FOLDER) -> None:
        self.taken: list[Taken] = []
        self._path = None if name is None else folder / f"{name}.jsonl"
        self._commit, self.machine = _commit(), machine()
        if self._path is not None and self._path.exists():
            self.taken = read(self._path)
            _cut(self._path)
        for each in self.taken:
            if each.machine != self.machine:
                raise Mixed(f"{name} was taken on {each.machine}; give this series another name")

    @property
    def results(self) -> list[Result]:
        return [each.result for each in self.taken]

    def expect(self, sizes: Mapping[str, int]) -> None:
        """Raise Mixed when a scenario was taken with another size than it has in `sizes`."""
        for each in self.taken:
            name = each.result.scenario
            if each.size != sizes.get(name, each.size):
                raise Mixed(f"{name} was taken with {each.size:,}, not {sizes[name]:,}; give this series another name")

    def holds(self, number: int, peer: str) -> set[str]:
        """The scenarios that this peer went through in this round."""
        return {each.result.scenario for each in self.taken if (each.round, each.result.peer) == (number, peer)}

    def find(self, number: int, peer: str, scenario: str) -> Result | None:
        """What a peer gave in a scenario of a round, the latest."""
        for each in reversed(self.taken):
            if (each.round, each.result.peer, each.result.scenario) == (number, peer, scenario):
                return each.result
        return None

    def add(self, result: Result, *, number: int, size: int, took_s: float, versions: Mapping[str, str]) -> None:
        """Keep a result: once this returns it is in the file."""
        taken = Taken(result, number, size, took_s, self._commit, self.machine, dict(versions))
        self.taken.append(taken)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(taken) + b"\n")

    def origins(self) -> dict[str, str]:
        """By scenario: of which days and commits its rounds are."""
        rounds: dict[str, dict[str, set[int]]] = {}
        for each in self.taken:
            of = rounds.setdefault(each.result.scenario, {})
            of.setdefault(f"{each.at:%Y-%m-%d} at {each.commit}", set()).add(each.round)
        return {
            scenario: "; ".join(f"{', '.join(map(str, sorted(these)))} of {origin}" for origin, these in of.items())
            for scenario, of in rounds.items()
        }

    def versions(self) -> dict[str, str]:
        """Every version of every package that was met."""
        met: dict[str, dict[str, None]] = {}
        for each in self.taken:
            for name, version in each.versions.items():
                met.setdefault(name, {})[version] = None
        return {name: " and ".join(found) for name, found in met.items()}


def read(path: Path) -> list[Taken]:
    """What a file holds. Its last line may have been cut off with the run that wrote it: then it is passed over."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [msgspec.json.decode(line, type=Taken) for line in whole.splitlines()]


def _cut(path: Path) -> None:
    """Take away a last line without its end, so that the next begins a line."""
    held = path.read_bytes()
    os.truncate(path, held.rfind(b"\n") + 1)


def known(folder: Path = FOLDER) -> list[Taken]:
    """All that was ever taken on this machine, in whatever series."""
    here = machine()
    return [each for path in folder.glob("*.jsonl") for each in read(path) if each.machine == here]


def expected_s(known: Sequence[Taken], peer: str, scenarios: Collection[str], sizes: Mapping[str, int]) -> float | None:
    """Seconds that these scenarios will take a peer, from what they took it before, in proportion to the size; of
    several sizes the nearest counts. None where one of them was never taken with a tenth of the size at least: of less
    work, what it takes to begin is the most."""
    total = 0.0
    for scenario in scenarios:
        size = sizes[scenario]
        of = [each for each in known if (each.result.peer, each.result.scenario) == (peer, scenario)]
        of = [each for each in of if each.size * 10 >= size]
        if not of:
            return None
        nearest = min({each.size for each in of}, key=lambda held: abs(held - size))
        total += median(each.took_s for each in of if each.size == nearest) * size / nearest
    return total


def _commit() -> str:
    """The commit that is checked out, with a mark when the tree differs from it; `no commit` outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=7"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
    return done.stdout.strip()
