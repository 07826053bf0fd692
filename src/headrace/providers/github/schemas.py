"""The JSON Schemas of GitHub's objects, packaged as JSON (`schemas/`), made by scripts/github_schemas.py."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import orjson


def schema_of(name: str) -> Callable[[], Mapping[str, Any]]:
    """The schema of the objects of this name, read when it is first asked for."""

    @cache
    def schema() -> Mapping[str, Any]:
        file = files(__package__) / "schemas" / f"{name}.json"
        found: Mapping[str, Any] = orjson.loads(file.read_bytes())
        return found

    return schema
