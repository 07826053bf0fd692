"""Stripe's credentials, refusals, limits and webhooks, as its documentation says them."""

import hashlib
import hmac
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import orjson
import pytest

from headrace.http import Request, Response
from headrace.providers.kit import Account, Delivery, NotGenuine, Properties, Refused, TooMany
from headrace.providers.stripe import STRIPE
from headrace.providers.stripe.access import KEY, OAUTH2, VERSION

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def refusal(status: int, code: str | None = None, message: str = "", **more: Any) -> Response:
    headers = more.pop("headers", {})
    error = {"type": "invalid_request_error", "code": code, "message": message, **more}
    return Response(status, orjson.dumps({"error": error}), NOW, headers)


# ── what an answer is ──


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (Response(200, b'{"object":"list","data":[]}\n', NOW), None),
        (Response(200, b"<!doctype html><h1>Busy</h1>", NOW), "transient"),
        (Response(200, b'{"object":"list","data":[{"id":"a"', NOW), "transient"),
        (Response(200, b"", NOW), "transient"),
        (refusal(400, "resource_missing", "No such customer: 'cus_9'", param="starting_after"), "restart"),
        (
            refusal(400, None, "The event is no longer available because it's aged out", param="starting_after"),
            "expired",
        ),
        (refusal(400, None, "This event is no longer available because it's aged out."), "expired"),
        (refusal(400, "parameter_unknown", "Received unknown parameter: foo", param="foo"), "bad"),
        (refusal(400, None, "Your account is not set up to use Issuing."), "permission"),
        (refusal(400, "account_invalid", "The account is gone"), "permission"),
        (refusal(401, None, "Invalid API Key provided: sk_test_****1234"), "auth"),
        (refusal(402, "card_declined"), "config"),
        (refusal(403, None, "The provided key 'rk_live_****' does not have the required permissions"), "permission"),
        (refusal(404, "resource_missing", "No such customer"), "gone"),
        (refusal(404, None, "Unrecognized request URL"), "config"),
        (Response(404, b"<html></html>", NOW), "config"),
        (refusal(409, "idempotency_key_in_use"), "transient"),
        (refusal(429, "rate_limit", "Too many requests"), "rate"),
        (refusal(429, "lock_timeout", "This object cannot be accessed right now"), "transient"),
        (refusal(500), "transient"),
        (Response(502, b"<html>bad gateway</html>", NOW), "transient"),
        (Response(503, b"", NOW), "transient"),
        (Response(301, b"", NOW), "config"),
    ],
)
def test_answers_are_classified(response: Response, kind: str | None) -> None:
    fault = STRIPE.fault(response)
    assert (fault.kind if fault else None) == kind
    assert fault is None or fault.message


@pytest.mark.parametrize(
    ("headers", "too_many"),
    [
        ({"stripe-rate-limited-reason": "global-rate"}, TooMany(None, "all")),
        ({"stripe-rate-limited-reason": "global-concurrency", "retry-after": "2"}, TooMany(2.0, "all")),
        ({"stripe-rate-limited-reason": "endpoint-rate"}, TooMany(None, None)),
        ({"stripe-rate-limited-reason": "endpoint-concurrency"}, TooMany(None, None)),
        ({"stripe-rate-limited-reason": "resource-specific"}, TooMany(None, None)),
        ({}, TooMany(None, "all")),
    ],
)
def test_a_429_says_which_limit_it_was(headers: dict[str, str], too_many: TooMany) -> None:
    assert STRIPE.limits.too_many(refusal(429, "rate_limit", headers=headers)) == too_many


def test_a_lock_timeout_is_no_limit() -> None:
    assert STRIPE.limits.too_many(refusal(429, "lock_timeout")) is None
    assert STRIPE.limits.too_many(refusal(400)) is None


