"""What Salesforce answered to others (restforce, spec/fixtures, MIT) is read as it is meant."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from headrace.http import Request, Response
from headrace.providers.kit import EVERYTHING, Context, Delete, Record, Window
from headrace.providers.kit.checks import drive, walk
from headrace.providers.salesforce import SALESFORCE, access
from headrace.providers.salesforce.describe import Shape, discover, schema
from headrace.providers.salesforce.objects import SObject
from headrace.vault.grants import App, GrantRefused

RECORDED = Path(__file__).parents[3] / "shared" / "evidence" / "recorded" / "salesforce"
NOW = datetime(2026, 11, 23, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded answers are not there")


def recorded(case: str, status: int = 200) -> Response:
    told = orjson.loads((RECORDED / f"restforce__{case}.json").read_bytes())
    return Response(status, orjson.dumps(told["exchanges"][0]["body"]), NOW, {"content-type": "application/json"})


def whizbang() -> Shape:
    return Shape.told(recorded("sobject_describe_success_response").json())


def test_a_describe_tells_the_fields_and_how_rows_are_asked_for() -> None:
    shape = whizbang()
    assert (shape.name, shape.updated, shape.created, shape.soft, shape.listed, shape.sorted_by_id) == (
        "Whizbang", "SystemModstamp", "CreatedDate", True, True, True,
    )  # fmt: skip
    assert ("Picklist_Multiselect_Field", "multipicklist") in shape.fields
    made = schema(recorded("sobject_describe_success_response").json())
    Draft202012Validator.check_schema(made)
    assert made["properties"]["Checkbox_Field"]["type"] == ["boolean", "null"]
    assert made["properties"]["OwnerId"]["x-upstream-metadata"]["referenceTo"] == ["Group", "User"]


def test_what_is_found_is_what_it_was_after_it_was_kept() -> None:
    shape = whizbang()
    assert Shape.found(orjson.loads(orjson.dumps(shape.upstream()))) == shape


def test_the_search_finds_what_the_org_lists() -> None:
    def respond(request: Request) -> Response:
        if request.url.endswith("/sobjects"):
            return recorded("list_sobjects_success_response")
        assert request.url.endswith("/sobjects/Account/describe")
        return recorded("sobject_describe_success_response")

    steps: Any = discover(Context({}, NOW), None)
    (found, after), _ = drive(steps, respond)  # type: ignore[misc]
    assert [each.upstream_id for each in found] == ["Whizbang"]
    assert after is None


def test_rows_of_a_query_become_records() -> None:
    shape = Shape("Whizbang", (("Id", "id"), ("Text_Label", "string")), updated=None, created=None)
    told = recorded("query_success_response").json()
    told["records"][0]["Id"] = "a01"
    answer = Response(200, orjson.dumps(told), NOW)
    (page,) = walk(SObject(shape).page, Context({}, NOW), EVERYTHING, lambda request: answer)
    (record,) = page.items
    assert isinstance(record, Record)
    assert orjson.loads(record.raw) == told["records"][0]


def test_an_empty_answer_is_an_empty_page() -> None:
    (page,) = walk(SObject(whizbang()).page, Context({}, NOW), EVERYTHING, lambda _: recorded("query_empty_response"))
    assert page.items == []


def test_deletions_are_read() -> None:
    now = datetime(2013, 5, 8, 21, 20, tzinfo=UTC)
    window = Window(datetime(2013, 5, 4, tzinfo=UTC), now)
    steps = SObject(whizbang()).deleted(Context({}, now), window, None)
    (item,) = drive(steps, lambda _: recorded("get_deleted_success_response"))[0].items
    assert isinstance(item, Delete)
    assert (item.id, item.as_of) == ("a00D0000008pQRAIA2", datetime(2013, 5, 7, 22, 7, 19, tzinfo=UTC))


@pytest.mark.parametrize(
    ("case", "status", "kind"),
    [
        ("expired_session_response", 401, "auth"),
        ("query_error_response", 400, "bad"),
        ("sobject_describe_error_response", 404, "gone"),
        ("sobject_find_error_response", 404, "gone"),
        ("write_error_response", 400, "bad"),
    ],
)
def test_errors_are_told_by_what_one_does_about_them(case: str, status: int, kind: str) -> None:
    fault = access.fault(recorded(case, status))
    assert fault is not None
    assert fault.kind == kind


def test_a_dead_grant_is_told() -> None:
    (kind,) = SALESFORCE.kinds
    assert kind.grant is not None
    held = {"instance_url": "https://na1.salesforce.com", "refresh_token": "5Aep"}
    steps = kind.grant.mint(held, App("client", "secret"), NOW)
    with pytest.raises(GrantRefused, match="expired access/refresh token"):
        drive(steps, lambda _: recorded("refresh_error_response", 400))  # type: ignore[arg-type]
