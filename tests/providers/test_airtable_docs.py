"""docs/providers/airtable.md says what the connector does; docs/testing.md names what its server can."""

from datetime import timedelta
from pathlib import Path

from headrace.engine.sweep import cadence
from headrace.providers.airtable import AIRTABLE, access
from headrace.providers.airtable.account import DISCOVERY, OF_SOME
from headrace.providers.kit import Collection, Found
from headrace.testing.airtable import AirtableServer

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "providers" / "airtable.md").read_text()
UPSTREAM = {"base_id": "app1", "base_name": "Mill", "table_id": "tbl1", "volatile": []}


def own(upstream_id: str, no_webhook: str) -> Collection:
    found = Found("app1", upstream_id, "Mill: Orders", {}, {**UPSTREAM, "no_webhook": no_webhook})
    return DISCOVERY.collection("airtable:x", found)


NAMED = {
    "a table, with a log": (own("tbl1", ""), "/v0/{base}/{table}"),
    "a table, without": (own("tbl1", "it may not"), "/v0/{base}/{table}"),
    "comments on a table's records": (own("tbl1/comments", ""), "/v0/{base}/{table}/{record}/comments"),
    "`airtable:audit_event`": (
        OF_SOME["airtable:audit_event"],
        "/v0/meta/enterpriseAccounts/{id}/auditLogEvents",
    ),
    "`airtable:base`": (AIRTABLE.collection("airtable:base"), "/v0/meta/bases"),
    "`airtable:collaborator`": (OF_SOME["airtable:collaborator"], "/v0/meta/bases/{base}"),
    "`airtable:table`": (AIRTABLE.collection("airtable:table"), "/v0/meta/bases/{base}/tables"),
    "`airtable:user`": (AIRTABLE.collection("airtable:user"), "/v0/meta/whoami"),
    "`airtable:webhook`": (AIRTABLE.collection("airtable:webhook"), "/v0/bases/{base}/webhooks"),
}


def row(name: str, collection: Collection, path: str) -> str:
    changes = "by time of change" if collection.changes else "full comparison"
    changes = "by time" if collection.deletes == "never" else changes
    deletes = {"feed": "payloads of a webhook", "sweep": "compared", "never": "–"}[collection.deletes]
    hours = cadence(collection) // timedelta(hours=1)
    compared = f"{hours // 24} d" if hours % 24 == 0 else f"{hours} h"
    changes = deletes if collection.deletes == "feed" else changes
    return f"| {name} | `{path}` | {changes} | {deletes} | {compared} |"


def test_the_table_is_what_the_connector_does() -> None:
    begin = PAGE.index("| collection | list |")
    shown = PAGE[begin : PAGE.index("\n\n", begin)].splitlines()[2:]
    assert shown == [row(name, found, path) for name, (found, path) in NAMED.items() if found is not None]
    assert len(shown) == 3 + len(OF_SOME) + len(AIRTABLE.collections)


def test_every_scope_that_is_asked_for_is_told() -> None:
    assert [scope for scope in access.SCOPES.split() if f"| `{scope}` |" not in PAGE] == []


def test_every_fault_of_the_server_is_told() -> None:
    text = (DOCS / "testing.md").read_text()
    assert [kind for kind in sorted(AirtableServer(6).faults.kinds) if f"`{kind}`" not in text] == []
