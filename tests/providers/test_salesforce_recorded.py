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
    told: Any = drive(steps, respond)[0]
    found, after = told
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
        ("delete_error_response", 404, "gone"),
        ("upsert_error_response", 404, "gone"),
        ("search_error_response", 400, "bad"),
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


@pytest.mark.parametrize("case", ["auth_success_response", "refresh_success_response", "reauth_success_response"])
def test_a_token_is_made_whose_life_is_not_told(case: str) -> None:
    (kind,) = SALESFORCE.kinds
    assert kind.grant is not None
    held = {"instance_url": "https://old.my.salesforce.com", "refresh_token": "5Aep"}
    steps: Any = kind.grant.mint(held, App("client", "secret"), NOW)
    minted: Any = drive(steps, lambda _: recorded(case))[0]
    assert (minted.access_token, minted.learned) == ("redacted", {"instance_url": "https://na1.salesforce.com"})


def test_a_password_that_is_wrong_is_told() -> None:
    (kind,) = SALESFORCE.kinds
    assert kind.grant is not None
    steps: Any = kind.grant.mint(
        {"instance_url": "https://na1.salesforce.com", "refresh_token": "5"}, App("c", "s"), NOW
    )
    with pytest.raises(GrantRefused, match="Invalid Password"):
        drive(steps, lambda _: recorded("auth_error_response", 400))


def test_an_org_of_an_older_release_is_asked_by_its_own_version() -> None:
    """It serves none of ours, so its newest that is not newer than ours is learned."""
    (kind,) = SALESFORCE.kinds

    def respond(request: Request) -> Response:
        if request.url == "/services/data":
            return recorded("services_data_success_response")
        served = "/v20.0/" in request.url
        return recorded("org_query_response") if served else recorded("delete_error_response", 404)

    steps: Any = kind.verify({"instance_url": "https://na1.salesforce.com"}, NOW)
    account: Any = drive(steps, respond)[0]
    assert (account.id, account.learned) == ("00Dx0000000BV7z", {"api_version": "v20.0"})


FIRST, LAST = "query_paginated_first_page_response", "query_paginated_last_page_response"


def test_a_query_goes_on_at_its_locator() -> None:
    shape = Shape("Whizbang", (("Id", "id"), ("Text_Label", "string")), updated=None, created=None)

    def respond(request: Request) -> Response:
        rest = request.url == "/services/data/v26.0/query/01gD"
        told = recorded(LAST if rest else FIRST).json()
        told["records"][0]["Id"] = "a02" if rest else "a01"
        return Response(200, orjson.dumps(told), NOW)

    read = walk(SObject(shape).page, Context({}, NOW), EVERYTHING, respond)
    labels = [orjson.loads(item.raw)["Text_Label"] for page in read for item in page.items if isinstance(item, Record)]
    assert labels == ["First Page", "Last Page"]


@pytest.mark.parametrize("case", ["sobject_find_success_response", "sobject_select_success_response"])
def test_a_row_is_kept_as_it_is(case: str) -> None:
    row = recorded(case).json()
    shape = Shape("Whizbang", tuple((name, "string") for name in row if name != "attributes"), None, None)
    answer = Response(200, orjson.dumps({"done": True, "records": [row]}), NOW)
    (record,) = drive(SObject(shape).fetch(Context({}, NOW), row["Id"], None), lambda _: answer)[0].items
    assert isinstance(record, Record)
    assert (record.id, orjson.loads(record.raw)) == (row["Id"], row)


def test_the_objects_of_an_org_are_searched() -> None:
    asked: list[str] = []

    def respond(request: Request) -> Response:
        if request.url.endswith("/sobjects"):
            return recorded("describe_sobjects_success_response")
        asked.append(request.url.split("/")[-2])
        return recorded("sobject_describe_success_response")

    steps: Any = discover(Context({}, NOW), None)
    drive(steps, respond)
    assert asked[0] == "Account"
