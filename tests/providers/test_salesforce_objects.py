"""How Salesforce's objects are asked for and what the answers become: keyset, portions, jobs, deletions."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.http import Request, Response
from headrace.providers.kit import EVERYTHING, Context, Delete, Faulted, Mention, Record, Window
from headrace.providers.kit.checks import drive, walk
from headrace.providers.salesforce import SALESFORCE, soql
from headrace.providers.salesforce.bulk import Bulk
from headrace.providers.salesforce.describe import Shape, collection_id
from headrace.providers.salesforce.objects import SObject
from headrace.testing.salesforce.soql import parse

NOW = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
CTX = Context({}, NOW)
SHAPE = Shape("Mill__c", (("Id", "id"), ("Name", "string"), ("SystemModstamp", "datetime")))


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return Response(status, raw, NOW, {"content-type": "application/json", **headers})


def rows(*found: dict[str, Any], **more: Any) -> Response:
    return answer({"totalSize": len(found), "done": True, "records": list(found), **more})


def asked(request: Request) -> str:
    return dict(request.query)["q"]


def row(key: str, stamp: str, **fields: Any) -> dict[str, Any]:
    return {"attributes": {"type": "Mill__c"}, "Id": key, "SystemModstamp": stamp, **fields}


# What is asked.


@given(st.text(max_size=30))
def test_a_text_in_a_query_is_the_text_again(text: str) -> None:
    (condition,) = parse(f"SELECT Id FROM Mill__c WHERE Name = {soql.text(text)}").plain
    assert condition.value == text


moments = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


@given(moments, st.integers(-2, 2))
def test_a_moment_in_a_query_bounds_what_the_moment_itself_bounds(moment: datetime, near: int) -> None:
    """Times of fields are whole milliseconds, and a literal is no finer."""
    literal = soql.moment(moment)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", literal)
    stamp = moment.replace(microsecond=moment.microsecond // 1000 * 1000) + timedelta(milliseconds=near)
    assert (stamp >= datetime.fromisoformat(literal)) == (stamp >= moment)


@given(st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,39}", fullmatch=True), min_size=1, max_size=900, unique=True))
def test_portions_hold_every_field_once_and_fit_into_a_uri(names: list[str]) -> None:
    fields = ["Id", "SystemModstamp", *(name for name in names if name not in ("Id", "SystemModstamp"))]
    portions = soql.portions(fields, ["Id", "SystemModstamp"])
    assert all(portion[:2] == ["Id", "SystemModstamp"] for portion in portions)
    assert [name for portion in portions for name in portion[2:]] == fields[2:]
    assert all(len(quote_plus(",".join(portion))) <= soql.FIELDS_LENGTH for portion in portions)


def test_a_page_begins_behind_the_last_row_of_the_one_before() -> None:
    full = [row(f"a{number:04}", "2026-11-23T11:00:00.000+0000") for number in range(soql.ROWS)]
    answers = iter([rows(*full), rows(row("b", "2026-11-23T11:00:01.000+0000"))])
    queries: list[str] = []

    def respond(request: Request) -> Response:
        queries.append(asked(request))
        return next(answers)

    window = Window(NOW - timedelta(days=1), NOW)
    pages = walk(SObject(SHAPE).page, CTX, window, respond)
    assert [len(page.items) for page in pages] == [soql.ROWS, 1]
    assert queries[0] == (
        "SELECT Id,SystemModstamp,Name FROM Mill__c "
        "WHERE SystemModstamp >= 2026-11-22T12:00:30.000Z AND SystemModstamp < 2026-11-23T12:00:30.000Z "
        f"ORDER BY SystemModstamp,Id LIMIT {soql.ROWS}"
    )
    assert queries[1].startswith(
        "SELECT Id,SystemModstamp,Name FROM Mill__c WHERE SystemModstamp >= 2026-11-23T11:00:00.000Z "
        "AND (SystemModstamp > 2026-11-23T11:00:00.000Z OR Id > 'a1999') AND SystemModstamp <"
    )


def test_an_answer_that_holds_fewer_rows_is_gone_on_with_by_its_locator() -> None:
    """What comes by it is of the moment of the query; once it has died, the query is asked anew, behind its rows."""
    later = NOW + timedelta(minutes=1)
    first = rows(row("a", "2026-11-23T11:00:00.000+0000"), done=False, nextRecordsUrl="/query/01g-1")
    second = replace(rows(row("b", "2026-11-23T11:00:01.000+0000"), nextRecordsUrl="/query/01g-2"), sent_at=later)
    third = replace(rows(row("c", "2026-11-23T11:00:02.000+0000")), sent_at=later)
    dead = answer([{"errorCode": "INVALID_QUERY_LOCATOR", "message": "invalid query locator"}], 400)

    def respond(request: Request) -> Response:
        if request.url.endswith("/01g-1"):
            return second
        if request.url.endswith("/01g-2"):
            return dead
        return third if "Id > 'b'" in asked(request) else first

    items = [item for page in walk(SObject(SHAPE).page, CTX, EVERYTHING, respond) for item in page.items]
    read = [(item.id, item.as_of) for item in items if isinstance(item, Record)]
    assert read == [("a", NOW), ("b", NOW), ("c", later)]


def test_a_query_without_an_order_begins_anew_when_its_locator_has_died() -> None:
    shape = Shape("Mill__c", (("Id", "id"),), updated=None, created=None, sorted_by_id=False)
    cursor = {"locator": "/query/01g-1", "as_of": NOW.isoformat()}
    with pytest.raises(Faulted) as told:
        drive(SObject(shape).page(CTX, EVERYTHING, cursor), lambda request: answer([], 400))
    assert told.value.fault.kind == "restart"


def test_rows_out_of_order_are_told_instead_of_lost() -> None:
    stamps = ["2026-11-23T11:00:01.000+0000", "2026-11-23T11:00:00.000+0000"] * (soql.ROWS // 2)
    mixed = [row(f"a{number}", stamp) for number, stamp in enumerate(stamps)]
    with pytest.raises(Faulted, match="do not come in the order") as told:
        drive(SObject(SHAPE).page(CTX, EVERYTHING, None), lambda request: rows(*mixed))
    assert told.value.fault.kind == "config"


def test_a_row_of_the_recycle_bin_is_a_delete_of_a_later_version() -> None:
    stamp = "2026-11-23T11:00:00.000+0000"
    page, _ = drive(
        SObject(SHAPE).page(CTX, EVERYTHING, None),
        lambda request: rows(row("a", stamp, IsDeleted=True), row("b", stamp)),
    )
    gone, there = page.items
    assert isinstance(gone, Delete)
    assert isinstance(there, Record)
    assert gone.version == there.version == int(datetime.fromisoformat(stamp).timestamp()) * 10**6
    assert there.updated == datetime.fromisoformat(stamp)


# Wide objects, and fields that come and go.

WIDE = Shape(
    "Survey__c",
    (("Id", "id"), ("SystemModstamp", "datetime"), *((f"Answer_to_question_{n:03}__c", "string") for n in range(900))),
)


def wide(stamps: Callable[[str, int], str]) -> Callable[[Request], Response]:
    """Two rows with the fields asked for; `stamps(id, how often asked)`."""
    turns = [0]

    def respond(request: Request) -> Response:
        query = parse(asked(request))
        turns[0] += 1
        return rows(*(row(key, stamps(key, turns[0]), **dict.fromkeys(query.fields[2:], key)) for key in ("a", "b")))

    return respond


def test_the_portions_of_a_wide_row_are_one_record() -> None:
    page, requests = drive(
        SObject(WIDE).page(CTX, EVERYTHING, None), wide(lambda key, turn: "2026-11-23T11:00:00.000+0000")
    )
    assert len(requests) > 1
    assert [set(orjson.loads(item.raw)) - {"attributes"} for item in page.items if isinstance(item, Record)] == [
        {name for name, _ in WIDE.fields}
    ] * 2


def test_a_row_that_changed_between_two_portions_is_fetched() -> None:
    page, _ = drive(
        SObject(WIDE).page(CTX, EVERYTHING, None),
        wide(lambda key, turn: f"2026-11-23T11:00:0{turn if key == 'b' else 0}.000+0000"),
    )
    assert [(type(item), item.id) for item in page.items if isinstance(item, Record | Mention)] == [
        (Record, "a"),
        (Mention, "b"),
    ]


def test_a_field_that_the_user_may_no_longer_see_is_read_no_more() -> None:
    def respond(request: Request) -> Response:
        if request.url.endswith("/describe"):
            fields = [{"name": "Id", "type": "id"}, {"name": "SystemModstamp", "type": "datetime"}]
            return answer({"name": "Mill__c", "fields": fields})
        if "Name" in asked(request):
            return answer([{"errorCode": "INVALID_FIELD", "message": "No such column 'Name'"}], 400)
        return rows(row("a", "2026-11-23T11:00:00.000+0000"))

    page, requests = drive(SObject(SHAPE).page(CTX, EVERYTHING, None), respond)
    assert len(page.items) == 1
    assert len(requests) == 3


def described(shape: Shape, without: str) -> Response:
    fields = [{"name": name, "type": kind} for name, kind in shape.fields if name != without]
    return answer({"name": shape.name, "fields": fields})


def test_a_field_of_any_portion_that_the_user_may_no_longer_see_is_read_no_more() -> None:
    """The first portion was answered before the refusal of another one."""
    gone = WIDE.fields[-1][0]
    whole = wide(lambda key, turn: "2026-11-23T11:00:00.000+0000")

    def respond(request: Request) -> Response:
        if request.url.endswith("/describe"):
            return described(WIDE, without=gone)
        if gone in parse(asked(request)).fields:
            return answer([{"errorCode": "INVALID_FIELD", "message": f"No such column '{gone}'"}], 400)
        return whole(request)

    page, _ = drive(SObject(WIDE).page(CTX, EVERYTHING, None), respond)
    assert [set(orjson.loads(item.raw)) - {"attributes"} for item in page.items if isinstance(item, Record)] == [
        {name for name, _ in WIDE.fields} - {gone}
    ] * 2


@pytest.mark.parametrize("shape", [SHAPE, Shape("Mill__c")])
def test_fields_that_are_refused_though_they_are_described_are_told(shape: Shape) -> None:
    def respond(request: Request) -> Response:
        if request.url.endswith("/describe"):
            return described(SHAPE, without="")
        return answer([{"errorCode": "INVALID_FIELD", "message": "No such column 'Name'"}], 400)

    with pytest.raises(Faulted, match="No such column") as told:
        drive(SObject(shape).page(CTX, EVERYTHING, None), respond)
    assert told.value.fault.kind == "bad"


def test_any_other_refusal_of_a_query_is_told_as_it_is() -> None:
    refusal = answer([{"errorCode": "INVALID_TYPE", "message": "sObject type 'Mill__c' is not supported."}], 400)
    with pytest.raises(Faulted) as told:
        drive(SObject(SHAPE).page(CTX, EVERYTHING, None), lambda request: refusal)
    assert told.value.fault.kind == "permission"


def test_a_declared_object_is_read_before_its_describe_is_known() -> None:
    collection = SALESFORCE.collection("salesforce:account")
    assert collection is not None
    assert collection.listing is not None

    def respond(request: Request) -> Response:
        if request.url.endswith("/describe"):
            return answer({"name": "Account", "fields": [{"name": "Id", "type": "id"}, {"name": "Name"}]})
        return rows(row("a", "2026-11-23T11:00:00.000+0000", Name="Ada"))

    page, requests = drive(collection.listing.page(CTX, EVERYTHING, None), respond)
    assert [item.id for item in page.items if isinstance(item, Record)] == ["a"]
    assert asked(requests[-1]).startswith("SELECT Id,SystemModstamp,Name FROM Account")


# Deletions.


def deletions(window: Window, **told: Any) -> tuple[Any, dict[str, str]]:
    page, (request,) = drive(SObject(SHAPE).deleted(CTX, window, None), lambda request: answer(told))
    return page, dict(request.query)


def test_deletions_are_asked_for_in_whole_minutes_more_than_one_and_none_to_come() -> None:
    page, query = deletions(Window(NOW - timedelta(seconds=5), NOW + timedelta(seconds=5)), deletedRecords=[])
    assert query == {"start": "2026-11-23T11:58:00+00:00", "end": "2026-11-23T12:00:30+00:00"}
    assert page.items == []


def test_a_deletion_speaks_for_its_second() -> None:
    told = [{"id": "a00D0000008pQRAIA2", "deletedDate": "2026-11-23T11:59:19.000+0000"}]
    page, _ = deletions(Window(NOW - timedelta(hours=1), NOW), deletedRecords=told)
    (gone,) = page.items
    when = datetime(2026, 11, 23, 11, 59, 19, tzinfo=UTC)
    assert (gone.id, gone.as_of, gone.version) == ("a00D0000008pQRAIA2", when, int(when.timestamp()) * 10**6)
    assert gone.slack > timedelta(0)


def test_a_log_that_reaches_back_less_far_than_asked_is_a_gap() -> None:
    with pytest.raises(Faulted) as told:
        deletions(Window(NOW - timedelta(days=2), NOW), earliestDateAvailable="2026-11-22T15:57:00.000+0000")
    assert told.value.fault.kind == "expired"


def test_a_log_that_lags_is_asked_again() -> None:
    with pytest.raises(Faulted) as told:
        deletions(Window(NOW - timedelta(hours=3), NOW), latestDateCovered="2026-11-23T10:00:00.000+0000")
    assert told.value.fault.kind == "transient"


# Jobs.

TYPES = {
    "Id": "id", "Name": "string", "Open__c": "boolean", "Count__c": "int", "Total__c": "currency", "At__c": "datetime",
    "Day__c": "date", "SystemModstamp": "datetime",
}  # fmt: skip
LARGE = Shape("Mill__c", tuple(TYPES.items()))
STAMP = "2026-11-23T11:00:00.000+0000"

cells = st.fixed_dictionaries(
    {
        "Id": st.from_regex(r"[A-Za-z0-9]{18}", fullmatch=True),
        "Name": st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)),
        "Open__c": st.booleans(),
        "Count__c": st.one_of(st.none(), st.integers(-(10**9), 10**9)),
        "Total__c": st.one_of(st.none(), st.integers(-(10**15), 10**15).map(lambda cents: cents / 100)),
        "At__c": st.sampled_from([None, STAMP]),
        "Day__c": st.sampled_from([None, "2026-11-23"]),
        "SystemModstamp": st.just(STAMP),
    }
)


def as_csv(records: list[dict[str, Any]]) -> bytes:
    """Cells as Bulk API 2.0 writes them."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(TYPES)
    for record in records:
        written = []
        for name, kind in TYPES.items():
            value = record[name]
            cell = "" if value is None else str(value).lower() if kind == "boolean" else str(value)
            written.append(cell.replace("+0000", "Z") if kind == "datetime" else cell)
        writer.writerow(written)
    return text.getvalue().encode()


