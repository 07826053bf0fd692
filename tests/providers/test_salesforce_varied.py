"""Whatever of Salesforce's documented manners an answer has or lacks, the same records are read of it; and what is
refused is told, and deletes nothing."""

from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import orjson
import pytest
from varied import Varied, Vary, as_it_is, bodies, no_headers, rows, without

from headrace.clock import from_unix
from headrace.http import Request, Response
from headrace.providers.kit import Cursor, Delete, Faulted, Found, Provider, Record, Window
from headrace.providers.kit.checks import drive
from headrace.providers.salesforce import SALESFORCE
from headrace.providers.salesforce.bulk import LARGE, Bulk
from headrace.providers.salesforce.describe import Shape, discover
from headrace.providers.salesforce.objects import SObject
from headrace.testing.salesforce import SalesforceServer

UNTIL = 1_790_000_000.0
HOST = "https://acme.my.salesforce.com"
Json = dict[str, Any]


@cache
def server() -> SalesforceServer:
    """One for all readings, none of which changes it."""
    return SalesforceServer(400, seed=3, until=UNTIL)


def at(vary: Vary = as_it_is) -> Varied:
    properties = {"instance_url": HOST, "refresh_token": "5AepHeadrace", "access_token": server().session()}
    return Varied(SALESFORCE, server(), properties, "salesforce_oauth2", vary)


def found(varied: Varied) -> dict[str, Found]:
    """What the search finds, by the ids of the collections."""
    made: dict[str, Found] = {}
    cursor: Cursor | None = None
    while True:
        steps: Any = discover(varied.context(), cursor)
        told: Any = drive(steps, varied.respond)[0]
        page, cursor = told
        made |= {each.collection_id: each for each in page}
        if cursor is None:
            return made


def read(vary: Vary) -> dict[tuple[str, str], object]:
    varied = at(vary)
    known = found(varied)
    provider: Provider = SALESFORCE.of_account(known)
    return replace(varied, provider=provider).read(*sorted(known))


def absolute(body: Any) -> Any:
    if isinstance(body, dict) and "nextRecordsUrl" in body:
        return {**body, "nextRecordsUrl": HOST + body["nextRecordsUrl"]}
    return body


def terse(body: Any) -> Any:
    return {name: body[name] for name in body if name != "totalSize"} if isinstance(body, dict) else body


def only_needed(body: Any) -> Any:
    """A describe with no more of each field than its name and type."""
    if not isinstance(body, dict) or "fields" not in body:
        return body
    fields = [{name: field[name] for name in ("name", "type")} for field in body["fields"]]
    return {"name": body["name"], "fields": fields}


VARIATIONS: dict[str, Vary] = {
    "no headers": no_headers,
    "locators as whole addresses": bodies(absolute),
    "no totalSize": bodies(terse),
    "describes with names and types alone": bodies(only_needed),
    "objects without what they can": rows("sobjects", lambda row: {name: row[name] for name in ("name", "queryable")}),
    "rows without attributes": rows("records", without("attributes")),
}


@pytest.fixture(scope="module")
def told() -> dict[tuple[str, str], object]:
    return read(as_it_is)


@pytest.mark.parametrize("name", VARIATIONS)
def test_any_documented_variation_gives_the_same_records(name: str, told: dict[tuple[str, str], object]) -> None:
    given = read(VARIATIONS[name])
    assert told
    assert {key: given.get(key) for key in told} == told


def test_the_search_does_not_leave_out_what_it_was_not_let_see() -> None:
    """A refusal of the quota says nothing of the object that was asked for."""
    used_up = Response(
        403, b'[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]', from_unix(UNTIL)
    )
    with pytest.raises(Faulted) as raised:
        found(at(lambda request, response: used_up if request.url.endswith("/Account/describe") else response))
    assert raised.value.fault.kind == "quota"


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (401, [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}], "auth"),
        (403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}], "quota"),
        (403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "ConcurrentPerOrgLongTxn Limit"}], "rate"),
        (403, [{"errorCode": "API_DISABLED_FOR_ORG", "message": "The REST API is not enabled"}], "permission"),
        (400, [{"errorCode": "INVALID_TYPE", "message": "sObject type 'X' is not supported."}], "permission"),
        (400, [{"errorCode": "INVALID_TYPE_FOR_OPERATION", "message": "X does not support query"}], "permission"),
        (400, [{"errorCode": "QUERY_TIMEOUT", "message": "Your query request was running for too long."}], "split"),
        (500, [{"errorCode": "UNKNOWN_EXCEPTION", "message": "An unexpected error occurred."}], "transient"),
        (503, "<html>Down for maintenance</html>", "transient"),
        (200, "<html>Log in</html>", "transient"),
    ],
)  # fmt: skip
def test_a_refused_object_is_told_and_deletes_nothing(status: int, said: Any, kind: str) -> None:
    body = said.encode() if isinstance(said, str) else orjson.dumps(said)
    with pytest.raises(Faulted) as raised:
        at(lambda request, response: Response(status, body, from_unix(UNTIL))).items("salesforce:account")
    assert raised.value.fault.kind == kind


def test_a_query_that_is_not_done_does_not_end() -> None:
    with pytest.raises(Faulted, match="no locator"):
        at(bodies(lambda body: {**body, "done": False})).items("salesforce:account")


