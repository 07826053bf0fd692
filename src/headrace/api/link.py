"""The auth link: a person's browser on its way to connect an account.

start-auth makes a link; the browser goes to its start, from there to the provider, comes back to the callback, and is
sent on to the caller's redirect URL with a code; with the code and the app's secret the caller fetches the credential.
"""

import hmac
from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from yarl import URL

from headrace import jsontext
from headrace.api import link_pages, shapes
from headrace.api.answers import Json
from headrace.api.auth import Admin
from headrace.api.body import Fields, JsonBody
from headrace.api.credential_shapes import Connected, Started
from headrace.api.exporting import NO_STORE
from headrace.api.fields import Id
from headrace.api.importing import kinds_of
from headrace.api.linking import WHY, Asking, asking, authorize_url, credential_of
from headrace.api.services import Services, services_of
from headrace.control import audit
from headrace.engine.exchanges import Unanswered
from headrace.errors import Invalid, NotFound, ProviderFailed, Unauthorized
from headrace.providers.kit import CredentialKind, Refused
from headrace.vault import links, oauth_apps, schema
from headrace.vault.links import BROWSER_LIFE, Link, Sent

router = APIRouter(tags=["auth link"])

_PAGES: dict[int | str, dict[str, Any]] = {
    200: {"description": "A page for the person in front of the browser.", "content": {"text/html": {}}},
    303: {"description": "On to the provider, or back to the redirect URL."},
    410: {"description": "The link is over: a page that says so.", "content": {"text/html": {}}},
}

MOST_STATE = 5_000
"""Bytes of JSON."""
_OVER_TEXT = (
    "This link is over",
    "It was used already, is older than some minutes, or was opened in another browser.",
    "Ask for another one where you got it from.",
    "Open it in the browser in which you sign in, and within five minutes.",
)
_AGAIN = ("Ask for another link where you got it from.", "Then try again: nothing was stored.")
_COOKIE = "headrace_link_"
_PATH = "/link/oauth2"


class StartAuth(Fields):
    """`state` is any JSON, given back at the end. `properties` are what the provider must be told before (whose shop,
    which instance); what is missing of it the person is asked. `scope` takes the place of the one asked for by
    default."""

    oauth_app_id: Id
    credential_kind: Annotated[str, Field(min_length=1, max_length=63)]
    redirect_url: Annotated[str, Field(min_length=1, max_length=2048)]
    state: Any = None
    properties: dict[str, Any] = Field(default_factory=dict)
    scope: Annotated[str, Field(min_length=1, max_length=4096)] | None = None


class CodeForCredential(Fields):
    """`client_id` is the id of the OAuth app here, `client_secret` its secret."""

    code: Annotated[str, Field(min_length=1, max_length=255)]
    client_id: Id
    client_secret: Annotated[str, Field(min_length=1, max_length=16_384)]


@router.post("/v1/credentials/start-auth", response_model=Started)
async def start_auth(
    request: Request, principal: Admin, body: Annotated[StartAuth, Depends(JsonBody(StartAuth))]
) -> Json:
    """Make a link by which a person connects an account in a browser: good once, for five minutes."""
    services = services_of(request)
    state = jsontext.dumps(body.state)
    if len(state) > MOST_STATE:
        raise Invalid({"state": [f"must have at most {MOST_STATE} bytes as JSON"]})
    slug, kind = _kind(services, body)
    async with services.db.transaction() as conn:
        try:
            app = await oauth_apps.get(conn, principal.org_id, body.oauth_app_id)
        except NotFound as missing:
            raise Invalid({"oauth_app_id": [missing.summary]}) from None
        if app.provider != slug:
            raise Invalid({"oauth_app_id": [f"is an app of {app.provider}, and {kind.kind} is {slug}'s"]})
        if body.redirect_url not in app.redirect_uris and body.redirect_url != _landing(services):
            raise Invalid({"redirect_url": ["is none of the app's redirect_uris; they are compared letter for letter"]})
        payload = {"state": state.decode(), "told": body.properties, "scope": body.scope}
        now = services.db.clock.now()
        token = await links.make(
            conn, services.keyring, principal.org_id, app.id, kind.kind, body.redirect_url, payload, now
        )
        await audit.write(
            conn, principal, method="POST", route="/v1/credentials/start-auth", status=200, now=now,
            object_id=str(app.id),
        )  # fmt: skip
    return Json({"start_url": f"{_public(services)}{_PATH}/start/{token}"}, headers=NO_STORE)


