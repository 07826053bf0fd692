"""How Workday is reached: addresses, credentials, what its refusals mean, how often it may be asked. Not proven against
the live system.

Sources: https://doc.workday.com (API clients and OAuth 2.0, Reports-as-a-Service, usage limits),
https://community.workday.com (Workday Web Services, WS-Security).
"""

import re
from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

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
from headrace.providers.kit.auth import basic, bearer
from headrace.providers.kit.forms import REFRESH_TOKEN, properties, text
from headrace.providers.kit.oauth import TokenEndpoint, address
from headrace.providers.kit.refusals import by_status, words
from headrace.vault.grants import ACCESS_TOKEN, Grant, Link

SOAP_VERSION = "v43.0"
HOSTS = ("*.workday.com", "*.myworkday.com", "*.workdaysuv.com")
_HOST = r"^https://[a-z0-9-]+(\.[a-z0-9-]+)*\.(workday|myworkday|workdaysuv)\.com/?$"
_BASE_URL = text("Services URL", "The data centre's, such as https://wd5-services1.myworkday.com.", pattern=_HOST)
_TENANT = text("Tenant", pattern="^[A-Za-z0-9_-]+$")


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties["base_url"]).rstrip("/")


def prepare(request: Request) -> Request:
    return request


# ───────────────────────────── credentials ─────────────────────────────


def _tenant(held: Properties) -> str:
    return str(held["tenant"])


def _verify_oauth2(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    """One worker, of the common service. Who may not read workers (403) is signed in all the same."""
    url = f"/ccx/api/common/v1/{quote(_tenant(held), safe='')}/workers"
    response = yield Request(url, query=(("limit", "1"),), accept=(401, 403, 404))
    if response.status == 401:
        raise Refused(f"Workday refuses it: {_message(response)}")
    return Account(id=_tenant(held))


_STAMP = """<?xml version="1.0" encoding="UTF-8"?>
<env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/" xmlns:bsvc="urn:com.workday/bsvc"
 xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">
<env:Header><wsse:Security env:mustUnderstand="1"><wsse:UsernameToken><wsse:Username>{user}</wsse:Username>
<wsse:Password Type="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
>{password}</wsse:Password></wsse:UsernameToken></wsse:Security></env:Header>
<env:Body><bsvc:Server_Timestamp_Get bsvc:version="{version}"/></env:Body></env:Envelope>"""


def _verify_password(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    """Server_Timestamp_Get of the web services, which needs no domain: reports can only be asked for by name."""
    user = f"{held['username']}@{_tenant(held)}"
    body = _STAMP.format(user=escape(user), password=escape(str(held["password"])), version=SOAP_VERSION)
    response = yield Request(
        f"/ccx/service/{quote(_tenant(held), safe='')}/Human_Resources/{SOAP_VERSION}",
        "POST",
        headers={"content-type": "text/xml; charset=utf-8"},
        body=body.encode(),
        accept=(401, 403, 500),
        anonymous=True,  # the name and the password are in the envelope
    )
    if response.status >= 400:
        words_of = re.search(rb"<faultstring[^>]*>([^<]{1,200})", response.body)
        raise Refused(f"Workday refuses it: {words_of[1].decode() if words_of else response.status}")
    return Account(id=_tenant(held))


def _sign_in(told: Properties) -> str:
    """Where people sign in, which is another host than the services': `wd5-services1.myworkday.com` belongs to
    `wd5.myworkday.com`, an implementation tenant's `…-impl-services1` to `impl.workday.com`."""
    url = str(told.get("sign_in_url") or "").rstrip("/")
    if not url:
        host = urlsplit(base_url(told)).hostname or ""
        found = re.fullmatch(r"(wd\d+)(-impl)?-services\d+\.(?:my)?workday\.com", host)
        url = base_url(told)
        if found is not None:
            url = "https://impl.workday.com" if found[2] else f"https://{found[1]}.myworkday.com"
    return f"{url}/{quote(_tenant(told), safe='')}/authorize"


_TOKENS = TokenEndpoint(
    lambda held: f"{base_url(held)}/ccx/oauth2/{quote(_tenant(held), safe='')}/token", client_auth="basic"
)

OAUTH2 = CredentialKind(
    kind="workday_oauth2",
    schema=properties(
        ["base_url", "tenant", "refresh_token"],
        base_url=_BASE_URL,
        tenant=_TENANT,
        refresh_token=REFRESH_TOKEN,
        sign_in_url=text("Sign-in URL", "Where it does not follow from the services URL.", pattern=_HOST),
    ),
    secret=frozenset({"refresh_token"}),
    sign=bearer(ACCESS_TOKEN),
    verify=_verify_oauth2,
    account_of=_tenant,
    needs_oauth_app=True,
    grant=Grant(_TOKENS.refresh, life_s=3600),
    link=Link(address=address(_sign_in), exchange=_TOKENS.exchange, asks=("base_url", "tenant")),
)

PASSWORD = CredentialKind(
    kind="workday_password",
    schema=properties(
        ["base_url", "tenant", "username", "password"],
        base_url=_BASE_URL,
        tenant=_TENANT,
        username=text("User name", "Of an integration system user, without the tenant."),
        password=text("Password"),
    ),
    secret=frozenset({"password"}),
    sign=basic("username", "password"),
    verify=_verify_password,
    account_of=_tenant,
)

KINDS = (OAUTH2, PASSWORD)

# ─────────────────────────────── refusals ──────────────────────────────


def _message(response: Response) -> str:
    found = re.search(rb"<faultstring[^>]*>([^<]{1,500})", response.body)
    return found[1].decode("utf-8", "replace") if found else words(response, "errors.0.error", "error")


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success. A SOAP fault has status 500 whatever is wrong: its code decides."""
    message = _message(response) if response.status >= 400 else ""
    if response.status == 500 and b"faultcode" in response.body:
        if b"authenticationError" in response.body or "invalid username or password" in message.lower():
            return Fault("auth", message)
        if "not authorized" in message.lower():
            return Fault("permission", message)
        return Fault("bad" if b"Client" in response.body else "transient", message)
    return by_status(response, message)


LIMITS = LimitPolicy(limits=(Limit(5, 1),), concurrent=2)
"""The published ones are of a day and an hour and lie far above; bursts are slowed down."""


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (5, 1)
