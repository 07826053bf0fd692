"""docs/providers/hubspot.md says what the connector does; docs/testing.md names what its server can."""

from datetime import timedelta
from pathlib import Path

from headrace.engine.sweep import cadence
from headrace.providers.hubspot import HUBSPOT
from headrace.providers.hubspot.associations import PAIRS
from headrace.providers.hubspot.portal import STANDARD
from headrace.providers.kit import Collection
from headrace.testing.hubspot import HubspotServer

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "providers" / "hubspot.md").read_text()
PATHS = {kind.collection: f"`/crm/v3/objects/{kind.path}`" for kind in STANDARD}
PATHS |= {f"hubspot:{name}_association": f"to {', '.join(others)}" for name, others in PAIRS.items()}
PATHS |= {
    "hubspot:campaign": "`/marketing/v3/campaigns`",
    "hubspot:conversation_channel": "`/conversations/v3/conversations/channels`",
    "hubspot:conversation_channel_account": "`/conversations/v3/conversations/channel-accounts`",
    "hubspot:conversation_inbox": "`/conversations/v3/conversations/inboxes`",
    "hubspot:conversation_message": "`/conversations/v3/conversations/threads/{thread}/messages`",
    "hubspot:conversation_thread": "`/conversations/v3/conversations/threads`",
    "hubspot:email_event": "`/email/public/v1/events`",
    "hubspot:form": "`/marketing/v3/forms`",
    "hubspot:form_submission": "`/form-integrations/v1/submissions/forms/{form}`",
    "hubspot:list": "`/crm/v3/lists/search`",
    "hubspot:list_member": "`/crm/v3/lists/{list}/memberships`",
    "hubspot:marketing_email": "`/marketing/v3/emails`",
    "hubspot:owner": "`/crm/v3/owners`",
    "hubspot:pipeline": "`/crm/v3/pipelines/{type}`",
    "hubspot:property": "`/crm/v3/properties/{type}`",
    "hubspot:user": "`/settings/v3/users`",
    "hubspot:workflow": "`/automation/v4/flows`",
}


def changes(collection: Collection) -> str:
    if collection.children is not None:
        return "again when the object changed"
    if not collection.changes:
        return "full comparison"
    if collection.deleted is not None:
        return "search"
    return "what was born" if collection.changes[0].field == "created" else "what was updated"


def row(collection: Collection) -> str:
    deletes = {"list": "archive", "parent": "with the object", "sweep": "compared", "never": "kept"}[collection.deletes]
    hours = cadence(collection) // timedelta(hours=1)
    compared = f"{hours // 24} d" if hours % 24 == 0 else f"{hours} h"
    return f"| `{collection.id}` | {PATHS[collection.id]} | {changes(collection)} | {deletes} | {compared} |"


def test_the_table_is_what_the_connector_does() -> None:
    shown = [line for line in PAGE.splitlines() if line.startswith("| `hubspot:")]
    assert shown == [row(collection) for collection in HUBSPOT.collections]


def test_every_fault_of_the_server_is_told() -> None:
    text = (DOCS / "testing.md").read_text()
    assert [kind for kind in sorted(HubspotServer(13).faults.kinds) if f"`{kind}`" not in text] == []
