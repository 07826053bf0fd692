"""The schema of a collection's records as it is shown: each property dressed with what the contract wants."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_UPSTREAM = "x-upstream-metadata"
_ANY = ["string", "number", "boolean", "object", "array", "null"]


def dressed(schema: Schema, scope: str, *, upstream_metadata: bool) -> dict[str, Any]:
    """The schema with `title`, `description`, `type`, `x-upstream-id` and `x-scope` on each property, where the
    connector left them out; `scope` is `provider` for fixed fields, `credential` for those of one account.

    `upstream_metadata` adds `x-upstream-metadata`: what the provider tells of the field, as the connector learned it,
    else the provider's published definition.
    """
    properties = {
        name: _property(name, found, scope, upstream_metadata=upstream_metadata)
        for name, found in schema.get("properties", {}).items()
    }
    return {"type": "object", **schema, "properties": properties}


def fields(schema: Schema) -> list[dict[str, Any]]:
    """The older flat form of a dressed schema's properties. A connector marks what identifies a record with
    `x-primary-key`; where it does not, that is `id`."""
    return [
        {
            "id": found["x-upstream-id"],
            "name": found["title"],
            "accessor": name,
            "type": _one_type(found["type"]),
            "primary_key": bool(found.get("x-primary-key", name == "id")),
        }
        for name, found in schema["properties"].items()
    ]


def _property(name: str, found: Schema, scope: str, *, upstream_metadata: bool) -> dict[str, Any]:
    shown = {key: value for key, value in found.items() if key != _UPSTREAM}
    if upstream_metadata:
        published = {key: value for key, value in shown.items() if not key.startswith("x-")}
        shown[_UPSTREAM] = found.get(_UPSTREAM, published)
    return {
        "title": name.replace("_", " ").strip().capitalize() or name,
        "description": "",
        "type": _types(found),
        "x-upstream-id": name,
        "x-scope": scope,
        **shown,
    }


def _types(found: Schema) -> str | list[str]:
    """The types of what is said by alternatives; of what says nothing, all."""
    types: list[str] = []
    for choice in (*found.get("anyOf", ()), *found.get("oneOf", ())):
        told = choice.get("type", _ANY)
        types += [told] if isinstance(told, str) else told
    distinct = list(dict.fromkeys(types)) or _ANY
    return distinct[0] if len(distinct) == 1 else distinct


def _one_type(types: str | list[str]) -> str:
    if isinstance(types, str):
        return types
    told = [each for each in types if each != "null"]
    return told[0] if len(told) == 1 else "any"