@router.get(_PATH + "/start/{token}", response_class=Response, responses=_PAGES)
async def start(request: Request, token: Annotated[str, Path(max_length=255)]) -> Response:
    """Send the browser on to the provider; once. What must be known before is asked for on a page."""
    services = services_of(request)
    async with services.db.api.acquire() as conn:
        link = await links.to_start(conn, services.keyring, token, services.db.clock.now())
    if link is None:
        return link_pages.failed(*_OVER_TEXT, status=410)
    asked = await asking(services, link)
    given = {name: request.query_params[name].strip() for name in asked.variant.asks if name in request.query_params}
    told = {**asked.told, **given}
    if lacks := asked.lacks(told):
        return link_pages.asked(asked.provider.name, _fields(asked, told, lacks if given else {}))
    try:
        url, verifier = await authorize_url(services, asked, told, _callback(services, asked.provider.slug))
    except (Refused, Unanswered) as error:
        return await _sent_back(services, asked, error)
    told.pop("base_url" if asked.app.base_url is not None else "", None)
    payload = {**link.payload, "told": told, "verifier": verifier}
    async with services.db.transaction() as conn:
        sent = await links.send(conn, services.keyring, link, payload, services.db.clock.now())
    if sent is None:
        return link_pages.failed(*_OVER_TEXT, status=410)
    return _onward(services, asked, URL(url).update_query(state=sent.state), sent, by_page=bool(given))


@router.get(_PATH + "/callback/{provider}", response_class=Response, responses=_PAGES)
async def callback(request: Request, provider: Annotated[str, Path(max_length=63)]) -> Response:
    """Where the provider sends the browser back to."""
    services = services_of(request)
    query = dict(request.query_params)
    state = query.get("state", "")
    cookie = request.cookies.get(_cookie_name(state), "")
    async with services.db.transaction() as conn:
        link = await links.call_back(conn, services.keyring, state, cookie, services.db.clock.now())
    if link is None:
        return link_pages.failed(*_OVER_TEXT, status=410)
    asked = await asking(services, link)
    if asked.provider.slug != provider:
        return link_pages.failed(*_OVER_TEXT, status=410)
    if "error" in query:
        return await _sent_back(services, asked, None, query["error"], query.get("error_description", ""))
    try:
        properties = await credential_of(services, asked, query, _callback(services, provider))
    except (Refused, Unanswered) as error:
        return await _sent_back(services, asked, error)
    payload = {"state": link.payload["state"], "properties": properties}
    async with services.db.transaction() as conn:
        code = await links.finish(conn, services.keyring, link, payload, services.db.clock.now())
    url = _with(link, code=code)
    return _redirect(url, link_pages.connected(asked.provider.name, url))


@router.get(_PATH + "/connected", response_class=Response, responses=_PAGES)
async def connected(request: Request) -> Response:
    """Where a browser lands whose caller has no page of its own."""
    query = request.query_params
    if "error" in query:
        reason = query.get("error_description") or query["error"]
        return link_pages.failed("The account is not connected", reason, *_AGAIN)
    if not query.get("code"):
        return link_pages.failed("Nothing was connected here", "This address is reached at the end of a link.", *_AGAIN)
    return link_pages.landed(query["code"])


