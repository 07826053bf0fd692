"""Whatever of Linear's documented manners an answer has or lacks, the same records are read of it; and what is refused
is told, and deletes nothing."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

import orjson
import pytest
from varied import Varied, Vary, as_it_is, bodies, no_headers

from headrace.clock import from_unix
from headrace.http import Request, Response
from headrace.providers.kit import Faulted, Window
from headrace.providers.kit.checks import walk
from headrace.providers.linear import LINEAR
from headrace.testing.linear import LinearServer

COUNTS = {"issue": 230, "comment": 120, "project": 7, "team": 3, "issue_relation": 110, "user": 12}
COLLECTIONS = tuple(f"linear:{name}" for name in COUNTS)
Json = dict[str, Any]


@cache
def server() -> LinearServer:
    """One for all readings, none of which changes it."""
    return LinearServer(COUNTS, seed=11)


def at(vary: Vary = as_it_is) -> Varied:
    return Varied(LINEAR, server(), {"key": "lin_api_headrace"}, "linear_key", vary)


def connections(change: Callable[[Json], Json]) -> Vary:
    """Answers with each connection changed."""

    def within(body: Json) -> Json:
        data = body.get("data") or {}
        lists = {name: change(value) for name, value in data.items() if isinstance(value, dict) and "nodes" in value}
        return {**body, "data": {**data, **lists}}

    return bodies(within)


def no_cursor(found: Json) -> Json:
    return {**found, "pageInfo": {**found["pageInfo"], "endCursor": None}}


def with_nulls(found: Json) -> Json:
    return {**found, "nodes": [None, *found["nodes"], None]}


def with_extensions(body: Json) -> Json:
    return {**body, "extensions": {"traceId": "x", "warnings": [{"code": "SOMETHING_NEW"}]}}


VARIATIONS: dict[str, Vary] = {
    "no headers": no_headers,
    "no cursor though more follows": connections(no_cursor),
    "nodes that are null": connections(with_nulls),
    "extensions beside the data": bodies(with_extensions),
    "errors that are an empty list": bodies(lambda body: {**body, "errors": []}),
    "errors that are null": bodies(lambda body: {**body, "errors": None}),
}


@pytest.fixture(scope="module")
def told() -> dict[tuple[str, str], object]:
    return at().read(*COLLECTIONS)


@pytest.mark.parametrize("name", VARIATIONS)
def test_any_documented_variation_gives_the_same_records(name: str, told: dict[tuple[str, str], object]) -> None:
    assert len(told) == sum(COUNTS.values())
    assert at(VARIATIONS[name]).read(*COLLECTIONS) == told


def changed(collection_id: str, varied: Varied) -> set[str]:
    """What a window of changes gives."""
    collection = LINEAR.collection(collection_id)
    assert collection is not None
    now = from_unix(server().clock.now())
    window = Window(now - timedelta(days=200), now - timedelta(days=20))
    found = walk(collection.changes[0].page, varied.context(collection_id), window, varied.respond)
    return {getattr(item, "id", "") for page in found for item in page.items}


@pytest.mark.parametrize("collection", ["linear:issue", "linear:issue_relation"])
@pytest.mark.parametrize("name", VARIATIONS)
def test_and_the_same_changes(name: str, collection: str) -> None:
    expected = changed(collection, at())
    assert 0 < len(expected) < COUNTS[collection.removeprefix("linear:")]
    assert changed(collection, at(VARIATIONS[name])) == expected


def test_a_value_of_an_enumeration_that_is_new_is_kept_as_it_is() -> None:
    found = at(
        connections(lambda listed: {**listed, "nodes": [{**row, "type": "brandNew"} for row in listed["nodes"]]})
    )
    items = found.items("linear:project")
    assert items
    assert all(b"brandNew" in item.raw for item in items)  # type: ignore[union-attr]


def errors(status: int, code: str, message: str = "no", **extensions: Any) -> Response:
    said = {"errors": [{"message": message, "extensions": {"code": code, **extensions}}], "data": None}
    return Response(status, orjson.dumps(said), from_unix(server().clock.now()))


REFUSALS: dict[str, tuple[Response, str]] = {
    "too many": (errors(400, "RATELIMITED", type="ratelimited", statusCode=429), "rate"),
    "too many, with 200": (errors(200, "RATELIMITED"), "rate"),
    "too many, with 429": (errors(429, "RATELIMITED"), "rate"),
    "no key": (errors(401, "AUTHENTICATION_ERROR"), "auth"),
    "no key, with 400": (errors(400, "AUTHENTICATION_ERROR"), "auth"),
    "forbidden": (errors(200, "FORBIDDEN"), "permission"),
    "not in the plan": (errors(400, "x", type="feature not accessible"), "permission"),
    "a lock": (errors(200, "x", type="lock timeout"), "transient"),
    "too complex": (errors(400, "INPUT_ERROR", "Query too complex"), "split"),
    "another address": (Response(404, b'{"message":"Not Found"}', from_unix(0)), "config"),
    "down": (Response(503, b"<html></html>", from_unix(0)), "transient"),
}


TYPES_OF_ERRORS = {
    "authentication error": "auth",
    "bootstrap error": "transient",
    "feature not accessible": "permission",
    "forbidden": "permission",
    "graphql error": "bad",
    "internal error": "transient",
    "invalid input": "bad",
    "lock timeout": "transient",
    "network error": "transient",
    "other": "bad",
    "ratelimited": "rate",
    "usage limit exceeded": "bad",
    "user error": "bad",
}
"""Every type of error that Linear's SDK knows, and what becomes of a page that is refused so."""


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("said", TYPES_OF_ERRORS)
def test_each_type_of_error_is_understood_by_its_type_alone(said: str, status: int) -> None:
    error = {"message": "no", "extensions": {"type": said, "userError": False, "userPresentableMessage": "Not now."}}
    answer = Response(status, orjson.dumps({"errors": [error], "data": None}), from_unix(server().clock.now()))
    with pytest.raises(Faulted, match=r"Not now\.") as raised:
        at(lambda request, response: answer).items("linear:issue")
    assert raised.value.fault.kind == TYPES_OF_ERRORS[said]


