"""The JSON Schemas of Linear's objects, packaged as JSON (`schemas/`), made by scripts/linear_schemas.py; they also say
what is asked for."""

from collections.abc import Callable, Mapping
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
    """The fields of an object as a GraphQL selection: scalars by name, and of what it refers to the id."""
    fields = [pair for pair in read(name)["properties"].items() if pair[0] not in without]
    return " ".join(f"{field}{{id}}" if "properties" in schema else field for field, schema in fields)


@cache
def points(name: str) -> float:
    """What one object costs of the complexity that Linear counts: a tenth for each property, one for each object
    (https://linear.app/developers/rate-limiting)."""
    schemas = read(name)["properties"].values()
    return 1 + sum(1.1 if "properties" in schema else 0.1 for schema in schemas)
