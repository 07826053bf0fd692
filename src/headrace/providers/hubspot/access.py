"""How HubSpot is reached: addresses, credentials, what its refusals mean, how often it may be asked.

Sources: https://developers.hubspot.com/docs (OAuth, private apps, usage guidelines and limits, error handling, account
information API).
"""

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any

from headrace.providers.kit import (
    Account,
    CredentialKind,
    Fault,
    FaultClass,
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
from headrace.providers.kit.auth import bearer
from headrace.providers.kit.forms import REFRESH_TOKEN, properties, text, texts
from headrace.providers.kit.oauth import TokenEndpoint, address, fixed
from headrace.providers.kit.refusals import body_of, by_status, words
from headrace.vault.grants import ACCESS_TOKEN, App, Grant, Link

HOST = "https://api.hubapi.com"
HOSTS = ("api.hubapi.com",)
SCOPES = (
    "oauth crm.objects.contacts.read crm.objects.companies.read crm.objects.deals.read crm.objects.owners.read "
    "crm.schemas.contacts.read crm.schemas.companies.read crm.schemas.deals.read"
)
SEARCH = "search"
"""`Request.limit_class` of a search: it has a limit of its own, whose answers carry no headers."""


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties.get("base_url") or HOST)


# ───────────────────────────── credentials ─────────────────────────────


def _details() -> Generator[Request, Response, Mapping[str, Any]]:
    """GET /account-info/v3/details, which every token may ask. A token of the wrong form is answered 530."""
    response = yield Request("/account-info/v3/details", accept=(401, 530))
    if response.status >= 400:
        raise Refused(f"HubSpot refuses it: {_message(response)}")
    answer: Mapping[str, Any] = response.json()
    return answer


def _mode(details: Mapping[str, Any]) -> str:
    return "test" if details.get("accountType") in ("SANDBOX", "DEVELOPER_TEST") else "live"


