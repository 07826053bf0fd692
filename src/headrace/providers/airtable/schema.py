"""The JSON Schema of a table's records, from the description of its fields.

Source: https://airtable.com/developers/web/api/field-model (the cell formats of each type of field).
"""

from collections.abc import Iterable, Mapping
from typing import Any

Json = Mapping[str, Any]
ATTACHMENTS = "multipleAttachments"
_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_INTEGER = {"type": "integer"}
_OBJECT = {"type": "object"}
_TIME = {"type": "string", "format": "date-time"}
_TYPES: Mapping[str, Json] = {
    "aiText": _OBJECT,
    "autoNumber": _INTEGER,
    "barcode": _OBJECT,
    "button": _OBJECT,
    "checkbox": {"type": "boolean"},
    "count": _NUMBER,
    "createdBy": _OBJECT,
    "createdTime": _TIME,
    "currency": _NUMBER,
    "date": {"type": "string", "format": "date"},
    "dateTime": _TIME,
    "duration": _NUMBER,
    "email": _TEXT,
    "externalSyncSource": _TEXT,
    "lastModifiedBy": _OBJECT,
    "lastModifiedTime": _TIME,
    "manualSort": _TEXT,
    "multilineText": _TEXT,
    ATTACHMENTS: {"type": "array", "items": _OBJECT},
    "multipleCollaborators": {"type": "array", "items": _OBJECT},
    "multipleLookupValues": {"type": "array"},
    "multipleRecordLinks": {"type": "array", "items": _TEXT},
    "multipleSelects": {"type": "array", "items": _TEXT},
    "number": _NUMBER,
    "percent": _NUMBER,
    "phoneNumber": _TEXT,
    "rating": _INTEGER,
    "richText": _TEXT,
    "singleCollaborator": _OBJECT,
    "singleLineText": _TEXT,
    "singleSelect": _TEXT,
    "url": _TEXT,
}
"""Of a type that is not here, nothing is said."""
_COMPUTED = frozenset({"formula", "rollup"})
_LINKS = ("url", "thumbnails.small.url", "thumbnails.large.url", "thumbnails.full.url")


def schema(table: Json) -> dict[str, Any]:
    """The schema of a record. A field that is empty is absent, so none is required. What is shown to people is the
    name of each field (`title`); the record has its id."""
    fields = {str(field["id"]): _property(field) for field in table.get("fields") or ()}
    return {
        "type": "object",
        "title": str(table.get("name") or table["id"]),
        "properties": {
            "id": {"type": "string", "x-primary-key": True},
            "createdTime": _TIME,
            "fields": {"type": "object", "properties": fields},
        },
        "required": ["id", "createdTime", "fields"],
    }


def _property(field: Json) -> dict[str, Any]:
    told = {name: field[name] for name in ("type", "options") if field.get(name) is not None}
    return {
        **_typed(field),
        "title": str(field.get("name") or field["id"]),
        "description": str(field.get("description") or ""),
        "x-scope": "credential",
        "x-upstream-metadata": told,
    }


def _typed(field: Json) -> Json:
    """A formula has the type of its result, or is an object where it cannot be computed (`{"error": "#ERROR!"}`)."""
    if field.get("type") not in _COMPUTED:
        return _TYPES.get(str(field.get("type")), {})
    kind = _TYPES.get(_result(field), {}).get("type")
    return {"type": [kind, "object"]} if kind is not None and kind != "object" else {}


def _result(field: Json) -> str:
    """The type of what a computed field gives."""
    result = (field.get("options") or {}).get("result") or {}
    return str(result.get("type") or "")


def volatile(fields: Iterable[Json]) -> tuple[str, ...]:
    """The paths of what differs at every reading: the addresses of attachments are valid for two hours
    (https://airtable.com/developers/web/api/field-model, attachment)."""
    return tuple(
        f"fields.{field['id']}.{link}"
        for field in fields
        if ATTACHMENTS in (field.get("type"), _result(field))
        for link in _LINKS
    )
