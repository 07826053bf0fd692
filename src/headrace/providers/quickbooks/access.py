"""How QuickBooks Online is reached: addresses, credentials, what its refusals mean, how often it may be asked.

Sources: https://developer.intuit.com/app/developer/qbo/docs (OAuth 2.0 and its FAQ, sandboxes, error codes, API call
limits); for the end of refresh tokens the release notes of Intuit's SDKs (https://github.com/intuit/QuickBooks-V3-Java-SDK,
v6.5.4: `x_refresh_token_hard_expires_in`).
"""

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

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
from headrace.providers.kit.oauth import TokenEndpoint, address, fixed
from headrace.providers.kit.refusals import by_status, words
from headrace.vault.grants import ACCESS_TOKEN, App, Grant, Link

HOST = "https://quickbooks.api.intuit.com"
SANDBOX = "https://sandbox-quickbooks.api.intuit.com"
HOSTS = ("quickbooks.api.intuit.com", "sandbox-quickbooks.api.intuit.com")
MINOR_VERSION = "75"
_REALM = r"^[0-9]{1,20}$"


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties.get("base_url") or (SANDBOX if properties.get("environment") == "sandbox" else HOST))


def prepare(request: Request) -> Request:
    """JSON (the default is XML), and the pinned minor version."""
    ready = request.with_header("Accept", "application/json")
    return (
        ready
        if any(name == "minorversion" for name, _ in ready.query)
        else ready.with_query(("minorversion", MINOR_VERSION))
    )


# ───────────────────────────── credentials ─────────────────────────────


def _verify(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    """GET companyinfo: proves the token for this company."""
    realm = str(held["realm_id"])
    quoted = quote(realm, safe="")
    response = yield Request(f"/v3/company/{quoted}/companyinfo/{quoted}", accept=(401, 403))
    if response.status >= 400:
        raise Refused(f"QuickBooks refuses it: {_message(response)}")
    return Account(id=realm, mode=_mode(held))


def _mode(held: Properties) -> str:
    return "test" if held.get("environment") == "sandbox" else "live"


def _callback(query: Mapping[str, str], app: App, told: Properties) -> Properties:
    """The company stands in the callback, as `realmId`, and nowhere else."""
    realm = query.get("realmId", "")
    if not realm.isdecimal() or not realm.isascii() or len(realm) > 20:
        raise Refused("the callback names no company (realmId)")
    return {"realm_id": realm}


def _parameters(app: App, told: Properties) -> Mapping[str, str]:
    return {"scope": "com.intuit.quickbooks.accounting"}


_TOKENS = TokenEndpoint(
    fixed("https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer"),
    client_auth="basic",
    # Every grant ends after five years, however it is used; asked for so, the answer tells what is left of them.
    headers={"x-include-refresh-token-hard-expires-in": "true"},
)

OAUTH2 = CredentialKind(
    kind="quickbooks_oauth2",
    schema=properties(
        ["realm_id", "refresh_token"],
        realm_id=text("Company id", "The realm id.", pattern=_REALM),
        refresh_token=REFRESH_TOKEN,
        environment={"type": "string", "title": "Environment", "enum": ["production", "sandbox"]},
    ),
    secret=frozenset({"refresh_token"}),
    sign=bearer(ACCESS_TOKEN),
    verify=_verify,
    account_of=lambda held: str(held["realm_id"]),
    mode_of=_mode,
    idle_life_s=100 * 86_400,
    needs_oauth_app=True,
    # The refresh token changes about once a day, and the one before it then dies; in between it is answered again.
    grant=Grant(_TOKENS.refresh, spends=True, replays=True, life_s=3600, hosts=("oauth.platform.intuit.com",)),
    link=Link(
        address=address(fixed("https://appcenter.intuit.com/connect/oauth2")),
        exchange=_TOKENS.exchange,
        parameters=_parameters,
        callback=_callback,
    ),
)

KINDS = (OAUTH2,)

# ─────────────────────────────── refusals ──────────────────────────────

_PAUSE_S = 60.0


def _message(response: Response) -> str:
    return words(
        response,
        "Fault.Error.0.Detail",
        "Fault.Error.0.Message",
        "fault.error.0.detail",
        "fault.error.0.message",
        "error_description",
        "error",
    )


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success. 3001 is a throttle, told with 429 or 403; 610 that the object is gone."""
    message = _message(response) if response.status >= 400 else ""
    code = words(response, "Fault.Error.0.code", "fault.error.0.code") if response.status >= 400 else ""
    if code in ("3001", "003001"):
        return Fault("rate", message)
    if code == "610":
        return Fault("gone", message)
    if code == "10000":
        return Fault("transient", message)
    return by_status(response, message)


def _too_many(response: Response) -> TooMany | None:
    """No header tells how long: a minute is the window."""
    found = fault(response)
    if found is None or found.kind != "rate":
        return None
    wait = retry_after_s(response)
    return TooMany(_PAUSE_S if wait is None else wait)


LIMITS = LimitPolicy(limits=(Limit(450, 60), Limit(10, 1)), concurrent=8, too_many=_too_many)
"""500 a minute and ten at once are allowed for a company: what is left is for the customer's other apps."""


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (450, 60)