def _verify_oauth2(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    details = yield from _details()
    hub_id = str(details["portalId"])
    if held.get("hub_id") and str(held["hub_id"]) != hub_id:
        raise Refused(f"the token is of portal {hub_id}, not of {held['hub_id']}")
    return Account(id=hub_id, learned={"hub_id": int(hub_id)}, mode=_mode(details))


def _verify_private(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    details = yield from _details()
    return Account(id=str(details["portalId"]), mode=_mode(details))


def _learn(answer: Mapping[str, Any]) -> Properties:
    """The portal and the scopes, which the answer tells since August 2025 (https://developers.hubspot.com/changelog,
    "Additional details returned when generating OAuth access tokens")."""
    learned: dict[str, Any] = {}
    if isinstance(answer.get("hub_id"), int):
        learned["hub_id"] = answer["hub_id"]
    if isinstance(answer.get("scopes"), list):
        learned["scopes"] = [str(each) for each in answer["scopes"]]
    return learned


_TOKENS = TokenEndpoint(fixed("https://api.hubapi.com/oauth/2026-03/token"), learn=_learn)
"""The one before, `/oauth/v1/token`, goes in February 2027 (https://developers.hubspot.com/changelog/v1-oauth-api-deprecation)."""


def _parameters(app: App, told: Properties) -> Mapping[str, str]:
    return {"scope": SCOPES}


OAUTH2 = CredentialKind(
    kind="hubspot_oauth2",
    schema=properties(
        ["refresh_token"],
        hub_domain=text("Hub domain"),
        hub_id={"type": ["integer", "string"], "title": "Hub id", "description": "The portal's id."},
        refresh_token=REFRESH_TOKEN,
        scopes=texts("Scopes"),
    ),
    secret=frozenset({"refresh_token"}),
    sign=bearer(ACCESS_TOKEN),
    verify=_verify_oauth2,
    account_of=lambda held: str(held["hub_id"]) if held.get("hub_id") else None,
    older_names=("hubspot",),
    needs_oauth_app=True,
    grant=Grant(_TOKENS.refresh, life_s=1800),
    link=Link(
        address=address(fixed("https://app.hubspot.com/oauth/authorize")),
        exchange=_TOKENS.exchange,
        parameters=_parameters,
    ),
)

PRIVATE_APP = CredentialKind(
    kind="hubspot_private_app",
    schema=properties(["token"], token=text("Token", "A private app's access token (pat-…).")),
    secret=frozenset({"token"}),
    sign=bearer("token"),
    verify=_verify_private,
)

KINDS = (OAUTH2, PRIVATE_APP)

# ─────────────────────────────── refusals ──────────────────────────────

_NOT_THERE = "OBJECT_NOT_FOUND"
"""The category of an error of a batch for inputs that are not there, or are associated with nothing."""
_MOVING = 477
"""The portal is being moved to another data centre; `Retry-After` says for how long."""


def _message(response: Response) -> str:
    """HubSpot's words, with the scopes of which it names one to be enough."""
    message = words(response, "message", "error_description", "error")
    scopes = _scopes(body_of(response)) if response.status == 403 else []
    return f"{message} (one of these scopes is missing: {', '.join(scopes)})" if scopes else message


def _scopes(body: Any) -> list[str]:
    """They stand in the context of the answer or of one of its errors, under different names."""
    answer: Mapping[str, Any] = body if isinstance(body, dict) else {}
    contexts = [answer.get("context"), *(each.get("context") for each in _errors(answer.get("errors")))]
    named = ("requiredGranularScopes", "requiredScopes", "missingScopes")
    lists = (context.get(name) for context in contexts if isinstance(context, dict) for name in named)
    return list(dict.fromkeys(str(each) for told in lists if isinstance(told, list) for each in told))


def _errors(told: Any) -> list[Mapping[str, Any]]:
    """The errors of an answer or a batch, in whatever form they come."""
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []


def not_there(errors: Any) -> frozenset[str]:
    """The ids of which the errors of a batch say that they are not there."""
    missing = (each.get("context") for each in _errors(errors) if each.get("category") == _NOT_THERE)
    lists = (context.get("ids") for context in missing if isinstance(context, dict))
    return frozenset(str(key) for ids in lists if isinstance(ids, list) for key in ids)


def _in_batch(response: Response) -> Fault | None:
    """What failed in a batch (207). That some inputs are not there is an answer; anything else is none: what failed
    would else be taken for gone."""
    body = body_of(response)
    answer: Mapping[str, Any] = body if isinstance(body, dict) else {}
    errors = _errors(answer.get("errors"))
    failed = [each for each in errors if each.get("category") != _NOT_THERE]
    if not failed:
        untold = not errors and answer.get("numErrors")
        return Fault("transient", "a part of the batch failed, and no error is told") if untold else None
    kind: FaultClass = "permission" if failed[0].get("category") == "MISSING_SCOPES" else "transient"
    return Fault(kind, str(failed[0].get("message") or "a part of the batch failed"))


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success."""
    if response.status == 207:
        return _in_batch(response)
    message = _message(response) if response.status >= 400 else ""
    if response.status == _MOVING:
        return Fault("rate", message)
    if response.status == 530:
        return Fault("auth", "the token does not have the form of one of HubSpot's")
    return by_status(response, message)


_QUARTER_S = 900.0
_DAY_S = 86_400.0


def _until_quarter_s(response: Response) -> float:
    """The next moment at which it may be midnight where the portal is. The day's quota comes back then; neither a 429
    nor the headers name the portal's time zone, and every one is a whole number of quarters of an hour away from the
    others."""
    return _QUARTER_S - response.sent_at.timestamp() % _QUARTER_S


def _too_many(response: Response) -> TooMany | None:
    """`policyName` says which limit it was: a second, ten seconds, or the day, which holds for searches too."""
    if response.status not in (429, _MOVING):
        return None
    wait = retry_after_s(response)
    policy = words(response, "policyName").upper()
    if policy == "DAILY":
        return TooMany(_until_quarter_s(response) if wait is None else wait)
    if wait is None:
        wait = 1.0 if policy == "SECONDLY" else 10.0
    return TooMany(wait, limit_class=None)


def _remaining(response: Response) -> tuple[Remaining, ...]:
    """What is left of the ten seconds, and of the day where there is such a limit (not for OAuth)."""
    left, day = _number(response, "remaining"), _number(response, "daily-remaining")
    interval_ms = _number(response, "interval-milliseconds")
    told = []
    if left is not None and interval_ms is not None:
        told.append(Remaining(left, "all", interval_ms / 1000))
    if day is not None:
        told.append(Remaining(day, "all", _until_quarter_s(response)))
    return tuple(told)


def _number(response: Response, name: str) -> float | None:
    try:
        return float(response.headers[f"x-hubspot-ratelimit-{name}"])
    except (KeyError, ValueError):
        return None


LIMITS = LimitPolicy(
    # Of the day's limit only what the headers say is heeded, since it differs from portal to portal: ours is what a
    # hundred in ten seconds come to.
    limits=(Limit(100, 10), Limit(864_000, _DAY_S), Limit(4, 1, limit_class=SEARCH)),
    too_many=_too_many,
    remaining=_remaining,
)


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (100, 10)
