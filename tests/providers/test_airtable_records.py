"""How Airtable is asked for records, and what its answers become: windows, ids, refusals, schemas, limits."""

from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from headrace.engine.sources import TimeSource, sources_of
from headrace.http import Request, Response
from headrace.providers.airtable import AIRTABLE, access
from headrace.providers.airtable.account import DISCOVERY
from headrace.providers.airtable.schema import schema, volatile
from headrace.providers.airtable.tables import Table
from headrace.providers.kit import EVERYTHING, Context, Delete, Faulted, Found, Mention, Record, Window
from headrace.providers.kit.checks import drive, walk
from headrace.testing.airtable.formulas import InvalidFormula, compiled, holds

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CTX = Context({}, NOW, frozenset({"airtable:t"}))
TABLE = Table("airtable:t", "app1", "tbl1")
FORBIDDEN = {"error": {"type": "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", "message": "no"}}


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    return Response(status, orjson.dumps(body), NOW, headers)


def row(key: str, **fields: Any) -> dict[str, Any]:
    return {"id": key, "createdTime": "2026-01-01T00:00:00.000Z", "fields": fields}


def run(steps: Generator[Request, Response, Any], respond: Callable[[Request], Response]) -> tuple[Any, list[Request]]:
    """What the steps return, and what they asked for."""
    asked: list[Request] = []
    try:
        request = next(steps)
        while True:
            asked.append(request)
            request = steps.send(respond(request))
    except StopIteration as stop:
        return stop.value, asked


def formula(request: Request) -> str:
    return dict(request.query).get("filterByFormula", "")


def test_a_list_is_read_by_field_ids_until_no_offset_comes() -> None:
    def respond(request: Request) -> Response:
        asked = dict(request.query)
        assert (request.url, request.limit_class) == ("/v0/app1/tbl1", "app1")
        assert (asked["returnFieldsByFieldId"], asked["pageSize"]) == ("true", "100")
        if "offset" not in asked:
            return answer({"records": [row("rec1", fld1="a")], "offset": "itr1/rec2"})
        assert asked["offset"] == "itr1/rec2"
        return answer({"records": [row("rec2")]})

    read = [item for page in walk(TABLE.listing, CTX, EVERYTHING, respond) for item in page.items]
    assert [(item.id, item.created) for item in read if isinstance(item, Record)] == [
        ("rec1", datetime(2026, 1, 1, tzinfo=UTC)), ("rec2", datetime(2026, 1, 1, tzinfo=UTC)),
    ]  # fmt: skip


def test_a_window_takes_its_begin_and_leaves_its_end() -> None:
    """What the formula says of a record that was changed at a moment, or never and was born then."""
    asked: list[str] = []

    def respond(request: Request) -> Response:
        asked.append(formula(request))
        return answer({"records": []})

    walk(TABLE.changed, CTX, Window(NOW, NOW + timedelta(seconds=10)), respond)
    test = compiled(asked[0])

    def taken(changed: datetime | None, born: datetime) -> bool:
        times = {"LAST_MODIFIED_TIME()": changed and changed.isoformat(), "CREATED_TIME()": born.isoformat()}
        return holds(test(times.__getitem__))

    grain, end = timedelta(milliseconds=1), timedelta(seconds=10)
    for at, within in ((-grain, False), (timedelta(0), True), (end - grain, True), (end, False)):
        assert taken(NOW + at, NOW - timedelta(days=1)) is within
        assert taken(None, NOW + at) is within
    assert walk(TABLE.changed, CTX, Window(NOW, None), respond)
    assert holds(compiled(asked[-1])({"LAST_MODIFIED_TIME()": "2027-01-01T00:00:00Z"}.__getitem__))
    walk(TABLE.changed, CTX, EVERYTHING, respond)
    assert asked[-1] == ""


def test_a_filter_that_is_not_understood_is_a_bad_request_and_a_list_that_died_begins_anew() -> None:
    def kind(type_: str) -> str:
        found = access.fault(answer({"error": {"type": type_, "message": "no"}}, 422))
        assert found is not None
        return found.kind

    assert kind("INVALID_FILTER_BY_FORMULA") == "bad"
    assert kind("LIST_RECORDS_ITERATOR_NOT_AVAILABLE") == kind("INVALID_OFFSET_VALUE") == "restart"
    assert kind("UNKNOWN_FIELD_NAME") == "config"


# By id.


