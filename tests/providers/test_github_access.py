"""How GitHub's refusals, limits and webhooks are understood."""

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson
import pytest

from headrace.http import Request, Response
from headrace.providers.github import GITHUB
from headrace.providers.github.access import LIMITS, is_limited
from headrace.providers.kit import Delivery, Hint, NotGenuine

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RESET = str(int(NOW.timestamp()) + 90)


def answer(status: int, message: str = "", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, b'{"message":"%s"}' % message.encode(), NOW, named)


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (answer(401, "Bad credentials"), "auth"),
        (answer(403, "Resource not accessible by integration"), "permission"),
        (answer(403, "API rate limit exceeded", x_ratelimit_remaining="0"), "rate"),
        (answer(403, "You have exceeded a secondary rate limit."), "rate"),
        (answer(403, "abuse", retry_after="3"), "rate"),
        (answer(429), "rate"),
        (answer(404, "Not Found"), "gone"),
        (answer(410, "This issue was deleted"), "gone"),
        (answer(451, "Repository access blocked"), "gone"),
        (answer(422, "Validation Failed"), "bad"),
        (answer(202), "transient"),
        (answer(502, "Server Error"), "transient"),
        (Response(503, b"<html>Unicorn!</html>", NOW), "transient"),
        (Response(200, b"<html>Unicorn!</html>", NOW), "transient"),
        (Response(200, b'[{"id":1}', NOW), "transient"),
    ],
)
def test_an_answer_is_told_by_what_one_does_about_it(response: Response, kind: str) -> None:
    fault = GITHUB.fault(response)
    assert fault is not None
    assert fault.kind == kind


@pytest.mark.parametrize("body", [b"[]", b"{}", b'\n[{"id":1}]\n', b""])
def test_a_success_is_no_fault(body: bytes) -> None:
    assert GITHUB.fault(Response(200, body, NOW)) is None


@pytest.mark.parametrize(
    ("response", "wait_s"),
    [
        (answer(429, retry_after="7"), 7.0),
        (answer(403, x_ratelimit_remaining="0", x_ratelimit_reset=RESET), 90.0),
        (answer(403, "You have exceeded a secondary rate limit."), 60.0),
    ],
)
def test_a_limit_says_how_long_to_wait(response: Response, wait_s: float) -> None:
    too_many = LIMITS.too_many(response)
    assert too_many is not None
    assert too_many.retry_after_s == wait_s
    assert is_limited(response)


def test_what_is_left_of_the_hour_is_believed_of_the_core_budget_only() -> None:
    headers = {"x_ratelimit_remaining": "4000", "x_ratelimit_reset": RESET}
    (left,) = LIMITS.remaining(answer(200, **headers))
    assert (left.remaining, left.limit_class, left.resets_in_s) == (4000.0, "core", 90.0)
    assert LIMITS.remaining(answer(200, x_ratelimit_resource="search", **headers)) == ()
    assert LIMITS.remaining(answer(200)) == ()


def test_conditional_requests_do_not_count_towards_the_hour() -> None:
    counted = {limit.window_s: limit.limit_class for limit in LIMITS.limits}
    assert counted == {3600: "core", 60: "all"}


def test_a_webhook_must_be_signed_and_is_a_hint() -> None:
    assert GITHUB.hook is not None
    body, secret = b"Hello, World!", "It's a Secret to Everybody"
    # The example of GitHub's page "Validating webhook deliveries".
    mark = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert GITHUB.hook.read(Delivery({"x-hub-signature-256": mark}, body), secret, NOW) == []
    for headers, sent in (({}, body), ({"x-hub-signature-256": mark}, b"Hello"), ({"x-hub-signature-256": ""}, body)):
        with pytest.raises(NotGenuine):
            GITHUB.hook.read(Delivery(headers, sent), secret, NOW)


@pytest.mark.parametrize(
    ("event", "told", "named"),
    [
        ("issues", {"action": "edited", "issue": {"id": 1, "number": 2}}, []),
        ("issues", {"action": "deleted", "issue": {"id": 1, "number": 2}}, [("issue", "1", "/issues/2")]),
        ("issues", {"action": "transferred", "issue": {"id": 1, "number": 2}}, [("issue", "1", "/issues/2")]),
        ("issue_comment", {"action": "deleted", "comment": {"id": 3}}, [("issue_comment", "3", "/issues/comments/3")]),
        (
            "pull_request_review_comment",
            {"action": "deleted", "comment": {"id": 4}},
            [("review_comment", "4", "/pulls/comments/4")],
        ),
        ("repository", {"action": "deleted"}, [("repository", "9", "")]),
        (
            "installation_repositories",
            {"action": "removed", "repositories_removed": [{"id": 9}]},
            [("repository", "9", "")],
        ),
        ("push", {}, []),
    ],
)
def test_a_webhook_names_what_is_gone(event: str, told: dict[str, Any], named: list[tuple[str, str, str]]) -> None:
    assert GITHUB.hook is not None
    body = orjson.dumps({"repository": {"id": 9}} | told)
    mark = "sha256=" + hmac.new(b"s", body, sha256).hexdigest()
    delivery = Delivery({"x-hub-signature-256": mark, "x-github-event": event}, body)
    expected = [Hint(f"github:{name}", key, f"/repositories/9{path}") for name, key, path in named]
    assert GITHUB.hook.read(delivery, "s", NOW) == expected


def test_each_request_names_the_version() -> None:
    prepared = GITHUB.prepare(Request("/user"))
    assert prepared.headers["X-GitHub-Api-Version"] == "2022-11-28"
    assert prepared.headers["Accept"] == "application/vnd.github+json"
