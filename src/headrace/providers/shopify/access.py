"""How Shopify's Admin API is reached: addresses, versions, credentials, what its refusals mean, how often it may be
asked.

Sources: https://shopify.dev/docs/apps/build/authentication-authorization (authorization code grant, verifying the HMAC,
offline access tokens), https://shopify.dev/changelog (more resilient refreshes, August 2026),
https://shopify.dev/docs/api/usage/limits.
"""

import hashlib
import hmac
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
    TooMany,
    retry_after_s,
)
from headrace.providers.kit.auth import header
from headrace.providers.kit.forms import properties, text
from headrace.providers.kit.oauth import TokenEndpoint, address, at, scope
from headrace.providers.kit.refusals import body_of, by_status, words
from headrace.vault.grants import ACCESS_TOKEN, App, Code, Grant, Link, Minting

VERSION = "2026-07"
"""The API version in the path. An unsupported one is answered by the oldest that is, without an error."""

HOSTS = ("*.myshopify.com",)
_SHOP = r"^[a-z0-9][a-z0-9-]*\.myshopify\.com$"
_SHOP_TEXT = text("Shop", "Such as acme.myshopify.com.", pattern=_SHOP)
_SIGN = header("X-Shopify-Access-Token", ACCESS_TOKEN)


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties.get("base_url") or f"https://{properties['shop']}")


def prepare(request: Request) -> Request:
    return request


def query(text: str, variables: Mapping[str, Any] | None = None, **options: Any) -> Request:
    """A GraphQL query: a POST that may be repeated. `options` are those of Request."""
    body = orjson.dumps({"query": text, "variables": dict(variables or {})})
    return Request(
        f"/admin/api/{VERSION}/graphql.json", "POST", headers={"content-type": "application/json"}, body=body, **options
    )


# ───────────────────────────── credentials ─────────────────────────────

_WHO = "query { shop { myshopifyDomain } currentAppInstallation { accessScopes { handle } } }"


def _asked(held: Properties) -> Generator[Request, Response, list[str]]:
    """The scopes that the token has; that the shop answers proves it."""
    response = yield query(_WHO, accept=(401, 402, 403, 404, 423))
    if response.status >= 400:
        raise Refused(f"Shopify refuses it: {_message(response)}")
    data = response.json()["data"]
    if data["shop"]["myshopifyDomain"] != held["shop"]:
        raise Refused(f"the token is of the shop {data['shop']['myshopifyDomain']}, not of {held['shop']}")
    return [str(each["handle"]) for each in data["currentAppInstallation"]["accessScopes"]]


def _verify_oauth2(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    scopes = yield from _asked(held)
    return Account(id=str(held["shop"]), learned={"scope": ",".join(scopes)})


def _verify_token(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    yield from _asked(held)
    return Account(id=str(held["shop"]))


def _callback(query: Mapping[str, str], app: App, told: Properties) -> Properties:
    """The callback is signed: HMAC-SHA256 over its other parameters in order of name, with the app's secret."""
    signed = "&".join(f"{name}={query[name]}" for name in sorted(query) if name not in ("hmac", "signature"))
    expected = hmac.new(app.client_secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), query.get("hmac", "").encode()):
        raise Refused("the callback is not signed by Shopify (its hmac does not fit)")
    if query.get("shop") != told["shop"]:
        raise Refused("the callback is of another shop than the link was made for")
    return {}


def _tokens_url(held: Properties) -> str:
    return at(held, f"https://{held['shop']}/admin/oauth/access_token")


_TOKENS = TokenEndpoint(_tokens_url, learn=scope)
_EXPIRING = TokenEndpoint(_tokens_url, learn=scope, parameters=lambda told: {"expiring": "1"})


def _exchange(code: Code, app: App, told: Properties, now: datetime) -> Minting:
    """Offline tokens that expire, and the refresh token with them: new public apps may have no others."""
    return _EXPIRING.exchange(code, app, told, now)


def _parameters(app: App, told: Properties) -> Mapping[str, str]:
    return {"scope": "read_products,read_customers,read_orders,read_inventory,read_locations"}


OAUTH2 = CredentialKind(
    kind="shopify_oauth2",
    schema=properties(
        ["shop", "access_token"],
        shop=_SHOP_TEXT,
        access_token=text("Access token", "An offline one."),
        refresh_token=text("Refresh token", "Of offline tokens that expire."),
        scope=text("Scope"),
    ),
    secret=frozenset({"access_token", "refresh_token"}),
    sign=_SIGN,
    verify=_verify_oauth2,
    account_of=lambda held: str(held["shop"]),
    idle_life_s=90 * 86_400,
    # A spent refresh token is answered again until its successor is used, for 30 days at the most.
    grant=Grant(_TOKENS.refresh, spends=True, replays=True, life_s=3600),
    link=Link(
        address=address(lambda told: at(told, f"https://{told['shop']}/admin/oauth/authorize")),
        exchange=_exchange,
        parameters=_parameters,
        asks=("shop",),
        callback=_callback,
    ),
)

TOKEN = CredentialKind(
    kind="shopify_token",
    schema=properties(
        ["shop", "access_token"], shop=_SHOP_TEXT, access_token=text("Access token", "Of a custom app (shpat_…).")
    ),
    secret=frozenset({"access_token"}),
    sign=_SIGN,
    verify=_verify_token,
    account_of=lambda held: str(held["shop"]),
)

KINDS = (OAUTH2, TOKEN)

# ─────────────────────────────── refusals ──────────────────────────────


def _message(response: Response) -> str:
    return words(response, "errors.0.message", "errors", "error_description", "error")


def _codes(response: Response) -> set[str]:
    """The codes of GraphQL errors, which come with status 200."""
    body = body_of(response)
    errors = body.get("errors") if isinstance(body, dict) else None
    every = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    return {str((error.get("extensions") or {}).get("code") or "UNKNOWN") for error in every}


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success."""
    message = _message(response)
    if response.status >= 300:
        return Fault("permission", message) if response.status == 423 else by_status(response, message)
    codes = _codes(response)
    if not codes:
        return None
    if "THROTTLED" in codes:
        return Fault("rate", message)
    if codes & {"ACCESS_DENIED", "SHOP_INACTIVE"}:
        return Fault("permission", message)
    if "MAX_COST_EXCEEDED" in codes:
        return Fault("split", message)
    return Fault("transient" if codes & {"INTERNAL_SERVER_ERROR", "TIMEOUT"} else "bad", message)


def _throttle(response: Response) -> tuple[float, float, float] | None:
    """(points available, points a second, points asked for) of `extensions.cost`."""
    body = body_of(response)
    try:
        cost = body["extensions"]["cost"]
        status = cost["throttleStatus"]
        return float(status["currentlyAvailable"]), float(status["restoreRate"]), float(cost["requestedQueryCost"])
    except (KeyError, TypeError, ValueError):
        return None


def _too_many(response: Response) -> TooMany | None:
    if response.status == 429:
        return TooMany(retry_after_s(response))
    if response.status != 200 or "THROTTLED" not in _codes(response):
        return None
    told = _throttle(response)
    if told is None or told[1] <= 0:
        return TooMany(2.0)
    available, restored, asked = told
    return TooMany(max(0.0, (asked - available) / restored))


LIMITS = LimitPolicy(limits=(Limit(4, 1),), too_many=_too_many)


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (4, 1)