def listing(*rows: dict[str, Any], one: Response | None = None) -> Any:
    """Answers a list with these rows, and a single record with `one`."""

    def respond(request: Request) -> Response:
        if request.url == "/v0/app1/tbl1":
            return answer({"records": [*rows]})
        assert one is not None
        return one

    return respond


@pytest.mark.parametrize("status", [403, 404])
def test_a_record_that_its_table_does_not_hold_is_gone(status: int) -> None:
    page, asked = drive(TABLE.fetch(CTX, "rec7", None), listing(one=answer(FORBIDDEN, status)))
    assert page.items == [Delete("airtable:t", "rec7", NOW)]
    assert formula(asked[1]) == "RECORD_ID()='rec7'"


def test_a_record_that_may_not_be_read_is_not_gone() -> None:
    with pytest.raises(Faulted) as told:
        drive(TABLE.fetch(CTX, "rec7", None), lambda request: answer(FORBIDDEN, 403))
    assert told.value.fault.kind == "permission"
    with pytest.raises(Faulted) as told:  # a server that filters nothing proves nothing
        drive(TABLE.fetch(CTX, "rec7", None), listing(row("rec1"), one=answer(FORBIDDEN, 403)))
    assert told.value.fault.kind == "permission"


def test_records_are_read_by_id_a_hundred_at_once() -> None:
    keys = [f"rec{number}" for number in range(230)]

    def respond(request: Request) -> Response:
        return answer({"records": [row(key) for key in keys if f"'{key}'" in formula(request)]})

    items, asked = run(TABLE.read(keys), respond)
    assert [item.id for item in items] == keys
    assert len(asked) == 3
    assert max(len(formula(each)) for each in asked) < 4_000


@pytest.mark.parametrize(
    ("rows", "one", "kind"),
    [
        ([row("rec1")], answer(FORBIDDEN, 403), Delete),
        ([row("rec1")], answer(row("rec2")), Mention),
        ([row("rec1"), row("rec9")], None, Mention),
    ],
    ids=["gone", "a list that left it out", "a list that filters nothing"],
)
def test_what_a_list_by_ids_lacks_is_asked_for(rows: list[dict[str, Any]], one: Response | None, kind: type) -> None:
    def respond(request: Request) -> Response:
        single = formula(request) == "RECORD_ID()='rec2'"
        return answer({"records": []}) if single else listing(*rows, one=one)(request)

    items, _ = run(TABLE.read(["rec1", "rec2"]), respond)
    assert [(type(item), item.id) for item in items] == [(Record, "rec1"), (kind, "rec2")]


# What an account has.


def described(key: str, name: str, type_: str, result: str = "") -> dict[str, Any]:
    options = {"options": {"result": {"type": result}}} if result else {}
    return {"id": key, "name": name, "type": type_, **options}


FIELDS = [
    described("fld1", "Name", "singleLineText"),
    described("fld2", "Files", "multipleAttachments"),
    described("fld3", "Twice", "formula", "number"),
    described("fld4", "Theirs", "multipleLookupValues", "multipleAttachments"),
    described("fld5", "Of tomorrow", "hologram"),
]


def account(webhooks: Response, level: str = "create") -> list[Found]:
    """What is found in an account with one base and one table."""
    table = {"id": "tbl1", "name": "Orders", "primaryFieldId": "fld1", "fields": FIELDS}
    answers = {
        "/v0/meta/bases": answer({"bases": [{"id": "app1", "name": "Mill", "permissionLevel": level}]}),
        "/v0/meta/bases/app1/tables": answer({"tables": [table]}),
        "/v0/meta/bases/app1": answer(FORBIDDEN, 403),
        "/v0/bases/app1/webhooks": webhooks,
    }
    found: list[Found] = run(DISCOVERY.page(CTX, None), lambda request: answers[request.url])[0][0]
    return found


def test_the_schema_has_the_fields_by_id_with_their_names() -> None:
    made = schema({"id": "tbl1", "name": "Orders", "fields": FIELDS})
    Draft202012Validator.check_schema(made)
    fields = made["properties"]["fields"]["properties"]
    assert {key: each["title"] for key, each in fields.items()}["fld3"] == "Twice"
    Draft202012Validator(made).validate(row("rec1", fld1="a", fld3={"error": "#ERROR!"}, fld5=[1]))
    assert not Draft202012Validator(made).is_valid(row("rec1", fld1=7))


def test_addresses_of_attachments_count_for_nothing() -> None:
    paths = volatile(FIELDS)
    assert {path.split(".")[1] for path in paths} == {"fld2", "fld4"}
    thumbnails = {f"thumbnails.{size}.url" for size in ("small", "large", "full")}
    assert {path.split(".", 2)[2] for path in paths} == {"url", *thumbnails}


