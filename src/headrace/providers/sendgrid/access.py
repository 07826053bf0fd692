"""How SendGrid is reached: addresses, credentials, what its refusals mean, how often it may be asked.

Sources: https://www.twilio.com/docs/sendgrid/api-reference (authentication, scopes, rate limits, errors), and its
OpenAPI documents (twilio/sendgrid-oai).
"""

import re
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
from headrace.providers.kit.forms import properties, text
from headrace.providers.kit.refusals import by_status, words

HOST = "https://api.sendgrid.com"
EU = "https://api.eu.sendgrid.com"
HOSTS = ("api.sendgrid.com", "api.eu.sendgrid.com")
_KEY = r"^SG\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties.get("base_url") or (EU if properties.get("region") == "eu" else HOST))


def prepare(request: Request) -> Request:
    return request


# ───────────────────────────── credentials ─────────────────────────────


def _key_id(held: Properties) -> str | None:
    """The middle of `SG.<id>.<secret>` is the key's id, which is no secret."""
    found = re.fullmatch(_KEY, str(held["api_key"]))
    return str(held["api_key"]).split(".")[1] if found else None


def _verify(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    """GET /v3/scopes, which every key may ask."""
    response = yield Request("/v3/scopes", accept=(401, 403))
    if response.status >= 400:
        raise Refused(f"SendGrid refuses it: {_message(response)}")
    return Account(id=_key_id(held) or "")


KEY = CredentialKind(
    kind="sendgrid_key",
    schema=properties(
        ["api_key"],
        api_key=text("API key", "SG.…", pattern=_KEY),
        region={"type": "string", "title": "Region", "enum": ["global", "eu"]},
    ),
    secret=frozenset({"api_key"}),
    sign=bearer("api_key"),
    verify=_verify,
    account_of=_key_id,
)

KINDS = (KEY,)

# ─────────────────────────────── refusals ──────────────────────────────

_EPOCH = 1_000_000_000
"""`x-ratelimit-reset` is a moment in seconds since 1970, or the seconds until then: the larger are moments."""


def _message(response: Response) -> str:
    return words(response, "errors.0.message", "error", "message")


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success."""
    return by_status(response, _message(response) if response.status >= 400 else "")


def _reset_s(response: Response) -> float | None:
    try:
        reset = float(response.headers["x-ratelimit-reset"])
    except (KeyError, ValueError):
        return None
    return max(0.0, reset - response.sent_at.timestamp() if reset > _EPOCH else reset)


def _too_many(response: Response) -> TooMany | None:
    if response.status != 429:
        return None
    wait = retry_after_s(response)
    return TooMany(_reset_s(response) if wait is None else wait, limit_class=None)


LIMITS = LimitPolicy(limits=(Limit(600, 60),), too_many=_too_many)
"""Each endpoint has a window of its own, whose headers say nothing of the others."""


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (600, 60)
