"""docs/providers/stripe.md says of each collection what the connector does."""

from datetime import timedelta
from pathlib import Path

from headrace.providers.kit import Collection
from headrace.providers.stripe import STRIPE
from headrace.providers.stripe.access import VERSION
from headrace.providers.stripe.collections import LISTED, PER_PARENT

PAGE = (Path(__file__).parents[2] / "docs" / "providers" / "stripe.md").read_text()
PATHS = {entry.resource.collection: f"`{entry.resource.path}`" for entry in LISTED}
PATHS |= {
    child: f"in the {entry.resource.name.replace('_', ' ')}"
    for entry in LISTED
    for child in entry.resource.embedded.values()
}
PATHS |= {
    entry.child.collection: f"`{entry.child.path.format('{' + entry.child.parent.name + '}')}`" for entry in PER_PARENT
}
PATHS["stripe:setup_attempt"] += " by `setup_intent`"


def span(time: timedelta) -> str:
    hours = int(time.total_seconds() // 3600)
    return f"{hours // 24} d" if hours % 24 == 0 else f"{hours} h"


def changes(collection: Collection) -> str:
    found = []
    if STRIPE.feeds_of(collection.id):
        found.append("with its parent" if collection.embedded else "events")
    elif collection.children is not None:
        found.append("with its parent" if collection.embedded else "again when the parent changed")
    for reading in collection.changes:
        assert reading.lookback is not None
        found.append(f"the last {span(reading.lookback)} every {span(reading.every)}")
    return ", ".join(found) or "full comparison"


def deletes(collection: Collection) -> str:
    return {"feed": "event", "parent": "with its parent", "sweep": "sweep", "never": "kept"}[collection.deletes]


def row(collection: Collection) -> str:
    assert collection.sweep_every is not None
    volatile = ", ".join(f"`{field}`" for field in collection.canon.volatile)
    cells = [
        f"`{collection.id}`",
        PATHS[collection.id],
        changes(collection),
        deletes(collection),
        span(collection.sweep_every),
        volatile,
    ]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def test_the_table_is_what_the_connector_does() -> None:
    shown = [line for line in PAGE.splitlines() if line.startswith("| `stripe:")]
    assert shown == [row(collection) for collection in STRIPE.collections]


def test_the_page_names_the_pinned_version() -> None:
    assert VERSION in PAGE
