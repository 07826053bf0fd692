"""What the portal holds, in the connector's words: the truth that laws compare copies with."""

from collections.abc import Iterator

import orjson

from headrace.providers.hubspot.associations import PAIRS
from headrace.providers.hubspot.portal import STANDARD
from headrace.testing.hubspot.portal import Portal

_PATHS = {kind.name: kind.path for kind in STANDARD}
_LISTED = {
    "campaign": ("campaigns", "id"),
    "conversation_channel": ("channels", "id"),
    "conversation_channel_account": ("channel_accounts", "id"),
    "conversation_inbox": ("inboxes", "id"),
    "conversation_thread": ("threads", "id"),
    "email_event": ("email_events", "id"),
    "form": ("forms", "id"),
    "list": ("lists", "listId"),
    "marketing_email": ("marketing_emails", "id"),
    "owner": ("owners", "id"),
    "user": ("users", "id"),
    "workflow": ("workflows", "id"),
}


class Truth:
    """Called with a collection id of the connector: (id, raw JSON) of everything that is there."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def __call__(self, collection_id: str) -> Iterator[tuple[str, bytes]]:
        name = collection_id.removeprefix("hubspot:")
        portal = self._portal
        if name in _LISTED:
            where, key = _LISTED[name]
            yield from ((each[key], orjson.dumps(each)) for each in portal.others[where])
        elif name == "list_member":
            for list_id, members in portal.members.items():
                yield from ((f"{list_id}/{each['recordId']}", orjson.dumps(each)) for each in members)
        elif name == "form_submission":
            for form, rows in portal.submissions.items():
                yield from ((f"{form}/{each['conversionId']}", orjson.dumps(each)) for each in rows)
        elif name == "conversation_message":
            yield from ((each["id"], orjson.dumps(each)) for rows in portal.messages.values() for each in rows)
        elif name == "pipeline":
            for kind in ("deals", "tickets"):
                yield from ((f"{kind}/{each['id']}", orjson.dumps(each)) for each in portal.others[f"pipelines/{kind}"])
        elif name.endswith("_association"):
            yield from self._associations(name.removesuffix("_association"))
        else:
            path = _PATHS.get(name, name)
            names = portal.kinds[path].properties
            for thing in list(portal.alive(path)):
                yield str(thing.id), orjson.dumps(portal.rendered(path, thing, names))

    def _associations(self, name: str) -> Iterator[tuple[str, bytes]]:
        kind = _PATHS[name]
        for thing in list(self._portal.alive(kind)):
            for other in PAIRS[name]:
                for end, told in self._portal.associations.get((kind, thing.id, other), {}).items():
                    ends = {"fromObjectType": kind, "fromObjectId": str(thing.id), "toObjectType": other}
                    row = {**ends, "toObjectId": end, "associationTypes": told}
                    yield f"{thing.id}/{other}/{end}", orjson.dumps(row)
