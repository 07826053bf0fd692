"""docs/providers/github.md says of each collection what the connector does."""

from datetime import timedelta
from pathlib import Path

from headrace.providers.github import GITHUB
from headrace.providers.github.access import VERSION
from headrace.providers.github.account import ORGANIZATIONS
from headrace.providers.kit import Collection

PAGE = (Path(__file__).parents[2] / "docs" / "providers" / "github.md").read_text()


def span(time: timedelta) -> str:
    minutes = int(time.total_seconds() // 60)
    if minutes % 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours // 24} d" if hours % 24 == 0 else f"{hours} h"


def changes(collection: Collection) -> str:
    found = ["ETag"] if GITHUB.feeds_of(collection.id) else []
    if collection.children is not None:
        found.append("when the parent changed")
    for reading in collection.changes:
        if reading.lookback is None:
            found.append("by update")
        else:
            found.append(f"births; the last {span(reading.lookback)} every {span(reading.every)}")
    return ", ".join(found) or "full comparison"


def compared(collection: Collection) -> str:
    if collection.sweep_every is not None:
        return span(collection.sweep_every)
    return "6 h" if collection.deletes == "sweep" else "7 d"


def row(collection: Collection) -> str:
    deletes = {"feed": "at once", "parent": "with its parent", "sweep": "when compared"}[collection.deletes]
    per = "account" if collection.partitions is None else "repository"
    if collection.partitions is ORGANIZATIONS:
        per = "organisation"
    volatile = ", ".join(f"`{field}`" for field in collection.canon.volatile)
    cells = [f"`{collection.id}`", per, changes(collection), deletes, compared(collection), volatile]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def test_the_table_is_what_the_connector_does() -> None:
    shown = [line for line in PAGE.splitlines() if line.startswith("| `github:")]
    assert shown == [row(collection) for collection in GITHUB.collections]


def test_the_page_names_the_version() -> None:
    assert VERSION in PAGE