def result(body: bytes, **headers: str) -> Response:
    return Response(200, body, NOW, {"content-type": "text/csv", **headers})


def by_job(response: Response) -> Any:
    cursor = {"job": "750", "as_of": NOW.isoformat()}
    return drive(Bulk(SObject(LARGE)).page(CTX, EVERYTHING, cursor), lambda request: response)[0]


@given(st.lists(cells, max_size=5))
def test_a_row_of_a_job_is_the_row_of_a_query(records: list[dict[str, Any]]) -> None:
    page = by_job(result(as_csv(records)))
    read = [orjson.loads(item.raw) for item in page.items]
    assert [{name: each[name] for name in TYPES} for each in read] == records
    assert [orjson.dumps(each["Total__c"]) for each in read] == [orjson.dumps(each["Total__c"]) for each in records]


def test_a_field_that_comes_or_goes_while_a_job_is_read_does_not_stop_it() -> None:
    """The CSV has the fields of the moment at which the job was made; the object has those of now."""
    body = b'"Id","Gone__c","SystemModstamp","Count__c"\n"a","x","2026-11-23T11:00:00.000Z","7"\n'
    (item,) = by_job(result(body)).items
    read = orjson.loads(item.raw)
    assert read == {"attributes": read["attributes"], "Id": "a", "SystemModstamp": STAMP, "Count__c": 7}


