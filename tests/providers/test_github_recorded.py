"""GitHub's connector on recorded answers of GitHub (octokit/fixtures, MIT), which stand beside the repository."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from headrace.http import Request, Response
from headrace.providers.github import GITHUB
from headrace.providers.github.account import repository_pages
from headrace.providers.github.collections import SHORT
from headrace.providers.kit import EVERYTHING, Collection, Context, Record
from headrace.providers.kit.checks import drive, walk

RECORDED = Path(__file__).parents[2].parent / "shared" / "evidence" / "recorded" / "github"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded answers are not there")


def exchanges(case: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((RECORDED / f"octokit-fixtures__{case}.json").read_text())["exchanges"]
    return found


def as_response(exchange: dict[str, Any]) -> Response:
    body = exchange["body"]
    raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
    headers = {name.lower(): value for name, value in exchange["headers"].items()}
    return Response(exchange["status"], raw, NOW, headers, "https://api.github.com" + exchange["path"])


def context(name: str) -> Context:
    return Context(
        {}, NOW, frozenset(GITHUB.reads(c.id for c in GITHUB.collections)), f"1000/octokit-fixture-org/{name}"
    )


def listing(name: str) -> Any:
    found = GITHUB.collection(f"github:{name}")
    assert found is not None
    assert found.listing is not None
    return found.listing.page


def test_the_pages_of_a_list_are_read_along_their_links() -> None:
    recorded = exchanges("paginate-issues")
    answers = {(each["path"], each["query"].get("page", "1")): as_response(each) for each in recorded}
    asked: list[Request] = []

    def respond(request: Request) -> Response:
        asked.append(request)
        return answers[request.url, dict(request.query).get("page", "1")]

    read = walk(listing("issue"), context("paginate-issues"), EVERYTHING, respond)
    rows = [row for each in recorded for row in each["body"]]
    items = [item for page in read for item in page.items]
    assert [item.id for item in items if isinstance(item, Record)] == [str(row["id"]) for row in rows]
    assert {item.raw for item in items if isinstance(item, Record)} == {orjson.dumps(row) for row in rows}
    assert {request.url for request in asked} == {
        "/repos/octokit-fixture-org/paginate-issues/issues",
        "/repositories/1000/issues",
    }


def test_labels_and_collaborators_are_read() -> None:
    labels = exchanges("labels")[0]
    page, _ = drive(listing("label")(context("labels"), EVERYTHING, None), lambda request: as_response(labels))
    assert [(item.id, item.parent) for item in page.items] == [(str(row["id"]), "1000") for row in labels["body"]]  # type: ignore[union-attr]
    people = exchanges("add-and-remove-repository-collaborator")[3]
    page, _ = drive(listing("collaborator")(context("x"), EVERYTHING, None), lambda request: as_response(people))
    assert [item.id for item in page.items] == [f"1000/{row['id']}" for row in people["body"]]  # type: ignore[union-attr]


def test_a_repository_keeps_its_id_through_a_rename() -> None:
    renamed = exchanges("rename-repository")
    seen = []
    for each in (renamed[0], renamed[2]):
        row = Response(200, orjson.dumps([each["body"]]), NOW)
        page, _ = drive(repository_pages(Context({}, NOW), EVERYTHING, None), lambda request, row=row: row)  # type: ignore[misc]
        seen += [item.id for item in page.items if isinstance(item, Record)]
    assert len(seen) == 2
    assert len(set(seen)) == 1


def test_refusals_are_told_apart() -> None:
    kinds = {
        each["status"]: fault.kind
        for path in RECORDED.glob("*.json")
        for each in json.loads(path.read_text())["exchanges"]
        if (fault := GITHUB.fault(as_response(each))) is not None and each["status"] >= 400
    }
    assert kinds == {404: "gone", 422: "bad"}


def test_no_recorded_success_is_taken_for_a_refusal() -> None:
    answers = [
        each
        for path in RECORDED.glob("*.json")
        for each in json.loads(path.read_text())["exchanges"]
        if each["status"] < 300 and "json" in each["headers"].get("content-type", "")
    ]
    assert answers
    assert [each["path"] for each in answers if GITHUB.fault(as_response(each)) is not None] == []


OBJECTS = {
    "issue": ("paginate-issues", 0),
    "label": ("labels", 0),
    "collaborator": ("add-and-remove-repository-collaborator", 3),
    "repository": ("get-repository", 0),
    "organization": ("get-organization", 0),
    "release": ("release-assets", 0),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_the_schema_accepts_the_recorded_object(name: str) -> None:
    case, number = OBJECTS[name]
    body = exchanges(case)[number]["body"]
    collection = GITHUB.collection(f"github:{name}")
    assert isinstance(collection, Collection)
    schema = dict(collection.schema())
    for shown in body if isinstance(body, list) else [body]:
        jsonschema.validate(shown, schema, cls=jsonschema.Draft202012Validator)
        # The object must be one of this collection: most of its fields are known to the schema.
        assert len(shown.keys() & schema["properties"].keys()) >= 0.9 * len(shown)


@pytest.mark.parametrize("collection", GITHUB.collections, ids=lambda each: each.name)
def test_each_schema_is_one_and_describes_its_fields(collection: Collection) -> None:
    schema = dict(collection.schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    for name, field in schema["properties"].items():
        assert field["title"]
        assert field["x-upstream-id"] == name
    assert SHORT
