"""How Linear's errors, limits, cursors and webhooks are understood."""

import hmac
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
import pytest

from headrace.http import Request, Response
from headrace.providers.kit import (
    EVERYTHING,
    Context,
    Delete,
    Delivery,
    Faulted,
    Hint,
    NotGenuine,
    Page,
    Record,
    Window,
)
from headrace.providers.kit.checks import drive
from headrace.providers.linear import LINEAR
from headrace.providers.linear.access import LIMITS
from headrace.testing.linear import answers

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CTX = Context({}, NOW, frozenset(c.id for c in LINEAR.collections))
MS = str(int(NOW.timestamp() * 1000) + 90_000)


def sent(reply: Any, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(reply.status, reply.body, NOW, named)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answers.too_many(), "rate"),
        (answers.unauthorized(), "auth"),
        (answers.forbidden(), "permission"),
        (answers.server_error(500), "transient"),
        (answers.server_error(200), "transient"),
        (answers.too_complex(20_000), "split"),
        (answers.error("Entity not found: Issue", "INPUT_ERROR", "invalid input"), "gone"),
    ],
)
def test_an_error_is_told_by_its_code_whatever_the_status(reply: Any, kind: str) -> None:
    fault = LINEAR.fault(sent(reply))
    assert fault is not None
    assert fault.kind == kind


@pytest.mark.parametrize("bucket", ["endpoint_requests", "requests", "complexity"])
def test_a_limit_lasts_until_the_reset_of_the_bucket_that_is_empty(bucket: str) -> None:
    empty = {f"x_ratelimit_{bucket}_remaining": "0", f"x_ratelimit_{bucket}_reset": MS}
    limited = sent(answers.too_many(), **empty)
    too_many = LIMITS.too_many(limited)
    assert too_many is not None
    assert too_many.retry_after_s == 90.0
    plain = LIMITS.too_many(sent(answers.too_many()))
    assert plain is not None
    assert plain.retry_after_s == 60.0


def test_both_buckets_are_believed() -> None:
    headers = {"x-ratelimit-requests-remaining": "7", "x-ratelimit-complexity-remaining": "9000"}
    left = {each.limit_class: each.remaining for each in LIMITS.remaining(Response(200, b"{}", NOW, headers))}
    assert left == {"all": 7.0, "complexity": 9000.0}


# ─────────────────────────────── reading ───────────────────────────────


def page(
    name: str, window: Window, cursor: Any, *replies: Response, changes: bool = True
) -> tuple[Page, list[Request]]:
    collection = LINEAR.collection(f"linear:{name}")
    assert collection is not None
    assert collection.listing is not None
    function = collection.changes[0].page if changes else collection.listing.page
    waiting = iter(replies)
    return drive(function(CTX, window, cursor), lambda request: next(waiting))


def connection(field: str, *rows: tuple[str, float], more: bool = False) -> Response:
    nodes = [
        {"id": key, "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": (NOW - timedelta(minutes=ago)).isoformat()}
        for key, ago in rows
    ]
    info = {"hasNextPage": more, "endCursor": rows[-1][0] if rows else None}
    return Response(200, orjson.dumps({"data": {field: {"nodes": nodes, "pageInfo": info}}}), NOW)


def ids(read: Page) -> list[str]:
    return [item.id for item in read.items if isinstance(item, Record)]


def test_a_window_is_asked_for_where_the_list_takes_one() -> None:
    window = Window(NOW - timedelta(hours=1), NOW)
    _, (asked,) = page("issue", window, None, connection("issues"))
    body = orjson.loads(asked.body or b"")
    assert body["variables"] == {"lo": "2026-11-23T11:00:00.000Z", "hi": "2026-11-23T12:00:00.000Z", "first": 100}
    assert "includeArchived:true" in body["query"]


def test_a_list_without_a_filter_ends_where_the_window_begins() -> None:
    window = Window(NOW - timedelta(minutes=10), NOW)
    read, _ = page("favorite", window, None, connection("favorites", ("a", 1), ("b", 9), ("c", 11), more=True))
    assert (ids(read), read.next) == (["a", "b"], {"token": "c"})
    read, _ = page("favorite", window, read.next, connection("favorites", ("d", 12), ("e", 13), more=True))
    assert (ids(read), read.next) == ([], None)


def test_a_cursor_that_is_gone_leads_to_the_windows_start() -> None:
    gone = sent(answers.error("Entity not found: Issue", "INPUT_ERROR", "invalid input"))
    with pytest.raises(Faulted) as raised:
        page("issue", EVERYTHING, {"token": "x"}, gone)
    assert raised.value.fault.kind == "restart"


def test_a_cursor_that_does_not_move_on_is_told() -> None:
    with pytest.raises(Faulted, match="cursor again that was asked for") as raised:
        page("issue", EVERYTHING, {"token": "b"}, connection("issues", ("a", 1), ("b", 2), more=True))
    assert raised.value.fault.kind == "transient"


