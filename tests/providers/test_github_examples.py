"""GitHub's own examples of its lists are read, each by the collection that is read there.

The examples are those of GitHub's OpenAPI description, taken out by scripts/github_examples.py.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from headrace.http import Request, Response
from headrace.providers.github import GITHUB
from headrace.providers.github.account import ORGANIZATIONS
from headrace.providers.kit import EVERYTHING, Collection, Context, Record
from headrace.providers.kit.checks import drive

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SHOWN: dict[str, dict[str, Any]] = orjson.loads(Path(__file__).with_name("github_examples.json").read_bytes())[
    "examples"
]
ONE_OBJECT = ("project", "project_item")
"""The schema of these lists is an array, and what GitHub gives as their example a single object."""
UNLIKE = {"dependabot_alert": {("security_advisory", "epss", "percentile")}}
"""A field that the schema has as a number, and the example as a text."""
OF_ORGANIZATIONS = {each.id for each in GITHUB.collections if each.partitions is ORGANIZATIONS}


def rows_of(name: str) -> list[Any]:
    """The rows of an example, wherever they are in it."""
    value = SHOWN[name]["value"]
    if isinstance(value, list):
        return value
    if "total_count" in value:
        (rows,) = [inside for inside in value.values() if isinstance(inside, list)]
        return list(rows)
    return [value]


def respond(request: Request) -> Response:
    """The example of what is asked for; the parents of what is read below them are examples as well."""
    for name, shown in SHOWN.items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", shown["path"]), request.url):
            value = [shown["value"]] if name in ONE_OBJECT else shown["value"]
            return Response(200, orjson.dumps(value), NOW, url=f"https://api.github.com{request.url}")
    return Response(404, b'{"message": "Not Found"}', NOW)


def read(collection: Collection) -> list[Record]:
    partition = "9/github" if collection.id in OF_ORGANIZATIONS else "7/octocat/Hello-World"
    assert collection.listing is not None
    context = Context({"installation_id": 1}, NOW, frozenset(GITHUB.reads([collection.id])), partition)
    page, _ = drive(collection.listing.page(context, EVERYTHING, None), respond)
    return [item for item in page.items if isinstance(item, Record)]


@pytest.mark.parametrize("collection", GITHUB.collections, ids=lambda each: each.id.partition(":")[2])
def test_the_example_is_read_whole_and_fits_the_schema(collection: Collection) -> None:
    name = collection.id.partition(":")[2]
    records = read(collection)
    rows = [orjson.dumps(row) for row in rows_of(name)]
    assert {record.raw for record in records} == set(rows)
    assert len({record.id for record in records}) == len(records)
    schema = jsonschema.Draft202012Validator(dict(collection.schema()))
    wrong = {tuple(error.absolute_path) for row in rows_of(name) for error in schema.iter_errors(row)}
    assert wrong == UNLIKE.get(name, set())


def test_every_collection_has_an_example() -> None:
    assert {f"github:{name}" for name in SHOWN} == {each.id for each in GITHUB.collections}
