"""How Auth0's Management API is reached: addresses, credentials, what its refusals mean, how often it may be asked.

Sources: https://auth0.com/docs (Management API access tokens, client credentials flow, rate limit policy, error codes).
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
    Remaining,
    Request,
    Response,
    TooMany,
    retry_after_s,
)
from headrace.providers.kit.auth import bearer
from headrace.providers.kit.forms import properties, text
from headrace.providers.kit.oauth import TokenEndpoint, at
from headrace.providers.kit.refusals import by_status, words
from headrace.vault.grants import ACCESS_TOKEN, Grant

HOSTS = ("*.auth0.com",)
_DOMAIN = r"^[a-z0-9-]+(\.[a-z0-9-]+)*\.auth0\.com$"


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties.get("base_url") or f"https://{properties['domain']}")


def prepare(request: Request) -> Request:
    return request


# ───────────────────────────── credentials ─────────────────────────────


def _audience(held: Properties) -> Mapping[str, str]:
    return {"audience": f"https://{held['domain']}/api/v2/"}


_TOKENS = TokenEndpoint(
    lambda held: at(held, f"https://{held['domain']}/oauth/token"), encoding="json", parameters=_audience
)


def _account(held: Properties) -> str:
    return f"{held['domain']}/{held['client_id']}"


def _verify(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    """That a token was given for them is the proof: which endpoints it may ask depends on its scopes."""
    return Account(id=_account(held))
    yield


M2M = CredentialKind(
    kind="auth0_m2m",
    schema=properties(
        ["domain", "client_id", "client_secret"],
        domain=text("Domain", "The tenant's own, such as acme.eu.auth0.com.", pattern=_DOMAIN),
        client_id=text("Client id"),
        client_secret=text("Client secret"),
    ),
    secret=frozenset({"client_secret"}),
    sign=bearer(ACCESS_TOKEN),
    verify=_verify,
    account_of=_account,
    grant=Grant(_TOKENS.client_credentials, of=("client_secret",), life_s=86_400),
)

KINDS = (M2M,)

# ─────────────────────────────── refusals ──────────────────────────────


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success. A missing scope is a 403 of that endpoint alone."""
    message = words(response, "message", "error_description", "error") if response.status >= 400 else ""
    return by_status(response, message)


def _reset_s(response: Response) -> float | None:
    """`x-ratelimit-reset` is in seconds since 1970."""
    try:
        return max(0.0, float(response.headers["x-ratelimit-reset"]) - response.sent_at.timestamp())
    except (KeyError, ValueError):
        return None


def _too_many(response: Response) -> TooMany | None:
    if response.status != 429:
        return None
    wait = retry_after_s(response)
    return TooMany(_reset_s(response) if wait is None else wait)


def _remaining(response: Response) -> tuple[Remaining, ...]:
    try:
        return (Remaining(float(response.headers["x-ratelimit-remaining"]), "all", _reset_s(response)),)
    except (KeyError, ValueError):
        return ()


LIMITS = LimitPolicy(limits=(Limit(2, 1),), too_many=_too_many, remaining=_remaining)
"""Two a second are allowed on every plan; paid ones have more, which a sync's own `rate_limit` cannot raise."""


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (2, 1)