def test_partial_data_with_errors_is_no_page() -> None:
    body = {"data": {"issues": None}, "errors": [{"message": "oops", "extensions": {"type": "internal error"}}]}
    with pytest.raises(Faulted) as raised:
        page("issue", EVERYTHING, None, Response(200, orjson.dumps(body), NOW))
    assert raised.value.fault.kind == "transient"


def test_fields_and_arguments_that_the_server_does_not_know_are_left_out() -> None:
    said = [
        {"message": 'Cannot query field "estimate" on type "Issue".'},
        {"message": 'Unknown argument "includeArchived" on field "Query.issues".'},
    ]
    refused = Response(400, orjson.dumps({"errors": said}), NOW)
    read, asked = page("issue", EVERYTHING, None, refused, connection("issues", ("a", 1), more=True))
    text = orjson.loads(asked[1].body or b"")["query"]
    assert " estimate " not in text
    assert "includeArchived" not in text
    assert read.next == {"token": "a", "without": ["estimate", "includeArchived"]}
    _, asked = page("issue", EVERYTHING, read.next, connection("issues"))
    assert " estimate " not in orjson.loads(asked[0].body or b"")["query"]


def test_a_field_without_which_nothing_can_be_read_is_an_error() -> None:
    refused = Response(400, b'{"errors":[{"message":"Cannot query field \\"id\\" on type \\"Issue\\"."}]}', NOW)
    with pytest.raises(Faulted):
        page("issue", EVERYTHING, None, refused)


def test_an_object_is_fetched_without_the_fields_that_the_server_does_not_know() -> None:
    issue = LINEAR.collection("linear:issue")
    assert issue is not None
    assert issue.fetch is not None
    said = [{"message": 'Cannot query field "messageUrl" on type "ExternalEntitySlackMetadata".'}]
    found = Response(200, b'{"data":{"issue":{"id":"x"}}}', NOW)
    waiting = iter([Response(400, orjson.dumps({"errors": said}), NOW), found])
    read, asked = drive(issue.fetch.page(CTX, "x", None), lambda request: next(waiting))
    assert ids(read) == ["x"]
    first, second = (orjson.loads(request.body or b"")["query"] for request in asked)
    assert second == first.replace(" messageUrl", "")


@pytest.mark.parametrize(
    "body", [b'{"data":null}', b'{"data":{"organization":null}}', b"{}", b'{"data":{"templates":null}}']
)
@pytest.mark.parametrize("name", ["organization", "template"])
def test_an_answer_without_what_was_asked_for_whole_is_no_answer(name: str, body: bytes) -> None:
    with pytest.raises(Faulted) as raised:
        page(name, EVERYTHING, None, Response(200, body, NOW), changes=False)
    assert raised.value.fault.kind == "transient"


@pytest.mark.parametrize(
    "answer",
    [
        sent(answers.error("Entity not found: Issue", "INPUT_ERROR", "invalid input")),
        Response(200, b'{"data":{"issue":null}}', NOW),
    ],
)
def test_what_is_not_found_by_id_is_gone(answer: Response) -> None:
    issue = LINEAR.collection("linear:issue")
    assert issue is not None
    assert issue.fetch is not None
    read, _ = drive(issue.fetch.page(CTX, "x", None), lambda request: answer)
    assert read.items == [Delete("linear:issue", "x", NOW)]


def test_a_webhook_must_be_signed_and_fresh() -> None:
    assert LINEAR.hook is not None

    def delivered(moment: datetime, secret: str = "s", **told: Any) -> Delivery:
        body = orjson.dumps({"action": "update", "webhookTimestamp": int(moment.timestamp() * 1000), **told})
        mark = hmac.new(secret.encode(), body, sha256).hexdigest()
        return Delivery({"linear-signature": mark}, body)

    removed = delivered(NOW, action="remove", type="ProjectUpdate", data={"id": "u1"})
    assert LINEAR.hook.read(removed, "s", NOW) == [Hint("linear:project_update", "u1")]
    comment = delivered(NOW, action="remove", type="Comment", data={"id": "c1"})
    assert LINEAR.hook.read(comment, "s", NOW) == [Hint("linear:comment", "c1")]
    by_no_id = delivered(NOW, action="remove", type="AuditEntry", data={"id": "c1"})
    assert LINEAR.hook.read(by_no_id, "s", NOW) == []
    assert LINEAR.hook.read(delivered(NOW), "s", NOW) == []
    for wrong in (delivered(NOW, "t"), delivered(NOW - timedelta(minutes=2)), Delivery({}, b"{}")):
        with pytest.raises(NotGenuine):
            LINEAR.hook.read(wrong, "s", NOW)
