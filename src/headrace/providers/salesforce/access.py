"""How Salesforce is reached: addresses, versions, credentials, what its refusals mean, how often it may be asked.

Sources: https://help.salesforce.com (OAuth authorization flows: web server flow, refresh token flow),
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest (status codes and error responses, limit info
header), .../atlas.en-us.salesforce_app_limits_cheatsheet.meta (API request limits).
"""

import re
from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from headrace.providers.kit import (
    Account,
    CredentialKind,
    Fault,
    Faulted,
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
from headrace.providers.kit.forms import REFRESH_TOKEN, properties, text
from headrace.providers.kit.oauth import TokenEndpoint, address, at
from headrace.providers.kit.rows import decoded
from headrace.vault.grants import ACCESS_TOKEN, App, Grant, Link

VERSION = "v65.0"
"""The API version in the path `/services/data/{VERSION}`."""

HOSTS = ("*.salesforce.com", "*.force.com", "*.salesforce.mil", "*.sfcrmproducts.cn")
_INSTANCE = (
    r"^https://[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.(salesforce\.com|force\.com|salesforce\.mil|sfcrmproducts\.cn)/?$"
)
_LOGIN = "https://login.salesforce.com"
_TEST = "https://test.salesforce.com"


def base_url(properties: Mapping[str, Any]) -> str:
    """The instance that the last token answer named: it moves with the org."""
    return str(properties.get("base_url") or properties["instance_url"]).rstrip("/")


def path(properties: Mapping[str, Any]) -> str:
    """Where the API begins."""
    return f"/services/data/{properties.get('api_version') or VERSION}"


# ───────────────────────────── credentials ─────────────────────────────


def _login_host(told: Properties) -> str:
    """Where tokens are asked for: the org's own My Domain works for production and sandboxes alike; the hosts of other
    instances sign in centrally. Without an instance: login.salesforce.com, for a sandbox test.salesforce.com."""
    instance = str(told.get("instance_url") or "").rstrip("/")
    host = urlsplit(instance).hostname or ""
    if host.endswith((".my.salesforce.com", ".my.salesforce.mil")):
        return instance
    return _TEST if told.get("sandbox") is True or host.startswith("cs") else _LOGIN


def _learn(answer: Mapping[str, Any]) -> Properties:
    """The instance. An emulator that names itself is reached by its development `base_url`, and is not kept."""
    instance = answer.get("instance_url")
    if not isinstance(instance, str) or urlsplit(instance).hostname in ("127.0.0.1", "localhost"):
        return {}
    if not re.fullmatch(_INSTANCE, instance):
        raise Refused("the token endpoint names an instance that is no host of Salesforce's")
    return {"instance_url": instance}


_TOKENS = TokenEndpoint(lambda told: at(told, f"{_login_host(told)}/services/oauth2/token"), learn=_learn)


def _verify(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    """The Organization row, which the scope `api` lets every user read: its id is the account, and whether it is a
    sandbox. Where the row cannot be read, the user's own page tells the account's id."""
    learned: dict[str, Any] = {}
    response = yield _organization(held)
    if response.status == 404 and not held.get("api_version"):
        learned = yield from _version()
        response = yield _organization({**held, **learned})
    if response.status == 401:
        raise Refused(f"Salesforce refuses it: {error_of(response)[1]}")
    rows = document(response).get("records") if response.status < 300 else None
    if not rows:
        return Account(id=(yield from _told_by_user()), learned=learned)
    if not held.get("name") and rows[0].get("Name"):
        learned["name"] = str(rows[0]["Name"])
    return Account(id=str(rows[0]["Id"]), learned=learned, mode="test" if rows[0].get("IsSandbox") else "live")


def _organization(held: Properties) -> Request:
    soql = "SELECT Id, Name, IsSandbox FROM Organization LIMIT 1"
    return Request(f"{path(held)}/query", query=(("q", soql),), accept=(400, 401, 403, 404), any_body=True)


def _version() -> Generator[Request, Response, dict[str, Any]]:
    """The newest version that the instance serves and that is not newer than ours; ours where it tells none."""
    response = yield Request("/services/data", accept=(401, 403, 404), any_body=True)
    told = decoded(lambda: response.decode(list[dict[str, Any]])) if response.status < 300 else []
    served = sorted(float(each["version"]) for each in told)
    ours = float(VERSION[1:])
    fit = [each for each in served if each <= ours] or served[:1]
    return {"api_version": f"v{fit[-1]:.1f}"} if fit else {}


def _told_by_user() -> Generator[Request, Response, str]:
    response = yield Request("/services/oauth2/userinfo", accept=(400, 401, 403, 404), any_body=True)
    return str(document(response).get("organization_id") or "") if response.status < 300 else ""


def _parameters(app: App, told: Properties) -> Mapping[str, str]:
    return {"scope": "api refresh_token"}


OAUTH2 = CredentialKind(
    kind="salesforce_oauth2",
    schema=properties(
        ["instance_url", "refresh_token"],
        instance_url=text("Instance URL", "Such as https://acme.my.salesforce.com.", pattern=_INSTANCE),
        refresh_token=REFRESH_TOKEN,
        name=text("Name"),
        api_version=text("API version", "Learned where the instance does not serve ours.", pattern=r"^v\d+\.0$"),
        sandbox={"type": "boolean", "title": "Sandbox", "description": "Signs in at test.salesforce.com."},
    ),
    secret=frozenset({"refresh_token"}),
    sign=bearer(ACCESS_TOKEN),
    verify=_verify,
    older_names=("salesforce",),
    needs_oauth_app=True,
    # No answer tells how long a token lives: the session's idle time, 15 minutes to 24 hours, two by default. So it is
    # renewed when it is refused, and an hour is only the time after which it is not trusted unasked.
    # Rotation of refresh tokens is a switch of the app (https://help.salesforce.com, "OAuth 2.0 Refresh Token Flow");
    # PKCE must be on in apps of partners (https://developer.salesforce.com, "Secure Your Connected Apps").
    grant=Grant(_TOKENS.refresh, spends=True, life_s=3600),
    link=Link(
        address=address(lambda told: at(told, f"{_login_host(told)}/services/oauth2/authorize")),
        exchange=_TOKENS.exchange,
        parameters=_parameters,
        pkce=True,
    ),
)

KINDS = (OAUTH2,)

# ─────────────────────────────── refusals ──────────────────────────────

_QUOTA = "REQUEST_LIMIT_EXCEEDED"
_BUSY = ("SERVER_UNAVAILABLE", "UNABLE_TO_LOCK_ROW", "UNKNOWN_EXCEPTION", "REQUEST_RUNNING_TOO_LONG")
_SPLIT = ("QUERY_TIMEOUT", "OPERATION_TOO_LARGE", "QUERY_TOO_COMPLICATED", "EXCEEDED_ID_LIMIT")
_FORBIDDEN = (
    "INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY", "API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED",
    "INVALID_TYPE", "INVALID_TYPE_FOR_OPERATION",
)  # fmt: skip


def error_of(response: Response) -> tuple[str, str]:
    """(errorCode, message): a list of errors from the API, an object from the token endpoint."""
    try:
        answer = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return "", f"HTTP status {response.status}"
    first = answer[0] if isinstance(answer, list) and answer else answer
    if not isinstance(first, dict):
        return "", f"HTTP status {response.status}"
    code = str(first.get("errorCode") or first.get("error") or "")
    return code, str(first.get("message") or first.get("error_description") or code or response.status)


def fault(response: Response) -> Fault | None:
    """Classify an answer by its errorCode, for the status alone says little (a 403 may be the day's quota)."""
    status = response.status
    if 200 <= status < 300:
        return None if _looks_whole(response) else Fault("transient", "the answer is no JSON, or was cut short")
    code, message = error_of(response)
    if code == _QUOTA:
        return Fault("rate" if "Concurrent" in message else "quota", message)
    if code in _BUSY or status in (408, 425, 420) or status >= 500:
        return Fault("split" if code in _SPLIT else "transient", message)
    if code in _SPLIT:
        return Fault("split", message)
    if code == "INVALID_QUERY_LOCATOR":
        return Fault("restart", message)
    if code == "INVALID_REPLICATION_DATE":
        return Fault("expired", message)
    if status == 401 or code == "INVALID_SESSION_ID":
        return Fault("auth", message)
    if code in _FORBIDDEN or status == 403:
        return Fault("permission", message)
    if status in (404, 410) or code == "ENTITY_IS_DELETED":
        return Fault("gone", message)
    return Fault("rate" if status == 429 else "bad" if status == 400 else "config", message)


def _looks_whole(response: Response) -> bool:
    """A cheap look at both ends: HTML pages (of maintenance, of a login) and bodies cut short do not pass."""
    if "csv" in response.headers.get("content-type", ""):
        return True
    body = response.body.strip()
    return not body or (body[:1], body[-1:]) in ((b"{", b"}"), (b"[", b"]"))


def passing(response: Response) -> None:
    """Raise Faulted for a refusal that says nothing of what was asked for: the quota, the session, the server. For
    requests that accept the statuses which these have too."""
    found = fault(response)
    if found is not None and found.kind in ("rate", "quota", "auth", "transient"):
        raise Faulted(found)


def document(response: Response) -> dict[str, Any]:
    """The answer's object; what is none is a transient fault."""
    return decoded(lambda: response.decode(dict[str, Any]))


def _too_many(response: Response) -> TooMany | None:
    """The daily quota is a rolling 24 hours, so some of it comes back soon: asked again after a quarter of an hour."""
    code, message = error_of(response) if response.status >= 400 else ("", "")
    if code == _QUOTA:
        return TooMany(60.0 if "Concurrent" in message else 900.0)
    return TooMany(retry_after_s(response)) if response.status == 429 else None


_USAGE = re.compile(r"\bapi-usage=(\d+)/(\d+)")


def _remaining(response: Response) -> tuple[Remaining, ...]:
    """`Sforce-Limit-Info: api-usage=896/15000`, the org's rolling 24 hours. A fifth of it is left to the customer."""
    found = _USAGE.search(response.headers.get("sforce-limit-info", ""))
    if found is None:
        return ()
    used, allowed = int(found[1]), int(found[2])
    return (Remaining(max(0.0, allowed * 0.8 - used)),)


LIMITS = LimitPolicy(
    limits=(Limit(28_800, 86_400), Limit(20, 1)),
    concurrent=20,  # 25 requests of more than 20 seconds at once are refused
    too_many=_too_many,
    remaining=_remaining,
)


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (28_800, 86_400)
