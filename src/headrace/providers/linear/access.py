"""How Linear is reached: addresses, credentials, what its refusals mean, how often it may be asked.

Sources: https://linear.app/developers (OAuth 2.0 authentication: https://linear.app/developers/oauth-2-0-authentication
with PKCE and refresh tokens; GraphQL, rate limiting), the GraphQL schema of @linear/sdk.
"""

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any

import orjson

from headrace.providers.kit import (
    Account,
    CredentialKind,
    Fault,
    Limit,
    LimitPolicy,
    Properties,
    Refused,
    Remaining,
    Request,
    Response,
    TooMany,
    retry_after_s,
)
from headrace.providers.kit.auth import bearer, header
from headrace.providers.kit.forms import properties, text
from headrace.providers.kit.oauth import TokenEndpoint, address, fixed, scope
from headrace.providers.kit.refusals import body_of, by_status, words
from headrace.vault.grants import App, Grant, Link

HOST = "https://api.linear.app"
HOSTS = ("api.linear.app",)


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties.get("base_url") or HOST)


def prepare(request: Request) -> Request:
    return request


def query(text: str, variables: Mapping[str, Any] | None = None, **options: Any) -> Request:
    """A GraphQL query: a POST that may be repeated. `options` are those of Request."""
    body = orjson.dumps({"query": text, "variables": dict(variables or {})})
    return Request("/graphql", "POST", headers={"content-type": "application/json"}, body=body, **options)


# ───────────────────────────── credentials ─────────────────────────────


def _organization() -> Generator[Request, Response, Mapping[str, Any]]:
    response = yield query("query { organization { id name urlKey } }", accept=(400, 401, 403))
    errors = _errors(response)
    if response.status >= 400 or errors:
        raise Refused(f"Linear refuses it: {_message(response)}")
    body = body_of(response)
    data = body.get("data") if isinstance(body, dict) else None
    found = data.get("organization") if isinstance(data, dict) else None
    if not isinstance(found, dict) or not found.get("id"):
        raise Refused("Linear's answer does not say which organization it is of")
    return found


def _verify_oauth2(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    found = yield from _organization()
    known = held.get("linear_org_id")
    if known and known != found["id"]:
        raise Refused(f"the token is of organization {found['id']}, not of {known}")
    learned = {"linear_org_id": str(found["id"]), "linear_org_name": str(found.get("name") or "")}
    return Account(id=str(found["id"]), learned=learned)


def _verify_key(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    found = yield from _organization()
    return Account(id=str(found["id"]))


_TOKENS = TokenEndpoint(fixed("https://api.linear.app/oauth/token"), learn=scope)


def _parameters(app: App, told: Properties) -> Mapping[str, str]:
    return {"scope": "read", "prompt": "consent"}


OAUTH2 = CredentialKind(
    kind="linear_oauth2",
    schema=properties(
        ["access_token"],
        access_token=text("Access token"),
        refresh_token=text("Refresh token", "Given since October 2025: without it the access token cannot be renewed."),
        scope=text("Scope"),
        linear_org_id=text("Organization id"),
        linear_org_name=text("Organization"),
    ),
    secret=frozenset({"access_token", "refresh_token"}),
    sign=bearer("access_token"),
    verify=_verify_oauth2,
    account_of=lambda held: held.get("linear_org_id"),
    # Tokens live a day; each refresh brings the next refresh token.
    grant=Grant(_TOKENS.refresh, spends=True, life_s=86_400),
    link=Link(
        address=address(fixed("https://linear.app/oauth/authorize")),
        exchange=_TOKENS.exchange,
        parameters=_parameters,
        pkce=True,
    ),
)

KEY = CredentialKind(
    kind="linear_key",
    schema=properties(["key"], key=text("API key", "A personal API key (lin_api_…).")),
    secret=frozenset({"key"}),
    sign=header("Authorization", "key"),  # as it is, without "Bearer"
    verify=_verify_key,
)

KINDS = (OAUTH2, KEY)

# ─────────────────────────────── refusals ──────────────────────────────


def _errors(response: Response) -> list[Any]:
    body = body_of(response)
    errors = body.get("errors") if isinstance(body, dict) else None
    return errors if isinstance(errors, list) else []


def _codes(response: Response) -> set[str]:
    """The codes of GraphQL errors: `extensions.code` and `extensions.type`, in capitals."""
    found: set[str] = set()
    for error in _errors(response):
        extensions = error.get("extensions") if isinstance(error, dict) else None
        if isinstance(extensions, dict):
            found |= {
                str(extensions[name]).upper().replace(" ", "_") for name in ("code", "type") if name in extensions
            }
    return found


def _message(response: Response) -> str:
    return words(
        response, "errors.0.extensions.userPresentableMessage", "errors.0.message", "error_description", "error"
    )


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success. What went wrong stands in `errors`, with status 200 or 400: too many
    requests too (`RATELIMITED`)."""
    if response.status < 300 and not _errors(response):
        return None
    message, codes = _message(response), _codes(response)
    if "RATELIMITED" in codes:
        return Fault("rate", message)
    if codes & {"AUTHENTICATION_ERROR", "INVALID_TOKEN"}:
        return Fault("auth", message)
    if codes & {"FORBIDDEN", "FEATURE_NOT_ACCESSIBLE"}:
        return Fault("permission", message)
    if codes & {"INTERNAL_ERROR", "INTERNAL_SERVER_ERROR", "NETWORK_ERROR", "LOCK_TIMEOUT", "BOOTSTRAP_ERROR"}:
        return Fault("transient", message)
    if "ENTITY_NOT_FOUND" in codes or "entity not found" in message.lower():
        return Fault("gone", message)
    if "complex" in message.lower():
        return Fault("split", message)
    if response.status in (404, 405, 410):
        return Fault("config", message)  # of the one address that there is, not of what was asked for
    return by_status(response, message) or Fault("bad", message)


def _reset_s(response: Response, bucket: str) -> float | None:
    """`x-ratelimit-…-reset` is in milliseconds since 1970."""
    try:
        return max(0.0, float(response.headers[f"x-ratelimit-{bucket}-reset"]) / 1000 - response.sent_at.timestamp())
    except (KeyError, ValueError):
        return None


def _too_many(response: Response) -> TooMany | None:
    if response.status != 429 and not (b"errors" in response.body and "RATELIMITED" in _codes(response)):
        return None
    wait = retry_after_s(response)
    for bucket in ("endpoint-requests", "requests", "complexity"):
        if wait is None and response.headers.get(f"x-ratelimit-{bucket}-remaining") == "0":
            wait = _reset_s(response, bucket)
    return TooMany(60.0 if wait is None else wait)


def _remaining(response: Response) -> tuple[Remaining, ...]:
    """What is left in both buckets, as far as the headers say."""
    found = []
    for bucket, limit_class in (("requests", "all"), ("complexity", COMPLEXITY)):
        try:
            left = float(response.headers[f"x-ratelimit-{bucket}-remaining"])
        except (KeyError, ValueError):
            continue
        found.append(Remaining(left, limit_class, _reset_s(response, bucket)))
    return tuple(found)


COMPLEXITY = "complexity"
"""The limit class of queries, weighed by what they may cost."""

LIMITS = LimitPolicy(
    # What a personal key has; the headers of an OAuth app tell of more (5,000 and 2,000,000 were seen).
    limits=(Limit(1500, 3600), Limit(10, 1), Limit(250_000, 3600, COMPLEXITY)),
    too_many=_too_many,
    remaining=_remaining,
)


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (1500, 3600)
