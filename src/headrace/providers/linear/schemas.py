"""The JSON Schemas of Linear's objects, packaged as JSON (`schemas/`), made by scripts/linear_schemas.py; they also say
what is asked for."""

from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import orjson


@cache
def read(name: str) -> Mapping[str, Any]:
    file = files(__package__) / "schemas" / f"{name}.json"
    found: Mapping[str, Any] = orjson.loads(file.read_bytes())
    return found


def schema_of(name: str) -> Callable[[], Mapping[str, Any]]:
    """The schema of the objects of this name, read when it is first asked for."""
    return lambda: read(name)


@cache
def selection(name: str, without: frozenset[str] = frozenset()) -> str:
    """The fields of an object as a GraphQL selection, but those of the names `without`: scalars by name, of what it
    refers to the id, and values of several fields in full."""
    return _fields(read(name), without)


def _fields(schema: Mapping[str, Any], without: Collection[str]) -> str:
    fields = ((name, _within(inside, without)) for name, inside in schema["properties"].items() if name not in without)
    return " ".join(f"{name}{inside}" for name, inside in fields if inside != "{}")


def _within(schema: Mapping[str, Any], without: Collection[str]) -> str:
    """What is asked for within a field: nothing of a scalar; of a union what each of its types has."""
    inside = schema.get("items", schema)
    if "anyOf" in inside:
        parts = ((part["title"], _fields(part, without)) for part in inside["anyOf"])
        return f"{{{' '.join(f'... on {kind}{{{fields}}}' for kind, fields in parts if fields)}}}"
    return f"{{{_fields(inside, without)}}}" if "properties" in inside else ""


@cache
def points(name: str) -> float:
    """What one object costs of the complexity that Linear counts: a tenth for each property, one for each object
    (https://linear.app/developers/rate-limiting)."""
    return _points(read(name))


def _points(schema: Mapping[str, Any]) -> float:
    total = 1.0
    for each in schema["properties"].values():
        inside = each.get("items", each)
        parts = inside.get("anyOf", [inside] if "properties" in inside else [])
        total += 0.1 + sum(map(_points, parts))
    return total
