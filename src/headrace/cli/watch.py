"""`headrace syncs watch`: a sync's progress, live."""

import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from headrace.cli.connection import connected, id_of
from headrace.cli.output import json_line, text

_RATE_OVER_S = 15.0


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
                    live.update(_drawn(state, rated), refresh=True)
                else:
                    json_line({"sync": state, "collections": rows})
                if until_complete and state["initial_backfill_completed_at"]:
                    return
                time.sleep(every)


def _count(row: Mapping[str, Any]) -> int:
    """What grows: the records read while everything is read, which may be held already, and then those held."""
    return int(row["records_read"] if row["phase"] == "backfill" else row["records"])


def _drawn(sync: Mapping[str, Any], rated: Iterable[tuple[Mapping[str, Any], float]]) -> RenderableType:
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
    health = sync["health"]
    title = f"[bold]{escape(sync['name'])}[/bold]  {sync['status']}, {health['status']}"
    notes = [escape(text(note)) for note in health["notes"]]
    return Group(title, drawn, *notes)


def _left(row: Mapping[str, Any], rate: float) -> str:
    """How long the backfill will take: by the rate seen here where the total is known, else what the server says."""
    if row["phase"] != "backfill":
        return "–"
    expected = row["expected"]
    seconds = (expected - _count(row)) / rate if expected and rate and expected > _count(row) else row["eta_seconds"]
    if seconds is None:
        return "–"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
