"""How Airtable is reached: addresses, credentials, what its refusals mean, how often it may be asked.

Sources: https://airtable.com/developers/web/api (authentication, OAuth reference, rate limits, errors, get user id and
scopes).
"""

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any

from headrace.providers.kit import (
    Account,
    CredentialKind,
    Fault,
    Limit,
    LimitPolicy,
    Properties,
    Refused,
    Request,
    Response,
    TooMany,
    retry_after_s,
)
from headrace.providers.kit.auth import bearer
from headrace.providers.kit.forms import REFRESH_TOKEN, properties, text
from headrace.providers.kit.oauth import TokenEndpoint, address, fixed, scope
from headrace.providers.kit.refusals import body_of, by_status, words
from headrace.providers.kit.rows import decoded
from headrace.vault.grants import ACCESS_TOKEN, App, Grant, Link

HOST = "https://api.airtable.com"
HOSTS = ("api.airtable.com",)
SCOPES = "data.records:read data.recordComments:read schema.bases:read webhook:manage"

_PER_BASE = 3
"""Requests a second to one base. Five are allowed, and who exceeds them is shut out for half a minute."""
_SHUT_OUT_S = 30.0
_QUOTA = b"BILLING_LIMIT"
"""In the refusal where the workspace has used up its requests of this month: PUBLIC_API_BILLING_LIMIT_EXCEEDED, with
status 429, as clients of others tell it. Airtable documents neither the name nor where in the body it stands, so it is
looked for in all of it, and under the other statuses that refuse."""
_QUOTA_S = 3600.0


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties.get("base_url") or HOST)


def prepare(request: Request) -> Request:
    return request


# ───────────────────────────── credentials ─────────────────────────────


def _whoami() -> Generator[Request, Response, Mapping[str, Any]]:
    """GET /v0/meta/whoami: the user's id and, for OAuth, the scopes. What stands in for Airtable may not have it: then
    the list of bases tells whether the token is taken, and the user stays unknown."""
    response = yield Request("/v0/meta/whoami", accept=(401, 403, 404, 501), any_body=True)
    if response.status in (404, 501):
        response = yield Request("/v0/meta/bases", accept=(401, 403))
        if response.status < 300:
            return {"id": ""}
    if response.status >= 400:
        raise Refused(f"Airtable refuses it: {_message(response)}")
    answer = decoded(lambda: response.decode(object))  # one that was cut short is asked for again
    if not isinstance(answer, dict) or not answer.get("id"):
        raise Refused("Airtable's answer does not say which user it is of")
    return answer


def _verify_oauth2(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    who = yield from _whoami()
    known = held.get("airtable_uid")
    if not who["id"]:
        return Account(id=str(known or ""))
    if known and known != who["id"]:
        raise Refused(f"the token is of user {who['id']}, not of {known}")
    learned: dict[str, Any] = {"airtable_uid": str(who["id"])}
    if isinstance(who.get("scopes"), list):
        learned["scope"] = " ".join(map(str, who["scopes"]))
    return Account(id=str(who["id"]), learned=learned)


def _verify_token(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    """A personal access token is made for some bases and scopes, so the secret belongs to the account."""
    who = yield from _whoami()
    return Account(id=str(who["id"]), narrow=True)


_ENTERPRISE = text("Enterprise account id", "ent…, of the admin panel: for the audit log.", pattern=r"^ent\w+$")
_TOKENS = TokenEndpoint(fixed("https://airtable.com/oauth2/v1/token"), client_auth="basic", learn=scope)


def _parameters(app: App, told: Properties) -> Mapping[str, str]:
    return {"scope": SCOPES}


OAUTH2 = CredentialKind(
    kind="airtable_oauth2",
    schema=properties(
        ["refresh_token"],
        airtable_uid=text("User id", "usr…; learned from Airtable where it is not given."),
        refresh_token=REFRESH_TOKEN,
        scope=text("Scope"),
        enterprise_account_id=_ENTERPRISE,
    ),
    secret=frozenset({"refresh_token"}),
    sign=bearer(ACCESS_TOKEN),
    verify=_verify_oauth2,
    account_of=lambda held: held.get("airtable_uid"),
    idle_life_s=60 * 86_400,
    needs_oauth_app=True,
    # One use each: the next refresh token comes with the answer, and the access token before it dies at once.
    grant=Grant(_TOKENS.refresh, spends=True, life_s=3600, hosts=("airtable.com",)),
    link=Link(
        address=address(fixed("https://airtable.com/oauth2/v1/authorize")),
        exchange=_TOKENS.exchange,
        parameters=_parameters,
        pkce=True,
    ),
)

TOKEN = CredentialKind(
    kind="airtable_token",
    schema=properties(
        ["token"],
        token=text("Token", "A personal access token (pat…)."),
        enterprise_account_id=_ENTERPRISE,
    ),
    secret=frozenset({"token"}),
    sign=bearer("token"),
    verify=_verify_token,
)

KINDS = (OAUTH2, TOKEN)

# ─────────────────────────────── refusals ──────────────────────────────


def _type(response: Response) -> str:
    """The error's type: in an object, or the error itself is the word."""
    body = body_of(response)
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(body, dict) and isinstance(body.get("errors"), list) and body["errors"]:
        error = body["errors"][0].get("error") if isinstance(body["errors"][0], dict) else None
    return str(error.get("type") or "") if isinstance(error, dict) else str(error or "")


def _message(response: Response) -> str:
    return words(response, "error.message", "error.type", "error", "errors.0.message")


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success. INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND says either, so it is never a
    delete; a page cursor dies with LIST_RECORDS_ITERATOR_NOT_AVAILABLE. Where a formula is not understood, everything
    is read."""
    kind, message = (_type(response), _message(response)) if response.status >= 400 else ("", "")
    if kind in ("LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "INVALID_OFFSET_VALUE"):
        return Fault("restart", message)
    if _is_used_up(response):
        return Fault("quota", message)
    if kind == "INVALID_FILTER_BY_FORMULA":
        return Fault("bad", message)
    if response.status == 422:
        return Fault("config", message)
    return by_status(response, message)


def _is_used_up(response: Response) -> bool:
    return response.status in (402, 403, 429) and _QUOTA in response.body


def _too_many(response: Response) -> TooMany | None:
    """Half a minute, for the base that was asked (airtable.com/developers/web/api/rate-limits). The requests of a month
    are counted by workspace (support.airtable.com/docs/managing-api-call-limits-in-airtable): it is tried hourly."""
    if _is_used_up(response):
        return TooMany(_QUOTA_S, limit_class=None)
    if response.status != 429:
        return None
    wait = retry_after_s(response)
    return TooMany(_SHUT_OUT_S if wait is None else wait, limit_class=None)


LIMITS = LimitPolicy(limits=(Limit(50, 1),), per_endpoint=Limit(_PER_BASE, 1), too_many=_too_many)
"""`Request.limit_class` is the base's id."""


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (50, 1)