@pytest.mark.parametrize("blank", [b"\n", b"\r\n"])
def test_blank_lines_of_a_result_are_no_rows(blank: bytes) -> None:
    body = as_csv([{**dict.fromkeys(TYPES), "Id": key, "Open__c": True, "SystemModstamp": STAMP} for key in "ab"])
    page = by_job(result(blank + body.replace(b'"b"', blank + b'"b"') + blank, **{"sforce-numberofrecords": "2"}))
    assert [item.id for item in page.items if isinstance(item, Record)] == ["a", "b"]


@pytest.mark.parametrize("body", [b"", as_csv([])])
def test_a_result_of_no_rows_may_be_empty_where_it_says_that_there_are_none(body: bytes) -> None:
    assert by_job(result(body, **{"sforce-numberofrecords": "0"})).items == []


@pytest.mark.parametrize("body", [b"", b"\n", b'"a","Mill","true"\n'])
def test_a_result_without_a_line_of_names_is_no_result(body: bytes) -> None:
    with pytest.raises(Faulted, match="no line of names") as told:
        by_job(result(body))
    assert told.value.fault.kind == "transient"


def test_a_row_with_more_or_fewer_cells_than_names_is_no_row() -> None:
    with pytest.raises(Faulted, match="1 cells below 2 names"):
        by_job(result(b'"Id","Name"\n"a"\n'))


