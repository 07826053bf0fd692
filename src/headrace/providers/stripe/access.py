"""How Stripe is reached: addresses, versions, credentials, what its refusals mean, how often it may be asked, webhooks.

Sources: https://docs.stripe.com/api (authentication, errors, versioning), https://docs.stripe.com/rate-limits,
https://docs.stripe.com/webhooks (signatures).
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Generator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from headrace.providers.kit import (
    Account,
    CredentialKind,
    Delivery,
    Fault,
    Faulted,
    Hint,
    Limit,
    LimitPolicy,
    NotGenuine,
    Properties,
    Refused,
    Request,
    Response,
    TooMany,
    retry_after_s,
)
from headrace.providers.kit.auth import bearer
from headrace.providers.kit.oauth import TokenEndpoint, address, at, fixed
from headrace.providers.kit.rows import Picker
from headrace.vault.grants import App, Code, Grant, Link, Minting

VERSION = "2026-10-28.endive"
"""The API version that is asked for, whatever the account's default: the one of stripe-python 16.1.0
(`stripe._api_version`), whose types the packaged schemas are made of."""

HOST = "https://api.stripe.com"
TOLERANCE = timedelta(minutes=5)


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties.get("base_url") or HOST)


def prepare(request: Request) -> Request:
    return request.with_header("Stripe-Version", VERSION)


# ───────────────────────────── credentials ─────────────────────────────

_ACCOUNT_IN_TEXT = re.compile(r"\bacct_[A-Za-z0-9]+")
_account = Picker(
    id=("id", str),
    name=("settings.dashboard.display_name", Any),
    business=("business_profile.name", Any),
)


def _is_test(properties: Properties, secret: str) -> bool:
    """The key says it. Only a token that does not (of an OAuth grant, `test` being in the token endpoint's answer) is
    believed by what was given."""
    told = _told_by(secret)
    return properties.get("test") is True if told is None else told


def _told_by(secret: str) -> bool | None:
    if secret.startswith(("sk_test_", "rk_test_")):
        return True
    return False if secret.startswith(("sk_live_", "rk_live_")) else None


def _contradictions(secret_name: str) -> Callable[[Properties], Mapping[str, str]]:
    def found(properties: Properties) -> Mapping[str, str]:
        told, given = _told_by(str(properties.get(secret_name, ""))), properties.get("test")
        if told is None or given is None or told == given:
            return {}
        return {"test": f"contradicts the key, which is of {'test' if told else 'live'} mode; leave it out"}

    return found


def _mode_told(secret_name: str) -> Callable[[Properties], str]:
    return lambda properties: "test" if _is_test(properties, str(properties[secret_name])) else "live"


def _verify(secret_name: str) -> Any:
    def verify(properties: Properties, now: datetime) -> Generator[Request, Response, Account]:
        """GET /v1/account, which needs no permission with a secret key. A restricted key without the right to read the
        account is answered 403, in words that name the account; where they do not, the account stays unknown ("")."""
        secret = str(properties[secret_name])
        mode = "test" if _is_test(properties, secret) else "live"
        response = yield Request("/v1/account", limit_class="/v1/account", accept=(401, 403, 404, 501), any_body=True)
        learned: dict[str, Any] = {"test": mode == "test"}
        if response.status in (404, 501):
            # Stripe has this address; an emulator may not. Then a list that each has tells whether the key is taken.
            path = "/v1/customers"
            response = yield Request(path, query=(("limit", "1"),), limit_class=path, accept=(401, 403))
            if response.status < 300:
                return Account(id=str(properties.get("stripe_user_id") or ""), learned=learned, mode=mode, narrow=True)
        if response.status == 401:
            raise Refused(f"Stripe refuses it: {error_of(response).message or 'invalid API key'}")
        if response.status == 403:
            named = _ACCOUNT_IN_TEXT.search(error_of(response).message)
            known = properties.get("stripe_user_id") or (named.group() if named else "")
            return Account(id=str(known), learned=learned, mode=mode, narrow=True)
        account_id, name, business = _account(response.body)
        oauth = "stripe_user_id" in properties  # a kind that has no name of its own
        if not oauth and not properties.get("name") and (name or business):
            learned["name"] = str(name or business)
        if oauth and properties["stripe_user_id"] != account_id:
            raise Refused(f"the token is of account {account_id}, not of {properties['stripe_user_id']}")
        return Account(id=account_id, learned=learned, mode=mode, narrow=secret.startswith("rk_"))

    return verify


def _schema(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    base = {"base_url": {"type": "string", "format": "uri", "title": "Another host, in development"}}
    return {"type": "object", "properties": {**properties, **base}, "required": required, "additionalProperties": False}


_TEST = {"type": "boolean", "title": "Test mode", "description": "Read off the key where it is not given."}

KEY = CredentialKind(
    kind="stripe_key",
    schema=_schema(
        ["secret"],
        name={"type": "string", "title": "Name"},
        secret={
            "type": "string",
            "title": "Secret key",
            "description": "A secret (sk_…) or restricted (rk_…) key.",
            "pattern": "^(sk|rk)_.+",
        },
        test=_TEST,
    ),
    secret=frozenset({"secret"}),
    sign=bearer("secret"),
    verify=_verify("secret"),
    mode_of=_mode_told("secret"),
    contradictions=_contradictions("secret"),
    aliases={"secret_key": "secret"},
)


def _learn(answer: Mapping[str, Any]) -> Properties:
    learned: dict[str, Any] = {name: answer[name] for name in ("stripe_user_id", "scope") if answer.get(name)}
    if isinstance(answer.get("livemode"), bool):
        learned["test"] = not answer["livemode"]
    return learned


_CONNECT = TokenEndpoint(fixed("https://connect.stripe.com/oauth/token"), client_auth="secret", learn=_learn)
_APP_TOKENS = TokenEndpoint(fixed("https://api.stripe.com/v1/oauth/token"), client_auth="key", learn=_learn)
_CONNECT_LINK = "https://connect.stripe.com/oauth/authorize"
_APP_LINK = "https://marketplace.stripe.com/oauth/v2/authorize"
"""Stripe Apps are installed elsewhere than Connect's accounts are connected, and their tokens made elsewhere
(https://docs.stripe.com/stripe-apps/api-authentication/oauth, https://docs.stripe.com/connect/oauth-reference)."""


def _of_app(held: Properties) -> bool:
    """Whether the grant is a Stripe App's: the scope of all of these is `stripe_apps`, what they may do stands in the
    app's manifest. Connect's scopes are `read_only` and `read_write`."""
    return held.get("scope") == "stripe_apps"


def _refresh(held: Properties, app: App | None, now: datetime) -> Minting:
    """Where no scope was given, it is an App's: only those need it."""
    tokens = _APP_TOKENS if _of_app(held) or not held.get("scope") else _CONNECT
    return tokens.refresh(held, app, now)


def _exchange(code: Code, app: App, told: Properties, now: datetime) -> Minting:
    return (_APP_TOKENS if _of_app(told) else _CONNECT).exchange(code, app, told, now)


OAUTH2 = CredentialKind(
    kind="stripe_oauth2",
    schema=_schema(
        ["stripe_user_id", "access_token"],
        stripe_user_id={"type": "string", "title": "Account id", "pattern": "^acct_.+"},
        access_token={"type": "string", "title": "Access token", "description": "The connected account's own key."},
        refresh_token={"type": "string", "title": "Refresh token"},
        scope={
            "type": "string",
            "title": "Scope",
            "description": "read_only or read_write; stripe_apps of a Stripe App.",
        },
        test=_TEST,
    ),
    secret=frozenset({"access_token", "refresh_token"}),
    sign=bearer("access_token"),
    verify=_verify("access_token"),
    mode_of=_mode_told("access_token"),
    contradictions=_contradictions("access_token"),
    account_of=lambda properties: str(properties["stripe_user_id"]) if properties.get("stripe_user_id") else None,
    older_names=("stripe_oauth",),
    # Tokens of Stripe Apps live an hour, and their refresh tokens are spent. Those of Connect have no end: then there
    # is nothing to refresh until it is taken back.
    grant=Grant(_refresh, spends=True, life_s=3600, hosts=("connect.stripe.com",)),
    link=Link(
        address=address(lambda told: at(told, _APP_LINK if _of_app(told) else _CONNECT_LINK)),
        exchange=_exchange,
        parameters=lambda app, told: {} if _of_app(told) else {"scope": str(told.get("scope") or "read_only")},
    ),
)


# ─────────────────────────────── refusals ──────────────────────────────


class Error(msgspec.Struct):
    """Stripe's error object (https://docs.stripe.com/api/errors)."""

    type: str | None = None
    code: str | None = None
    message: str = ""
    param: str | None = None


class _ErrorBody(msgspec.Struct):
    error: Error


_errors = msgspec.json.Decoder(_ErrorBody)


def error_of(response: Response) -> Error:
    """The error object of an answer; an empty one where the body has none."""
    try:
        return _errors.decode(response.body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Error()


def is_missing(response: Response) -> bool:
    """Whether Stripe itself says that the object is not there: by its code or, as it was said before there were codes
    and emulators still say it, in an error of a request whose address was understood."""
    error = error_of(response)
    if response.status != 404 or error.code:
        return response.status == 404 and error.code == "resource_missing"
    return error.type == "invalid_request_error" and _NOT_THERE.match(error.message) is not None


def is_gone(response: Response) -> bool:
    """Whether Stripe says that the object is not there. A 404 in other words may be a wrong address or somebody else's
    page: that deletes nothing. Raises Faulted for it."""
    if response.status != 404:
        return False
    if not is_missing(response):
        raise Faulted(Fault("config", f"404 without resource_missing: {error_of(response).message or response.url}"))
    return True


_NOT_THERE = re.compile(r"No such \w|Not Found$", re.I)
_UNAVAILABLE = re.compile(r"not (?:set ?up|enabled|signed up|activated|allowed)|must (?:enable|activate|sign up)", re.I)


def is_crash(response: Response) -> bool:
    """Whether a server broke down over the request: Stripe's own errors come with its error object, and those of what
    stands before it with other statuses."""
    return response.status == 500 and error_of(response) == Error()


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success."""
    status = response.status
    if 200 <= status < 300:
        return None if _looks_whole(response.body) else Fault("transient", "the answer is no JSON, or was cut short")
    error = error_of(response)
    message = error.message or f"HTTP status {status}"
    if status == 400:
        return _bad_request(error, message)
    if status == 404:
        return Fault("gone" if is_missing(response) else "config", message)
    if status == 429:
        return Fault("transient" if error.code == "lock_timeout" else "rate", message)
    if status in (408, 409, 424, 425) or (status >= 500 and status != 501):
        return Fault("transient", message)
    if status == 401:
        return Fault("auth", message)
    return Fault("permission" if status == 403 else "config", message)


def _bad_request(error: Error, message: str) -> Fault:
    if error.param in ("starting_after", "ending_before"):
        return Fault("expired" if "aged out" in message else "restart", message)
    if "aged out" in message:
        return Fault("expired", message)
    if error.code in ("account_invalid", "platform_api_key_expired") or _UNAVAILABLE.search(message):
        return Fault("permission", message)
    return Fault("bad", message)


def _looks_whole(body: bytes) -> bool:
    """A cheap look at both ends: HTML error pages and bodies cut short do not pass; the decoder sees the rest."""
    return body.lstrip()[:1] == b"{" and body.rstrip()[-1:] == b"}"


def _too_many(response: Response) -> TooMany | None:
    """429 with `Stripe-Rate-Limited-Reason` (https://docs.stripe.com/rate-limits): the account's limit, or the
    endpoint's, or that of one object. There are no headers that tell what is left."""
    if response.status != 429 or error_of(response).code == "lock_timeout":
        return None
    reason = response.headers.get("stripe-rate-limited-reason", "")
    whole = reason.startswith("global") or not reason
    return TooMany(retry_after_s(response), limit_class="all" if whole else None)


LIMITS = LimitPolicy(
    # Half of the published 100/s live, and 20 of the 25/s of a sandbox: the account's own business comes first.
    limits=(Limit(50, 1, mode="live"), Limit(20, 1, mode="test")),
    per_endpoint=Limit(20, 1),
    too_many=_too_many,
)


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (20, 1) if mode == "test" else (50, 1)


# ─────────────────────────────── webhooks ──────────────────────────────


def read_webhook(delivery: Delivery, secret: str, now: datetime) -> list[Hint]:
    """Check `Stripe-Signature: t=…,v1=…`: HMAC-SHA256 of "t.body" with the endpoint's secret, not older or younger than
    five minutes (https://docs.stripe.com/webhooks#verify-manually). The event itself is read from the feed, where its
    order is known: a genuine webhook is a hint without items."""
    moment, signatures = _signature(delivery.headers.get("stripe-signature", ""))
    expected = hmac.new(secret.encode(), f"{moment}.".encode() + delivery.body, hashlib.sha256).hexdigest()
    if not any(hmac.compare_digest(expected.encode(), given.encode()) for given in signatures):
        raise NotGenuine("the Stripe-Signature header does not fit the body and the signing secret")
    if abs(now.timestamp() - moment) > TOLERANCE.total_seconds():
        raise NotGenuine("the webhook was signed more than five minutes ago, or in the future")
    return []


def accounts_of(delivery: Delivery) -> list[str]:
    """The connected account: an endpoint of Connect, or of a Stripe App, is told of all accounts
    (https://docs.stripe.com/connect/webhooks, `account`)."""
    account = msgspec.json.decode(delivery.body).get("account")
    return [account] if isinstance(account, str) else []


def _signature(header: str) -> tuple[int, list[str]]:
    """The timestamp and the v1 signatures of the header; several while a secret is being rolled."""
    pairs = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in pairs if name == "t" and re.fullmatch("[0-9]{1,15}", value)]
    if not times:
        raise NotGenuine("the Stripe-Signature header is missing or has no time")
    return int(times[0]), [value for name, _, value in pairs if name == "v1"]