# ── deletions ──


def deletions(said: Any, status: int = 200) -> list[str]:
    now = from_unix(UNTIL)
    answer = Response(status, said if isinstance(said, bytes) else orjson.dumps(said), now)
    varied = at(lambda request, response: answer)
    window = Window(now - timedelta(hours=1), now)
    page, _ = drive(SObject(Shape("Account")).deleted(varied.context(), window, None), varied.respond)
    return [item.id for item in page.items if isinstance(item, Delete)]


def stamp(minutes: float) -> str:
    return (from_unix(UNTIL) - timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


GONE = {"id": "001000000000001AAA", "deletedDate": stamp(30)}


@pytest.mark.parametrize(
    "said",
    [
        {"deletedRecords": [GONE], "earliestDateAvailable": stamp(90_000), "latestDateCovered": stamp(0)},
        {"deletedRecords": [GONE], "latestDateCovered": stamp(10)},
        {"deletedRecords": [GONE]},
    ],
)
def test_deletions_are_read(said: Json) -> None:
    assert deletions(said) == [GONE["id"]]


@pytest.mark.parametrize("behind", [40, 90])
def test_deletions_that_are_not_told_yet_are_waited_for(behind: float) -> None:
    """Also where nothing of the window asked for is covered."""
    with pytest.raises(Faulted) as raised:
        deletions({"deletedRecords": [], "latestDateCovered": stamp(behind)})
    assert raised.value.fault.kind == "transient"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, [{"errorCode": "INVALID_TYPE", "message": "sObject type FAQ__ka is not replicable"}]),
        (404, [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]),
        (404, b"<html>not here</html>"),
    ],
)
def test_where_no_deletions_are_kept_none_are_read(status: int, said: Any) -> None:
    assert deletions(said, status) == []


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "INVALID_REPLICATION_DATE", "expired"),
        (400, "EXCEEDED_ID_LIMIT", "split"),
        (403, "API_DISABLED_FOR_ORG", "permission"),
    ],
)
def test_other_refusals_of_deletions_are_told(status: int, code: str, kind: str) -> None:
    with pytest.raises(Faulted) as raised:
        deletions([{"errorCode": code, "message": "startDate before org replication enabled date"}], status)
    assert raised.value.fault.kind == kind


# ── jobs ──

SHAPE = Shape("Account", (("Id", "id"), ("Name", "string"), ("Rank", "double"), ("Text", "textarea")))
COUNTED = orjson.dumps({"sObjects": [{"name": "Account", "count": LARGE}]})


def by_job(result: bytes, *, begun: int = 200, headers: dict[str, str] | None = None) -> list[Json]:
    """What a job's result is read as; `begun` is the status of the answer that makes the job."""
    now = from_unix(UNTIL)

    def respond(request: Request) -> Response:
        if request.url.endswith("/recordCount"):
            return Response(200, COUNTED, now)
        if request.url.endswith("/results"):
            return Response(200, result, now, {"content-type": "text/csv", **(headers or {})})
        if request.method == "POST":
            body = b'{"id":"750x","state":"UploadComplete"}' if begun < 300 else b"<html>not here</html>"
            return Response(begun, body, now)
        if request.url.endswith("/queryAll"):
            return Response(200, b'{"done":true,"records":[{"Id":"paged"}]}', now)
        return Response(200, b'{"id":"750x","state":"JobComplete"}', now)

    listing, cursor, made = Bulk(SObject(SHAPE)), None, []
    while True:
        page, _ = drive(listing.page(at().context(), Window(), cursor), respond)
        made += [orjson.loads(item.raw) for item in page.items if isinstance(item, Record)]
        cursor = page.next
        if cursor is None:
            return [{name: value for name, value in row.items() if name != "attributes"} for row in made]


ROW = {"Id": "1", "Name": 'A "quoted", one', "Rank": 2.0, "Text": "two\nlines"}


@pytest.mark.parametrize(
    ("result", "headers"),
    [
        (b'"Id","Name","Rank","Text"\n"1","A ""quoted"", one","2.0","two\nlines"\n', {"sforce-locator": "null"}),
        (b'"Id","Name","Rank","Text"\r\n"1","A ""quoted"", one","2.0","two\nlines"\r\n', {"sforce-locator": "null"}),
        (b'"Id","Name","Rank","Text"\n"1","A ""quoted"", one","2","two\nlines"', {}),
        (b'"Text","Rank","Name","Id"\n"two\nlines","2.0","A ""quoted"", one","1"\n', {"sforce-numberofrecords": "1"}),
        (b'Id,Name,Rank,Text\n1,"A ""quoted"", one",2.0,"two\nlines"\n', {"sforce-locator": ""}),
    ],
)
def test_a_jobs_rows_are_the_same_however_the_csv_is_written(result: bytes, headers: dict[str, str]) -> None:
    assert by_job(result, headers=headers) == [ROW]


@pytest.mark.parametrize("begun", [400, 403, 404, 405])
def test_where_no_job_may_be_begun_the_rows_are_read_in_pages(begun: int) -> None:
    assert by_job(b"", begun=begun) == [{"Id": "paged"}]
