"""docs/providers/linear.md says of each collection what the connector does."""

from pathlib import Path

from headrace.providers.linear.types import TYPES, Type

PAGE = (Path(__file__).parents[2] / "docs" / "providers" / "linear.md").read_text()


def row(listed: Type) -> str:
    unfiltered = "in one answer, each time" if listed.whole else "newest first, to the last one read"
    changes = "`updatedAt` filter" if listed.filtered else unfiltered
    deletes = "never" if listed.kept else "trash at once, purge when compared" if listed.trashed else "when compared"
    compared = "1 d" if listed.trashed or listed.kept else "6 h"
    volatile = ", ".join(f"`{field}`" for field in listed.volatile)
    cells = [f"`{listed.collection}`", f"`{listed.field}`", changes, deletes, compared, volatile]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def test_the_table_is_what_the_connector_does() -> None:
    shown = [line for line in PAGE.splitlines() if line.startswith("| `linear:")]
    assert shown == [row(listed) for listed in TYPES]
