"""docs/providers/salesforce.md says what the connector does; docs/testing.md names what its server can."""

from datetime import timedelta
from pathlib import Path

from headrace.engine.sweep import cadence
from headrace.providers.kit import Collection
from headrace.providers.salesforce import SALESFORCE
from headrace.providers.salesforce.access import VERSION
from headrace.providers.salesforce.describe import STANDARD, collection_id
from headrace.testing.salesforce import SalesforceServer

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "providers" / "salesforce.md").read_text()
OBJECTS = {collection_id(name): name for name in STANDARD}


def row(collection: Collection) -> str:
    stamps = {"updated": "`SystemModstamp`", "created": "`CreatedDate`"}
    changes = [stamps[each.field] for each in collection.changes] or ["again when its file changed"]
    found = {"flag": "bin", "list": "list", "parent": "with its file", "sweep": "compared"}[collection.deletes]
    deletes = f"{found}, list" if collection.deletes == "flag" and collection.deleted else found
    hours = cadence(collection) // timedelta(hours=1)
    compared = f"{hours // 24} d" if hours % 24 == 0 else f"{hours} h"
    return f"| `{collection.id}` | {OBJECTS[collection.id]} | {changes[0]} | {deletes} | {compared} |"


def test_the_table_is_what_the_connector_does() -> None:
    shown = [line for line in PAGE.splitlines() if line.startswith("| `salesforce:")]
    assert shown == [row(collection) for collection in SALESFORCE.collections]


def test_the_page_names_the_pinned_version() -> None:
    assert f"**{VERSION}**" in PAGE


def test_every_fault_and_control_of_the_server_is_told() -> None:
    server, text = SalesforceServer(10), (DOCS / "testing.md").read_text()
    assert [kind for kind in sorted(server.faults.kinds) if f"`{kind}`" not in text] == []
    assert [name for _, name in server.control.routes if f"/{name}" not in text] == []
