"""The JSON Schemas of what describes an account: those of records and comments are made for each table (`schema.py`,
`comments.py`).

Sources: https://airtable.com/developers/web/api (list bases, get base schema, get base collaborators, list webhooks,
get user id and scopes, audit log events).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

Json = dict[str, Any]
TEXT: Json = {"type": "string"}
MAYBE_TEXT: Json = {"type": ["string", "null"]}
TIME: Json = {"type": "string", "format": "date-time"}
MAYBE_TIME: Json = {"type": ["string", "null"], "format": "date-time"}
BOOLEAN: Json = {"type": "boolean"}
OBJECT: Json = {"type": "object"}
MAYBE_OBJECT: Json = {"type": ["object", "null"]}
OBJECTS: Json = {"type": "array", "items": OBJECT}
KEY: Json = {"type": "string", "x-primary-key": True}
LEVEL: Json = {"type": "string", "examples": ["none", "read", "comment", "edit", "create", "owner"]}


def shape(*required: str, **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(required)}


_SHAPES: Mapping[str, Json] = {
    "audit_event": shape(
        "id", "timestamp", "action",
        id=KEY,
        timestamp=TIME,
        action=TEXT,
        actor=OBJECT,
        modelId=TEXT,
        modelType=TEXT,
        payload=OBJECT,
        payloadVersion=TEXT,
        context=OBJECT,
        origin=OBJECT,
    ),
    "base": shape("id", "name", id=KEY, name=TEXT, permissionLevel=LEVEL),
    "collaborator": shape(
        "permissionLevel",
        userId={**KEY, "description": "Of a person."},
        groupId={**KEY, "description": "Of a group."},
        email={**TEXT, "description": "Of a person."},
        name={**TEXT, "description": "Of a group."},
        permissionLevel=LEVEL,
        createdTime=TIME,
        grantedByUserId=TEXT,
    ),
    "table": shape(
        "id", "name", id=KEY, name=TEXT, description=MAYBE_TEXT, primaryFieldId=TEXT, fields=OBJECTS, views=OBJECTS
    ),
    "user": shape("id", id=KEY, email=TEXT, scopes={"type": "array", "items": TEXT}),
    "webhook": shape(
        "id",
        id=KEY,
        areNotificationsEnabled=BOOLEAN,
        cursorForNextPayload={"type": "integer"},
        expirationTime=MAYBE_TIME,
        isHookEnabled=BOOLEAN,
        lastNotificationResult=MAYBE_OBJECT,
        lastSuccessfulNotificationTime=MAYBE_TIME,
        notificationUrl=MAYBE_TEXT,
        specification=OBJECT,
    ),
}  # fmt: skip


def schema_of(name: str) -> Callable[[], Mapping[str, Any]]:
    """The schema of a fixed collection's records."""
    return partial(dict, _SHAPES[name])
