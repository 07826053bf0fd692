"""How Marketo Engage is reached: addresses, credentials, what its refusals mean, how often it may be asked.

Sources: https://experienceleague.adobe.com/en/docs/marketo-developer (authentication, error codes, usage limits).
"""

from collections.abc import Generator, Mapping
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

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
)
from headrace.providers.kit.auth import bearer
from headrace.providers.kit.forms import properties, text
from headrace.providers.kit.oauth import TokenEndpoint
from headrace.providers.kit.refusals import body_of, by_status, words
from headrace.vault.grants import ACCESS_TOKEN, Grant

HOSTS = ("*.mktorest.com",)
_BASE_URL = r"^https://[0-9A-Za-z-]+\.mktorest\.com/?$"
_ZONE = ZoneInfo("America/Chicago")
"""The daily quota begins anew at midnight US Central."""


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties["base_url"]).rstrip("/")


def prepare(request: Request) -> Request:
    return request


# ───────────────────────────── credentials ─────────────────────────────

_TOKENS = TokenEndpoint(lambda held: f"{base_url(held)}/identity/oauth/token")


def _verify(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    """GET /rest/v1/stats/usage.json: today's usage. Without the right to it the token is good all the same."""
    response = yield Request("/rest/v1/stats/usage.json", accept=(200,))
    found = fault(response)
    if found is not None and found.kind == "auth":
        raise Refused(f"Marketo refuses it: {found.message}")
    return Account(id=base_url(held))


CLIENT = CredentialKind(
    kind="marketo_client",
    schema=properties(
        ["base_url", "client_id", "client_secret"],
        base_url=text("Base URL", "Such as https://123-abc-456.mktorest.com.", pattern=_BASE_URL),
        client_id=text("Client id"),
        client_secret=text("Client secret"),
    ),
    secret=frozenset({"client_secret"}),
    sign=bearer(ACCESS_TOKEN),
    verify=_verify,
    account_of=base_url,
    # `expires_in` is what is left of a token that all who ask share.
    grant=Grant(_TOKENS.client_credentials, of=("client_secret",), life_s=600),
)

KINDS = (CLIENT,)

# ─────────────────────────────── refusals ──────────────────────────────

_CODES = {
    "601": "auth", "602": "auth", "600": "auth", "603": "permission", "604": "split", "606": "rate", "607": "quota",
    "608": "transient", "610": "gone", "611": "transient", "614": "config", "615": "rate", "713": "transient",
    "1003": "bad", "1029": "rate", "1035": "config",
}  # fmt: skip


def _code(response: Response) -> str:
    body = body_of(response)
    errors = body.get("errors") if isinstance(body, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    return str(first.get("code") or "") if isinstance(first, dict) else ""


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success. `success` decides, not the status, which is 200 nearly always; 702 means
    that there is nothing."""
    message = words(response, "errors.0.message", "error_description", "error")
    if response.status >= 300:
        return by_status(response, message)
    body = body_of(response)
    if not isinstance(body, dict) or body.get("success") is not False:
        return None  # other formats: exported files
    code = _code(response)
    if code == "702":
        return None
    kind: Any = _CODES.get(code, "bad")
    return Fault(kind, f"{code}: {message}" if code else message)


def _too_many(response: Response) -> TooMany | None:
    """No header tells how long: 20 seconds is the window of 606, a second does for 615."""
    code = _code(response) if response.status == 200 else ""
    if code == "607":
        here = response.sent_at.astimezone(_ZONE)
        midnight = datetime.combine(here.date() + timedelta(days=1), time(), _ZONE)
        return TooMany(until=midnight)
    waits = {"606": 20.0, "615": 1.0, "1029": 60.0}
    if code in waits:
        return TooMany(waits[code])
    return TooMany() if response.status == 429 else None


LIMITS = LimitPolicy(limits=(Limit(100, 20), Limit(50_000, 86_400)), concurrent=10, too_many=_too_many)


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (100, 20)