def test_a_table_is_read_by_the_log_where_a_webhook_can_be_had() -> None:
    found, comments = account(answer({"webhooks": []}))
    made = DISCOVERY.collection("airtable:t", found)
    assert (found.scope, found.upstream_id, found.collection_id) == ("app1", "tbl1", None)
    assert (made.changes, made.deletes, made.notice) == ((), "feed", "")
    (feed,) = DISCOVERY.feeds({"airtable:t": found, "airtable:c": comments})
    assert (feed.name, [*feed.covers]) == ("app1", ["airtable:t"])


@pytest.mark.parametrize(
    ("webhooks", "level", "words"),
    [
        (answer(FORBIDDEN, 403), "create", "webhook:manage"),
        (answer({"error": "NOT_IMPLEMENTED"}, 501), "create", "webhook:manage"),
        (answer({"webhooks": []}), "read", "Creator"),
        (answer({"webhooks": [{"id": str(n), "isHookEnabled": False} for n in range(10)]}), "create", "as many"),
    ],
    ids=["no scope", "no such thing", "no permission", "too many"],
)
def test_a_table_is_read_by_time_of_change_where_none_can_and_health_says_why(
    webhooks: Response, level: str, words: str
) -> None:
    found, _ = account(webhooks, level)
    made = DISCOVERY.collection("airtable:t", found)
    assert (len(made.changes), made.deletes) == (1, "sweep")
    assert words in made.notice
    assert DISCOVERY.feeds({"airtable:t": found}) == ()
    (source,) = sources_of(AIRTABLE.of_account({"airtable:t": found}), ["airtable:t"])
    assert isinstance(source, TimeSource)
    assert source.least == timedelta(seconds=15)  # of three requests a second, a backfill needs most


def test_comments_are_left_out_where_the_scopes_are_known_and_lack_theirs() -> None:
    def respond(request: Request) -> Response:
        return answer({"tables": [{"id": "tbl1"}]} if request.url.endswith("/tables") else {"webhooks": []})

    def found(scope: str) -> list[str]:
        place = {"left": [["app1", "Mill", "read"]], "offset": None}
        page, _ = run(DISCOVERY.page(Context({"scope": scope}, NOW), place), respond)
        return [each.upstream_id for each in page[0]]

    assert found("data.records:read") == ["tbl1"]
    assert found("data.records:read data.recordComments:read") == ["tbl1", "tbl1/comments"]


# Limits.


def test_after_too_many_requests_a_base_is_left_alone_for_half_a_minute() -> None:
    told = AIRTABLE.limits.too_many(answer({"errors": [{"error": "RATE_LIMIT_REACHED", "message": "x"}]}, 429))
    assert told is not None
    assert (told.retry_after_s, told.limit_class) == (30, None)


@pytest.mark.parametrize("status", [402, 403, 429])
@pytest.mark.parametrize(
    "said",
    [
        {"errors": [{"error": "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "message": "used up"}]},
        {"error": {"type": "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "message": "used up"}},
        {"error": "PUBLIC_API_BILLING_LIMIT_EXCEEDED"},
    ],
)
def test_a_month_that_is_used_up_is_no_matter_of_seconds(said: dict[str, Any], status: int) -> None:
    """Airtable does not document where the name stands; clients of others show it in these places."""
    refused = answer(said, status)
    told, fault = AIRTABLE.limits.too_many(refused), access.fault(refused)
    assert told is not None
    assert fault is not None
    assert (told.retry_after_s, fault.kind) == (3600, "quota")


# The server's own formulas.


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("AND({Name}='a',1)", True),
        ("OR({Name}='b',{Amount}>6)", True),
        ("NOT({Name})", False),
        ("IF({Nothing},'x',{Amount})", 7),
        ('{Name}="a"', True),
        ("IS_AFTER({Nothing},'2026-01-01')", {"error": "#ERROR!"}),
    ],
)
def test_the_server_understands_formulas(text: str, value: Any) -> None:
    assert compiled(text)({"Name": "a", "Amount": 7, "Nothing": None}.__getitem__) == value


@pytest.mark.parametrize("text", ["AND(", "NOSUCH()", "1 2", "'open", ")"])
def test_the_server_refuses_what_is_no_formula(text: str) -> None:
    with pytest.raises(InvalidFormula):
        compiled(text)
