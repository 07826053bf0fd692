"""How GitHub is reached: addresses, versions, credentials, what its refusals mean, how often it may be asked.

Sources: https://docs.github.com/en/rest (authentication, versions, best practices), its pages on rate limits, and
https://docs.github.com/en/apps/creating-github-apps (the app's JSON Web Token, installation tokens, the setup URL).
"""

import re
from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any

import orjson

from headrace.providers.github.places import CORE
from headrace.providers.kit import (
    Account,
    CredentialKind,
    Fault,
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
from headrace.providers.kit.forms import properties, text
from headrace.providers.kit.jwt import rs256
from headrace.providers.kit.oauth import TokenEndpoint, at, fixed
from headrace.vault.grants import ACCESS_TOKEN, App, Code, Grant, GrantRefused, Link, Minted, Minting

VERSION = "2022-11-28"
"""`X-GitHub-Api-Version`."""

HOST = "https://api.github.com"
HOSTS = ("api.github.com",)
_JSON = {"accept": "application/vnd.github+json", "X-GitHub-Api-Version": VERSION}


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties.get("base_url") or HOST)


def prepare(request: Request) -> Request:
    """The headers of every request; an `Accept` that the request has already stays."""
    ready = request.with_header("X-GitHub-Api-Version", VERSION)
    named = {name.lower() for name in request.headers}
    return ready if "accept" in named else ready.with_header("Accept", "application/vnd.github+json")


# ───────────────────────────── credentials ─────────────────────────────

_SKEW_S = 60
_JWT_LIFE_S = 540
"""A token of the app lives ten minutes at the most, and is begun a minute ago against clocks that differ."""


def _statement(app: App, now: datetime) -> str:
    """The app's JSON Web Token, with which it speaks for itself."""
    if not app.private_key or not app.app_id:
        raise GrantRefused("the OAuth app has no app_id or private_key: GitHub Apps need both", "app")
    moment = int(now.timestamp())
    claims = {"iat": moment - _SKEW_S, "exp": moment + _JWT_LIFE_S, "iss": app.app_id}
    return rs256(app.private_key, claims)


def _as_app(url: str, app: App, now: datetime, method: str = "GET") -> Request:
    headers = {**_JSON, "authorization": f"Bearer {_statement(app, now)}"}
    return Request(url, method, headers=headers, accept=(401, 403, 404, 422), anonymous=True)


def _mint(held: Properties, app: App | None, now: datetime) -> Minting:
    """POST /app/installations/{id}/access_tokens: a token of one hour. Minted anew as often as is needed; nothing is
    spent. Whose installation it is, is learned where it is not known yet."""
    if app is None:
        raise GrantRefused("no OAuth app is named: a GitHub App's installation is reached with the app's key", "app")
    place = f"{at(held, HOST).rstrip('/')}/app/installations/{int(held['installation_id'])}"
    learned: dict[str, Any] = {}
    if not held.get("account_login") or not held.get("account_type"):
        account = _object((yield _as_app(place, app, now))).get("account") or {}
        learned = {"account_login": account.get("login"), "account_type": account.get("type")}
    answer = _object((yield _as_app(f"{place}/access_tokens", app, now, "POST")))
    told = {name: value for name, value in learned.items() if value}
    return Minted(str(answer["token"]), _left_s(answer.get("expires_at"), now), told)


def _object(response: Response) -> dict[str, Any]:
    if response.status < 300:
        answer: dict[str, Any] = response.json()
        return answer
    message = message_of(response)
    if response.status == 404:
        raise GrantRefused(f"there is no such installation, the app was uninstalled: {message}")
    raise GrantRefused(message, "app" if response.status == 401 else "grant")


def _left_s(moment: Any, now: datetime) -> float | None:
    if not isinstance(moment, str):
        return None
    return max(0.0, (datetime.fromisoformat(moment) - now).total_seconds())


