"""`headrace syncs watch`: a sync's progress, live."""

import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table

from headrace.cli.connection import connected, id_of
from headrace.cli.output import json_line, text

_RATE_OVER_S = 15.0
_WIDEST = 1_000
"""Columns: more than any table takes."""


@dataclass
class Progress:
    """The rate at which a count grows, over the last quarter of a minute."""

    counts: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, now: float, count: int) -> float:
        """Records a second; 0 until there are two counts to compare."""
        self.counts.append((now, count))
        while len(self.counts) > 2 and self.counts[0][0] < now - _RATE_OVER_S:
            self.counts.popleft()
        since, earlier = self.counts[0]
        return max(0.0, (count - earlier) / (now - since)) if now > since else 0.0


def watch(
    sync: Annotated[str, typer.Argument(metavar="SYNC", help="Name or id.")],
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 1.0,
    until_complete: Annotated[bool, typer.Option(help="End when the initial backfill is complete.")] = False,
) -> None:
    """Show phase, records, rate and time left of each collection, live. Into a pipe: a JSON line a look."""
    rates: dict[str, Progress] = {}
    with connected() as api:
        found = id_of(api.syncs, sync)
        with Live(auto_refresh=False, transient=False) as live:
            while True:
                state = api.syncs.get(found)
                rows = api.syncs.collections(found)
                now = time.monotonic()
                rated = [(row, rates.setdefault(row["id"], Progress()).note(now, _count(row))) for row in rows]
                if sys.stdout.isatty():
                    live.update(_drawn(live.console, state, rated), refresh=True)
                else:
                    json_line({"sync": state, "collections": rows})
                if until_complete and state["initial_backfill_completed_at"]:
                    return
                time.sleep(every)


def _count(row: Mapping[str, Any]) -> int:
    """What grows: the records read while everything is read, which may be held already, and then those held."""
    return int(row["records_read"] if row["phase"] == "backfill" else row["records"])


def _drawn(console: Console, sync: Mapping[str, Any], rated: Sequence[tuple[Mapping[str, Any], float]]) -> Group:
    """A table, or where it does not fit the width a few lines a collection."""
    health = sync["health"]
    title = f"[bold]{escape(sync['name'])}[/bold]  {sync['status']}, {health['status']}"
    notes = [escape(text(note)) for note in health["notes"]]
    collections: RenderableType = _table(rated)
    least = Measurement.get(console, console.options.update(width=_WIDEST), collections).minimum
    if least > console.width:
        collections = Group(*(_lines(row, rate) for row, rate in rated))
    return Group(title, collections, *notes)


def _table(rated: Iterable[tuple[Mapping[str, Any], float]]) -> Table:
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("collection", "phase", "records", "expected", "a second", "left", "lag", "note"):
        drawn.add_column(column, justify="right" if column in ("records", "expected", "a second", "left") else "left")
    for row, rate in rated:
        drawn.add_row(
            row["id"],
            row["phase"],
            f"{row['records']:,}",
            "–" if row["expected"] is None else f"{row['expected']:,}",
            f"{rate:,.0f}",
            _left(row, rate),
            "–" if row["lag_seconds"] is None else f"{row['lag_seconds']:,.1f} s",
            escape(text(row["last_error"])),
        )
    return drawn


def _lines(row: Mapping[str, Any], rate: float) -> Padding:
    """One collection: what it is doing, and below it only what is known."""
    facts = [f"{row['records']:,} records"]
    if row["phase"] == "backfill":
        facts += [] if row["expected"] is None else [f"of {row['expected']:,}"]
        facts += [f"{rate:,.0f}/s"] if rate else []
        facts += [] if (left := _left(row, rate)) == "–" else [f"{left} left"]
    elif row["lag_seconds"] is not None:
        facts.append(f"lag {row['lag_seconds']:,.1f} s")
    told = [f"{row['id']}  {row['phase']}", f"  {', '.join(facts)}"]
    if row["last_error"]:
        told.append(f"  {escape(text(row['last_error']))}")
    return Padding("\n".join(told), (1, 0, 0, 0))


def _left(row: Mapping[str, Any], rate: float) -> str:
    """How long the backfill will take: by the rate seen here where the total is known, else what the server says."""
    if row["phase"] != "backfill":
        return "–"
    expected = row["expected"]
    seconds = (expected - _count(row)) / rate if expected and rate and expected > _count(row) else row["eta_seconds"]
    if seconds is None:
        return "–"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
