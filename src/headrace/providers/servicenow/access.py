"""How ServiceNow is reached: addresses, credentials, what its refusals mean, how often it may be asked.

Sources: https://docs.servicenow.com (OAuth 2.0 authorization code grant, Table API, inbound REST API rate limiting).
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
from headrace.providers.kit.auth import basic, bearer
from headrace.providers.kit.forms import REFRESH_TOKEN, properties, text
from headrace.providers.kit.oauth import TokenEndpoint, address, at
from headrace.providers.kit.refusals import by_status, words
from headrace.vault.grants import ACCESS_TOKEN, Grant, Link

HOSTS = ("*.service-now.com", "*.servicenowservices.com")
_INSTANCE = r"^https://[a-z0-9-]+\.(service-now|servicenowservices)\.com/?$"
_INSTANCE_TEXT = text("Instance URL", "Such as https://acme.service-now.com.", pattern=_INSTANCE)


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties.get("base_url") or properties["instance_url"]).rstrip("/")


def prepare(request: Request) -> Request:
    return request.with_header("Accept", "application/json")


# ───────────────────────────── credentials ─────────────────────────────


def _instance(held: Properties) -> str:
    return str(held["instance_url"]).rstrip("/")


def _verify(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    """One row's id of the users' table. What the user may not read is left out silently, so an empty answer is one."""
    response = yield Request(
        "/api/now/table/sys_user",
        query=(("sysparm_limit", "1"), ("sysparm_fields", "sys_id")),
        accept=(401, 403),
    )
    if response.status == 401:
        raise Refused(f"ServiceNow refuses it: {_message(response)}")
    return Account(id=_instance(held))


_TOKENS = TokenEndpoint(lambda told: at(told, f"{_instance(told)}/oauth_token.do"))

OAUTH2 = CredentialKind(
    kind="servicenow_oauth2",
    schema=properties(["instance_url", "refresh_token"], instance_url=_INSTANCE_TEXT, refresh_token=REFRESH_TOKEN),
    secret=frozenset({"refresh_token"}),
    sign=bearer(ACCESS_TOKEN),
    verify=_verify,
    account_of=_instance,
    idle_life_s=100 * 86_400,
    needs_oauth_app=True,
    grant=Grant(_TOKENS.refresh, life_s=1800),
    link=Link(
        address=address(lambda told: at(told, f"{_instance(told)}/oauth_auth.do")),
        exchange=_TOKENS.exchange,
        asks=("instance_url",),
    ),
)

PASSWORD = CredentialKind(
    kind="servicenow_password",
    schema=properties(
        ["instance_url", "username", "password"],
        instance_url=_INSTANCE_TEXT,
        username=text("User name"),
        password=text("Password"),
    ),
    secret=frozenset({"password"}),
    sign=basic("username", "password"),
    verify=_verify,
    account_of=_instance,
)

KINDS = (OAUTH2, PASSWORD)

# ─────────────────────────────── refusals ──────────────────────────────


def _message(response: Response) -> str:
    return words(response, "error.detail", "error.message", "error_description", "error")


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success."""
    return by_status(response, _message(response) if response.status >= 400 else "")


def _too_many(response: Response) -> TooMany | None:
    """`X-RateLimit-Reset` is in seconds since 1970, where the instance has rate limit rules at all."""
    if response.status != 429:
        return None
    wait = retry_after_s(response)
    if wait is None:
        try:
            wait = max(0.0, float(response.headers["x-ratelimit-reset"]) - response.sent_at.timestamp())
        except (KeyError, ValueError):
            wait = 60.0
    return TooMany(wait)


LIMITS = LimitPolicy(limits=(Limit(10, 1),), concurrent=4, too_many=_too_many)
"""None are set but by the instance's own rules; its semaphores serve some requests of a user at once."""


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (10, 1)