def test_a_result_that_is_cut_short_is_no_result() -> None:
    whole = as_csv([{**dict.fromkeys(TYPES), "Id": key, "Open__c": True, "SystemModstamp": STAMP} for key in "abc"])
    with pytest.raises(Faulted):
        by_job(result(whole[:-20]))
    with pytest.raises(Faulted, match="2 rows came where 3"):
        by_job(result(whole[: whole.rindex(b'"c"')], **{"sforce-numberofrecords": "3"}))


def test_a_job_whose_result_is_gone_is_made_anew() -> None:
    with pytest.raises(Faulted) as told:
        by_job(answer([{"errorCode": "NOT_FOUND", "message": "gone"}], 404))
    assert told.value.fault.kind == "restart"


def test_a_table_is_loaded_by_a_job_that_is_polled() -> None:
    states = iter(["UploadComplete", "InProgress", "JobComplete"])
    line = {**dict.fromkeys(TYPES), "Id": "a", "Open__c": True, "SystemModstamp": STAMP}

    def respond(request: Request) -> Response:
        if request.url.endswith("recordCount"):
            return answer({"sObjects": [{"name": "Mill__c", "count": 1_000_000}]})
        if request.method == "POST":
            assert b"ORDER BY" not in (request.body or b"")
            return answer({"id": "750", "state": "UploadComplete"})
        if request.url.endswith("/results"):
            return result(as_csv([line]), **{"sforce-locator": "null", "sforce-numberofrecords": "1"})
        return answer({"id": "750", "state": next(states)})

    pages = walk(Bulk(SObject(LARGE)).page, CTX, EVERYTHING, respond)
    assert [len(page.items) for page in pages] == [0, 0, 0, 1]
    assert all(page.wait > timedelta(0) for page in pages[:-1])