@pytest.mark.parametrize("how", REFUSALS)
def test_a_refused_list_is_told_and_deletes_nothing(how: str) -> None:
    answer, kind = REFUSALS[how]
    with pytest.raises(Faulted) as raised:
        at(lambda request, response: answer).items("linear:issue")
    assert raised.value.fault.kind == kind
    assert (LINEAR.limits.too_many(answer) is not None) == (kind == "rate")


@pytest.mark.parametrize("how", REFUSALS)
def test_a_refused_object_is_not_gone(how: str) -> None:
    answer, _ = REFUSALS[how]
    with pytest.raises(Faulted):
        at(lambda request, response: answer).fetched("linear:issue", "x")


def partly(request: Request, response: Response) -> Response:
    """Data with an error beside it: some of it is missing, and nobody knows what."""
    told = orjson.loads(response.body)
    found = next(iter(told["data"].values()))
    del found["nodes"][0]
    error = {"message": "Internal error", "path": ["issues", "nodes", 0], "extensions": {"type": "internal error"}}
    return Response(200, orjson.dumps({**told, "errors": [error]}), response.sent_at)


NOTHING = {"no data": b'{"data":null}', "no connection": b'{"data":{"issues":null}}', "an empty object": b"{}"}


@pytest.mark.parametrize("how", NOTHING)
def test_an_answer_without_a_list_is_no_empty_list(how: str) -> None:
    with pytest.raises(Faulted) as raised:
        at(lambda request, response: Response(200, NOTHING[how], response.sent_at)).items("linear:issue")
    assert raised.value.fault.kind == "transient"


def test_a_page_with_errors_is_not_taken_for_whole() -> None:
    with pytest.raises(Faulted) as raised:
        at(partly).items("linear:issue")
    assert raised.value.fault.kind == "transient"