def test_limits_stay_below_the_published_ones() -> None:
    by_mode = {limit.mode: limit.allowed / limit.window_s for limit in STRIPE.limits.limits}
    assert by_mode == {"live": 50, "test": 20}
    assert STRIPE.limits.per_endpoint is not None
    assert STRIPE.limits.per_endpoint.allowed == 20
    assert (STRIPE.default_rate_limit("live"), STRIPE.default_rate_limit("test")) == ((50, 1), (20, 1))


# ── credentials ──


def verify(kind: Any, properties: Properties, response: Response) -> tuple[Account, Request]:
    steps: Generator[Request, Response, Account] = kind.verify(properties, NOW)
    request = next(steps)
    try:
        steps.send(response)
    except StopIteration as stop:
        return stop.value, request
    raise AssertionError("verify asked for more than one answer")


ACCOUNT = Response(200, b'{"id":"acct_1","settings":{"dashboard":{"display_name":"Mill"}}}', NOW)


def test_a_secret_key_is_verified_by_the_account() -> None:
    account, request = verify(KEY, {"secret": "sk_live_1"}, ACCOUNT)
    assert request.url == "/v1/account"
    assert account == Account("acct_1", {"test": False, "name": "Mill"}, "live", narrow=False)


@pytest.mark.parametrize(
    ("properties", "mode"),
    [
        ({"secret": "sk_test_1"}, "test"),
        ({"secret": "rk_test_1"}, "test"),
        ({"secret": "sk_live_1"}, "live"),
        ({"secret": "sk_1", "test": True}, "test"),
        ({"secret": "sk_1", "test": False}, "live"),
    ],
)
def test_the_mode_is_read_off_the_key(properties: Properties, mode: str) -> None:
    account, _ = verify(KEY, properties, ACCOUNT)
    assert account.mode == mode
    assert account.learned["test"] is (mode == "test")


def test_a_name_given_is_kept() -> None:
    account, _ = verify(KEY, {"secret": "sk_1", "name": "Ours"}, ACCOUNT)
    assert "name" not in account.learned


def test_a_restricted_key_is_narrow_even_where_it_may_read_the_account() -> None:
    account, _ = verify(KEY, {"secret": "rk_live_1"}, ACCOUNT)
    assert (account.id, account.narrow) == ("acct_1", True)


@pytest.mark.parametrize(
    ("message", "known"),
    [
        ("The provided key 'rk_live_*' does not have the required permissions on account 'acct_1AbC'.", "acct_1AbC"),
        ("The provided key 'rk_live_*' does not have the required permissions.", ""),
    ],
)
def test_a_restricted_key_without_the_account_may_leave_it_unknown(message: str, known: str) -> None:
    account, _ = verify(KEY, {"secret": "rk_live_1"}, refusal(403, None, message))
    assert (account.id, account.narrow) == (known, True)


def test_an_invalid_key_is_refused_without_showing_it() -> None:
    with pytest.raises(Refused) as raised:
        verify(KEY, {"secret": "sk_live_hidden"}, refusal(401, None, "Invalid API Key provided: sk_live_****dden"))
    assert "sk_live_hidden" not in str(raised.value)


def test_a_token_of_another_account_is_refused() -> None:
    with pytest.raises(Refused, match="acct_1"):
        verify(OAUTH2, {"stripe_user_id": "acct_2", "access_token": "sk_live_1"}, ACCOUNT)


def test_requests_are_signed_and_carry_the_pinned_version() -> None:
    signed = KEY.sign(STRIPE.prepare(Request("/v1/customers")), {"secret": "sk_1"}, NOW)
    assert signed.headers == {"Stripe-Version": VERSION, "Authorization": "Bearer sk_1"}
    assert OAUTH2.sign(Request("/v1/x"), {"access_token": "t"}, NOW).headers == {"Authorization": "Bearer t"}