@router.post(_PATH + "/token", response_model=Connected, responses=shapes.also(400, 401, 413, 422))
async def exchange_code(
    request: Request, body: Annotated[CodeForCredential, Depends(JsonBody(CodeForCredential))]
) -> Json:
    """The credential for a code: once, and for the app that it was connected through."""
    services = services_of(request)
    async with services.db.transaction() as conn:
        app = await oauth_apps.by_id(conn, body.client_id)
        # One answer for an unknown app and a wrong secret; compared in constant time.
        secrets = {} if app is None else await oauth_apps.open_secrets(conn, services.keyring, app)
        expected = secrets.get("client_secret", "")
        if not hmac.compare_digest(expected.encode(), body.client_secret.encode()) or app is None:
            raise Unauthorized("client_id must be the id of an OAuth app here, and client_secret that app's secret.")
        link = await links.redeem(conn, services.keyring, body.code, app.id, services.db.clock.now())
    if link is None:
        raise Invalid({"code": ["is unknown, was used, or is older than ten minutes; connect the account again"]})
    credential = {"oauth_app_id": str(app.id), "properties": link.payload["properties"]}
    return Json({"credential": credential, "state": orjson.loads(link.payload["state"])}, headers=NO_STORE)


def _kind(services: Services, body: StartAuth) -> tuple[str, CredentialKind]:
    """Raises Invalid for one that is not connected in a browser, and for properties that do not hold."""
    kinds = kinds_of(services)
    found = kinds.get(body.credential_kind)
    if found is None or found[1].link is None:
        every = ", ".join(name for name in kinds.names() if (of := kinds.get(name)) and of[1].link is not None)
        raise Invalid({"credential_kind": [f"is not connected in a browser; these are: {every}"]})
    kind = found[1]
    open_ones = {name: each for name, each in kind.schema["properties"].items() if name not in kind.secret}
    open_ones.pop("base_url" if "base_url" not in kind.schema["required"] else "", None)
    if wrong := schema.reasons({"type": "object", "properties": open_ones}, body.properties, "properties"):
        raise Invalid(wrong)
    return found


def _fields(asked: Asking, told: Mapping[str, Any], wrong: Mapping[str, list[str]]) -> list[link_pages.Field]:
    known = asked.kind.schema["properties"]
    return [
        (name, known[name].get("title", name), known[name].get("description", ""), str(told.get(name, "")),
         wrong.get(name, []))
        for name in asked.variant.asks
    ]  # fmt: skip


def _onward(services: Services, asked: Asking, url: URL, sent: Sent, *, by_page: bool) -> Response:
    cookie = (
        f"{_cookie_name(sent.state)}={sent.cookie}; Path={_PATH}; HttpOnly; SameSite=Lax; "
        f"Max-Age={int(BROWSER_LIFE.total_seconds())}" + ("; Secure" if _public(services).startswith("https") else "")
    )
    headers = {"Set-Cookie": cookie}
    if by_page:
        return link_pages.onward(asked.provider.name, str(url), headers)
    return _redirect(str(url), None, headers)


async def _sent_back(
    services: Services, asked: Asking, error: Exception | None, name: str = "", description: str = ""
) -> Response:
    """Back to the caller, with what went wrong."""
    if error is not None:
        name = next((name for kind, name in WHY.items() if isinstance(error, kind)), "server_error")
        description = error.summary if isinstance(error, ProviderFailed) else str(error)
    async with services.db.api.acquire() as conn:
        await links.drop(conn, asked.link)
    return _redirect(_with(asked.link, error=name[:100], error_description=description[:500]), None)


def _with(link: Link, **parameters: str) -> str:
    """The redirect URL with these and the state: a text as it is, anything else as JSON."""
    state = orjson.loads(link.payload["state"])
    text = state if isinstance(state, str) else link.payload["state"]
    return str(URL(link.redirect_url).update_query({**parameters, **({} if state is None else {"state": text})}))


def _redirect(url: str, body: Response | None, headers: Mapping[str, str] | None = None) -> Response:
    every = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", **(headers or {})}
    if body is None:
        return RedirectResponse(url, 303, headers=every)
    body.status_code = 303
    body.headers.update({**every, "Location": url})
    return body


def _cookie_name(state: str) -> str:
    """Of its own for each link: several may be under way in one browser."""
    return _COOKIE + links.hash_of(state).hex()[:16]


def _public(services: Services) -> str:
    settings = services.settings
    return (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")


def _callback(services: Services, provider: str) -> str:
    return f"{_public(services)}{_PATH}/callback/{provider}"


def _landing(services: Services) -> str:
    return f"{_public(services)}{_PATH}/connected"