def _verify_installation(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    """GET /installation/repositories, which every installation token may ask."""
    yield Request("/installation/repositories", query=(("per_page", "1"),))
    return Account(id=str(held["installation_id"]))


def _verify_token(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    """GET /user: whose token it is. A token may be narrowed to repositories, so the secret belongs to the account."""
    response = yield Request("/user", accept=(401,))
    if response.status == 401:
        raise Refused(f"GitHub refuses it: {message_of(response)}")
    return Account(id=str(response.json()["login"]), narrow=True)


def _token_ends(response: Response) -> datetime | None:
    """`GitHub-Authentication-Token-Expiration`, in every answer to a personal access token that has an end: a time with
    the name of its zone or with its offset (as https://github.com/google/go-github reads it)."""
    told = response.headers.get("github-authentication-token-expiration", "").replace(" UTC", " +0000")
    try:
        return datetime.strptime(told, "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return None


def _install(app: App, told: Properties, now: datetime) -> Generator[Request, Response, str]:
    """Where the app is installed: `html_url` of GET /app, and /installations/new below it."""
    answer = _object((yield _as_app(f"{at(told, HOST).rstrip('/')}/app", app, now)))
    return f"{str(answer['html_url']).rstrip('/')}/installations/new"


def _installed(query: Mapping[str, str], app: App, told: Properties) -> Properties:
    """The callback names the installation. A request that waits for an owner's approval names none yet."""
    number = query.get("installation_id", "")
    if query.get("setup_action") == "request" or not number:
        raise Refused("the installation waits for the approval of an owner of the account; start again after it")
    if not re.fullmatch(r"[0-9]{1,18}", number):
        raise Refused("the callback names no installation")
    return {"installation_id": int(number)}


_USER_TOKENS = TokenEndpoint(fixed("https://github.com/login/oauth/access_token"))


def _exchange(code: Code, app: App, told: Properties, now: datetime) -> Minting:
    """The callback's installation is believed only when the person who came back may see it: anybody can write a
    number into a URL. The app must have "Request user authorization (OAuth) during installation" set, which brings the
    code along (docs.github.com, "About the setup URL": the id "may be spoofed")."""
    if not code.code:
        raise Refused(
            "the callback carries no code: set 'Request user authorization (OAuth) during installation' in the "
            "GitHub App, so that it can be proved whose installation it is"
        )
    user = yield from _USER_TOKENS.exchange(code, app, told, now)
    headers = {**_JSON, "authorization": f"Bearer {user.access_token}"}
    for page in range(1, 101):
        response = yield Request(
            f"{at(told, HOST).rstrip('/')}/user/installations",
            query=(("per_page", "100"), ("page", str(page))),
            headers=headers,
            accept=(401, 403),
            anonymous=True,
        )
        seen = _object(response).get("installations") or []
        if any(each.get("id") == told["installation_id"] for each in seen):
            return (yield from _mint(told, app, now))
        if len(seen) < 100:
            break
    raise Refused("the person who signed in may not see this installation")


def _account_type(value: Any) -> Any:
    """`user` and `organization` are older spellings."""
    return {"user": "User", "organization": "Organization"}.get(value, value) if isinstance(value, str) else value


def _installation_id(value: Any) -> Any:
    """It was a string once."""
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value) else value


APP = CredentialKind(
    kind="github_app",
    schema=properties(
        ["installation_id"],
        account_type={"type": "string", "title": "Account type", "enum": ["User", "Organization"]},
        account_login=text("Account", "The user or organisation that installed the app."),
        installation_id={"type": "integer", "title": "Installation id", "minimum": 1},
    ),
    secret=frozenset(),
    sign=bearer(ACCESS_TOKEN),
    verify=_verify_installation,
    account_of=lambda held: str(held["installation_id"]),
    older_names=("github",),
    spellings={"account_type": _account_type, "installation_id": _installation_id},
    needs_oauth_app=True,
    grant=Grant(_mint, of=("installation_id",), hosts=("github.com",)),
    link=Link(address=_install, exchange=_exchange, callback=_installed, standard=False),
)

TOKEN = CredentialKind(
    kind="github_token",
    schema=properties(
        ["token"], token=text("Token", "A personal access token, fine-grained (github_pat_…) or classic.")
    ),
    secret=frozenset({"token"}),
    sign=bearer("token"),
    verify=_verify_token,
    ends=_token_ends,
)

KINDS = (APP, TOKEN)

# ─────────────────────────────── refusals ──────────────────────────────


def message_of(response: Response) -> str:
    """GitHub's own words (https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api)."""
    try:
        answer = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return f"HTTP status {response.status}"
    return str(answer.get("message") or response.status) if isinstance(answer, dict) else str(response.status)


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success.

    Too many requests come with 403 or 429 (docs.github.com, "Exceeding the rate limit"); 404 and 410 tell that a thing
    is gone or hidden, 451 that it was taken down, 409 of a list of commits that the repository is empty.
    """
    status = response.status
    if status == 202:
        return Fault("transient", "GitHub is still computing it")
    if 200 <= status < 300:
        return None if _looks_whole(response.body) else Fault("transient", "the answer is no JSON, or was cut short")
    message = message_of(response)
    if is_limited(response):
        return Fault("rate", message)
    match status:
        case 401:
            return Fault("auth", message)
        case 403:
            return Fault("permission", message)
        case 404 | 410 | 451:
            return Fault("gone", message)
        case 408 | 425:
            return Fault("transient", message)
        case 422:
            return Fault("bad", message)
    return Fault("transient" if status >= 500 else "config", message)


def _looks_whole(body: bytes) -> bool:
    """A cheap look at both ends: HTML error pages and bodies cut short do not pass; the decoder sees the rest."""
    ends = (body.lstrip()[:1], body.rstrip()[-1:])
    return ends in ((b"{", b"}"), (b"[", b"]")) or not body


def is_limited(response: Response) -> bool:
    """Whether a refusal is for too many requests: 403 is that, or a permission that is missing."""
    if response.status not in (403, 429):
        return False
    spent = response.headers.get("x-ratelimit-remaining") == "0"
    return (
        response.status == 429
        or spent
        or "retry-after" in response.headers
        or "rate limit" in message_of(response).lower()
    )


def _too_many(response: Response) -> TooMany | None:
    """`Retry-After`, else the reset of a budget that is used up, else a minute (the secondary limits name no time)."""
    if not is_limited(response):
        return None
    wait = retry_after_s(response)
    if wait is None and response.headers.get("x-ratelimit-remaining") == "0":
        wait = _until_reset_s(response)
    return TooMany(60.0 if wait is None else wait)


def _until_reset_s(response: Response) -> float | None:
    """`x-ratelimit-reset` is in seconds since 1970."""
    try:
        return max(0.0, float(response.headers["x-ratelimit-reset"]) - response.sent_at.timestamp())
    except (KeyError, ValueError):
        return None


def _remaining(response: Response) -> tuple[Remaining, ...]:
    if response.headers.get("x-ratelimit-resource", "core") != "core":
        return ()
    try:
        left = float(response.headers["x-ratelimit-remaining"])
    except (KeyError, ValueError):
        return ()
    return (Remaining(left, CORE, _until_reset_s(response)),)


LIMITS = LimitPolicy(
    # 5,000 an hour for a user and, at the least, for an installation, conditional requests that are answered 304 not
    # counted; 900 points a minute, a read being one.
    limits=(Limit(5000, 3600, CORE), Limit(900, 60)),
    concurrent=50,
    too_many=_too_many,
    remaining=_remaining,
)


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (5000, 3600)