def test_the_base_url_is_stripes_unless_another_is_given() -> None:
    assert STRIPE.base_url({}) == "https://api.stripe.com"
    assert STRIPE.base_url({"base_url": "http://127.0.0.1:9"}) == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("kind", "properties", "accepted"),
    [
        (KEY, {"secret": "sk_live_1"}, True),
        (KEY, {"secret": "rk_test_1", "name": "n", "test": True, "base_url": "http://localhost:1"}, True),
        (KEY, {"secret": "pk_live_1"}, False),
        (KEY, {"name": "no secret"}, False),
        (KEY, {"secret": "sk_1", "colour": "red"}, False),
        (OAUTH2, {"stripe_user_id": "acct_1", "access_token": "t", "scope": "read_only"}, True),
        (OAUTH2, {"access_token": "t"}, False),
    ],
)
def test_the_schema_of_a_kind_says_what_it_takes(kind: Any, properties: Properties, accepted: bool) -> None:
    assert jsonschema.Draft202012Validator(kind.schema).is_valid(properties) is accepted
    assert kind.secret <= kind.schema["properties"].keys()


def test_older_spellings_are_known() -> None:
    assert KEY.aliases == {"secret_key": "secret"}
    assert OAUTH2.older_names == ("stripe_oauth",)
    assert OAUTH2.account_of({"stripe_user_id": "acct_1"}) == "acct_1"
    assert KEY.account_of({"secret": "sk_1"}) is None


# ── webhooks ──

SECRET = "whsec_1"
BODY = b'{"id":"evt_1","object":"event"}'


def signature(at: datetime = NOW, body: bytes = BODY, secret: str = SECRET) -> str:
    moment = int(at.timestamp())
    return hmac.new(secret.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()


def read(header: str, body: bytes = BODY, now: datetime = NOW) -> list[Any]:
    assert STRIPE.hook is not None
    return STRIPE.hook.read(Delivery({"stripe-signature": header}, body), SECRET, now)


MOMENT = int(NOW.timestamp())


def test_a_genuine_webhook_is_a_hint() -> None:
    assert read(f"t={MOMENT},v1={signature()}") == []
    assert read(f"t={MOMENT}, v1={'0' * 64}, v1={signature()}, v0=old") == []


@pytest.mark.parametrize("late", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_a_webhook_is_taken_within_five_minutes(late: timedelta) -> None:
    header = f"t={MOMENT},v1={signature()}"
    assert read(header, now=NOW + late) == []
    with pytest.raises(NotGenuine):
        read(header, now=NOW + late * 1.01)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "v1=abc",
        f"t={MOMENT}",
        f"t={MOMENT},v1=",
        f"t={MOMENT},v1={'0' * 64}",
        f"t={MOMENT},v0={signature()}",
        f"t={MOMENT},v1={signature(secret='whsec_2')}",
        f"t={MOMENT},v1={signature(body=b'{}')}",
        f"t={MOMENT + 1},v1={signature()}",
        f"t=now,v1={signature()}",
        f"t={'9' * 5000},v1={signature()}",
        f"t=²,v1={signature()}",
        f"t={MOMENT},v1=é",
    ],
)
def test_what_does_not_hold_is_not_genuine(header: str) -> None:
    with pytest.raises(NotGenuine):
        read(header)


@pytest.mark.parametrize(
    ("secret", "test", "contradicted"),
    [
        ("sk_live_1", True, True),
        ("rk_live_1", True, True),
        ("sk_test_1", False, True),
        ("sk_live_1", False, False),
        ("sk_test_1", True, False),
        ("sk_live_1", None, False),
        ("sk_1", True, False),
    ],
)
def test_a_key_says_itself_whether_it_is_of_test_mode(secret: str, test: bool | None, contradicted: bool) -> None:
    given = {"secret": secret} | ({} if test is None else {"test": test})
    assert (set(KEY.contradictions(given)) == {"test"}) == contradicted
    if secret.startswith(("sk_live_", "rk_live_")):
        assert KEY.mode_of(given) == "live"
