"""How NetSuite's REST services are reached: addresses, credentials, what its refusals mean, how often it may be asked.
Not proven against the live system.

Sources: https://docs.oracle.com/en/cloud/saas/netsuite/ns-online-help (token-based authentication, SuiteTalk REST web
services, concurrency governance; of OAuth 2.0: section_158081952044, the token request with `client_id:client_secret`
in Basic and PKCE; section_158082518856, the refresh; section_158255317571, what the tokens say of themselves).
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
    Request,
    Response,
)
from headrace.providers.kit.auth import bearer
from headrace.providers.kit.forms import REFRESH_TOKEN, properties, text
from headrace.providers.kit.jwt import expires_at
from headrace.providers.kit.oauth import TokenEndpoint, address, at
from headrace.providers.kit.oauth1 import Signer
from headrace.providers.kit.refusals import by_status, words
from headrace.vault.grants import ACCESS_TOKEN, App, Grant, Link

HOSTS = ("*.suitetalk.api.netsuite.com",)
_ACCOUNT = r"^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$"


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties.get("base_url") or f"https://{_subdomain(properties)}.suitetalk.api.netsuite.com")


def _subdomain(held: Mapping[str, Any]) -> str:
    """In hosts `1234567-sb1`, where the account's id is `1234567_SB1`."""
    return str(held["account_id"]).lower().replace("_", "-")


def _realm(held: Mapping[str, Any]) -> str:
    return str(held["account_id"]).upper().replace("-", "_")


def prepare(request: Request) -> Request:
    """SuiteQL is answered only with `Prefer: transient`."""
    return request.with_header("Prefer", "transient") if "/suiteql" in request.url else request


# ───────────────────────────── credentials ─────────────────────────────


def _sign(request: Request, held: Properties, now: datetime) -> Request:
    signer = Signer(*(str(held[name]) for name in ("consumer_key", "consumer_secret", "token_id", "token_secret")))
    url = request.url if "://" in request.url else base_url(held).rstrip("/") + request.url
    return request.with_header(
        "Authorization", signer.header(request.method, url, request.query, now, realm=_realm(held))
    )


def _verify(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    """A query of SuiteQL that reads no record: what it needs is what reading anything needs."""
    response = yield Request(
        "/services/rest/query/v1/suiteql",
        "POST",
        query=(("limit", "1"),),
        headers={"content-type": "application/json"},
        body=orjson.dumps({"q": "SELECT 1 AS one FROM dual"}),
        accept=(401, 403),
    )
    if response.status == 401:
        raise Refused(f"NetSuite refuses it: {_message(response)}")
    return Account(id=_realm(held), mode="test" if "_SB" in _realm(held) else "live")


TOKEN = CredentialKind(
    kind="netsuite_token",
    schema=properties(
        ["account_id", "consumer_key", "consumer_secret", "token_id", "token_secret"],
        account_id=text("Account id", "Such as 1234567 or 1234567_SB1.", pattern=_ACCOUNT),
        consumer_key=text("Consumer key"),
        consumer_secret=text("Consumer secret"),
        token_id=text("Token id"),
        token_secret=text("Token secret"),
    ),
    secret=frozenset({"consumer_key", "consumer_secret", "token_id", "token_secret"}),
    sign=_sign,
    verify=_verify,
    account_of=_realm,
)

_TOKENS = TokenEndpoint(
    lambda held: at(held, f"https://{_subdomain(held)}.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token"),
    client_auth="basic",
)


def _parameters(app: App, told: Properties) -> Mapping[str, str]:
    return {"scope": "rest_webservices"}


OAUTH2 = CredentialKind(
    kind="netsuite_oauth2",
    schema=properties(
        ["account_id", "refresh_token"],
        account_id=text("Account id", "Such as 1234567 or 1234567_SB1.", pattern=_ACCOUNT),
        refresh_token=REFRESH_TOKEN,
    ),
    secret=frozenset({"refresh_token"}),
    sign=bearer(ACCESS_TOKEN),
    verify=_verify,
    account_of=_realm,
    idle_life_s=7 * 86_400,
    needs_oauth_app=True,
    # A confidential client's refresh token stays and ends after seven days, a public one's is good for one use: that
    # depends on the integration record. Both are JSON Web Tokens, which say when they end.
    grant=Grant(
        _TOKENS.refresh, spends=True, life_s=3600, ends=lambda held: expires_at(str(held.get("refresh_token", "")))
    ),
    link=Link(
        address=address(
            lambda told: at(told, f"https://{_subdomain(told)}.app.netsuite.com/app/login/oauth2/authorize.nl")
        ),
        exchange=_TOKENS.exchange,
        parameters=_parameters,
        pkce=True,
        asks=("account_id",),
    ),
)

KINDS = (TOKEN, OAUTH2)

# ─────────────────────────────── refusals ──────────────────────────────


def _message(response: Response) -> str:
    return words(response, "o:errorDetails.0.detail", "title", "error_description", "error.message", "error")


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success."""
    message = _message(response) if response.status >= 400 else ""
    code = words(response, "o:errorDetails.0.o:errorCode") if response.status >= 400 else ""
    if code in ("CONCURRENCY_LIMIT_EXCEEDED", "SSS_REQUEST_LIMIT_EXCEEDED"):
        return Fault("rate", message)
    if code == "INSUFFICIENT_PERMISSION":
        return Fault("permission", message)
    return by_status(response, message)


LIMITS = LimitPolicy(limits=(Limit(10, 1),), concurrent=2)
"""What is limited is how many requests run at once, five at the least, for all integrations of the account together."""


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (10, 1)