@pytest.mark.parametrize("state", ["UploadComplete", "InProgress", "Suspended", None])
def test_a_job_that_does_not_end_is_waited_for_a_day_and_then_left(state: str | None) -> None:
    """The clock is that of the answers, so that it goes on over a restart."""
    polls = [0]

    def respond(request: Request) -> Response:
        if request.url.endswith("recordCount"):
            return answer({"sObjects": [{"name": "Mill__c", "count": 1_000_000}]})
        if request.method == "POST":
            return answer({"id": "750", "state": "UploadComplete"})
        if request.url.endswith("/queryAll"):
            return rows(row("a", STAMP))
        polls[0] += 1
        return replace(answer({"id": "750", "state": state}), sent_at=NOW + timedelta(hours=6 * polls[0]))

    pages = walk(Bulk(SObject(LARGE)).page, CTX, EVERYTHING, respond)
    assert [item.id for page in pages for item in page.items if isinstance(item, Record)] == ["a"]
    assert polls[0] == 5


def test_names_of_collections() -> None:
    names = {"Account": "account", "OpportunityLineItem": "opportunity_line_item", "Pricebook2": "pricebook2"}
    assert {name: collection_id(name) for name in names} == {n: f"salesforce:{made}" for n, made in names.items()}
    assert collection_id("Invoice__c") == "salesforce:Invoice__c"
