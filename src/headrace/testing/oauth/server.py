"""The server: authorisation pages that consent at once, token endpoints, and enough of each API to prove a token."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlencode

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from headrace.testing.oauth import accounts
from headrace.testing.oauth.grants import Behaviour, Denied, Grants

INSTALLATION = 4711
_TOKEN_PATHS = (
    "/oauth2/v1/token", "/oauth/2026-03/token", "/oauth/token", "/services/oauth2/token", "/oauth2/v1/tokens/bearer",
    "/oauth_token.do", "/admin/oauth/access_token", "/login/oauth/access_token", "/identity/oauth/token",
    "/v1/oauth/token", "/services/rest/auth/oauth2/v1/token", "/ccx/oauth2/{tenant}/token",
)  # fmt: skip
_AUTHORIZE_PATHS = (
    "/oauth2/v1/authorize", "/oauth/authorize", "/services/oauth2/authorize", "/connect/oauth2", "/oauth_auth.do",
    "/admin/oauth/authorize", "/app/login/oauth2/authorize.nl", "/{tenant}/authorize", "/oauth/v2/authorize",
)  # fmt: skip


class AuthorizationServer:
    """One account (`account`) whose owner says yes to everything, or no while `denies`.

    `client_id` and `client_secret` are the app's; `app_key` the public key of a GitHub App. `asked` are the paths of
    every request with the parameters of the query, in order; `redirect_uris` those that may be returned to, None: all.
    """

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self.grants = Grants(self.behaviour)
        self.account = "acct_1"
        self.client_id = "client"
        self.client_secret = "client-secret"  # noqa: S105 - of nobody
        self.app_key: RSAPublicKey | None = None
        self.denies = False
        self.sees_installation = True
        self.redirect_uris: set[str] | None = None
        self.url = ""
        self.asked: list[tuple[str, dict[str, str]]] = []

    def app(self) -> web.Application:
        app = web.Application()
        for path in _TOKEN_PATHS:
            app.router.add_post(path, self._token)
        app.router.add_get("/apps/headrace/installations/new", self._install)
        app.router.add_get("/app", self._who_is_app)
        app.router.add_get("/app/installations/{id}", self._installation)
        app.router.add_post("/app/installations/{id}/access_tokens", self._installation_token)
        app.router.add_get("/user/installations", self._user_installations)
        for method, path, answer in accounts.ROUTES:
            app.router.add_route(method, path, self._guarded(answer))
        for path in _AUTHORIZE_PATHS:
            app.router.add_get(path, self._authorize)
        return app

    # ── in the browser ──

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.asked.append((request.path, query))
        redirect_uri = query.get("redirect_uri", "")
        if query.get("client_id") != self.client_id or query.get("response_type") != "code":
            return web.Response(status=400, text="no such client, or no code asked for")
        if self.redirect_uris is not None and redirect_uri not in self.redirect_uris:
            return web.Response(status=400, text="this redirect_uri is not registered")
        if self.behaviour.needs_pkce and query.get("code_challenge_method") != "S256":
            return web.Response(status=400, text="a code_challenge is needed")
        if self.denies:
            back = {"error": "access_denied", "error_description": "The owner said no.", "state": query["state"]}
        else:
            back = {"code": self.grants.code(self.account, redirect_uri, query.get("code_challenge"))}
            back |= {"state": query["state"], **self._beside(request)}
            if request.path == "/admin/oauth/authorize":
                back = self.shopify_callback({**back, "shop": accounts.SHOP, "timestamp": "1795000000"})
        raise web.HTTPFound(f"{redirect_uri}?{urlencode(back)}")

    def _beside(self, request: web.Request) -> dict[str, str]:
        """What the callback carries beside the code, by provider."""
        if request.path == "/connect/oauth2":
            return {"realmId": "9130355377388383"}
        return {}

    async def _install(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, dict(request.query)))
        state = request.query["state"]
        back = {"installation_id": str(INSTALLATION), "setup_action": "install", "state": state}
        redirect_uri = next(iter(self.redirect_uris or ()))
        back["code"] = self.grants.code(self.account, redirect_uri, None)
        raise web.HTTPFound(f"{redirect_uri}?{urlencode(back)}")

    def shopify_callback(self, query: Mapping[str, str]) -> dict[str, str]:
        """The parameters with the signature that Shopify puts to them."""
        signed = "&".join(f"{name}={query[name]}" for name in sorted(query))
        digest = hmac.new(self.client_secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        return {**query, "hmac": digest}

    # ── tokens ──

    async def _token(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        if "json" in request.content_type:
            form: dict[str, str] = json.loads(raw)
        else:
            form = dict(await request.post())  # type: ignore[arg-type]  # no files come here
        self.asked.append((request.path, {}))
        if self.behaviour.fails > 0:
            self.behaviour.fails -= 1
            return web.json_response({"error": "temporarily_unavailable"}, status=503)
        try:
            self._check_client(request, form)
            answer = self._granted(request, form)
        except Denied as denied:
            body = {"error": denied.error, "error_description": denied.description}
            return web.json_response(body, status=401 if denied.error == "invalid_client" else 400)
        if self.behaviour.late_s:
            await asyncio.sleep(self.behaviour.late_s)
        if self.behaviour.drops > 0:
            self.behaviour.drops -= 1
            if request.transport is not None:
                request.transport.abort()
        return web.json_response(answer)

    def _check_client(self, request: web.Request, form: Mapping[str, str]) -> None:
        given = (form.get("client_id"), form.get("client_secret"))
        authorization = request.headers.get("authorization", "")
        if authorization.startswith("Basic "):
            user, _, password = base64.b64decode(authorization[6:]).decode().partition(":")
            given = (unquote(user), unquote(password))
            if request.path == "/v1/oauth/token" and not password:  # Stripe: the platform's key alone
                given = (self.client_id, given[0])
        if request.path == "/oauth/token" and given[0] is None:  # Stripe Connect: the platform's key alone
            given = (self.client_id, given[1])
        if given != (self.client_id, self.client_secret):
            raise Denied("invalid_client", "the client is unknown, or its secret is wrong")

    def _granted(self, request: web.Request, form: Mapping[str, str]) -> dict[str, Any]:
        match form.get("grant_type"):
            case "refresh_token":
                family, answer = self.grants.refresh(form["refresh_token"])
            case "client_credentials":
                return self.grants.client(self.account)
            case "authorization_code" | None:  # GitHub's and Shopify's have no grant_type
                family, answer = self.grants.redeem(
                    form["code"], form.get("redirect_uri", ""), form.get("code_verifier")
                )
            case other:
                raise Denied("unsupported_grant_type", str(other))
        return {**answer, **accounts.beside_token(request.path, family.account)}

    # ── the API ──

    def _guarded(self, answer: accounts.Answer) -> Any:
        """`answer` for who has a live access token."""

        async def handle(request: web.Request) -> web.StreamResponse:
            shown = request.headers.get("X-Shopify-Access-Token", "") or request.headers.get("authorization", "")
            family = self.grants.access.get(shown.removeprefix("Bearer "))
            self.asked.append((request.path, dict(request.query)))
            if family is None:
                return web.json_response({"error": "invalid_token", "message": "the token is unknown"}, status=401)
            return web.json_response(answer(request, family.account))

        return handle

    # ── GitHub ──

    def _signed(self, request: web.Request) -> bool:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        head, body, signature = token.split(".")
        assert self.app_key is not None
        try:
            self.app_key.verify(_decoded(signature), f"{head}.{body}".encode(), PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        claims = json.loads(_decoded(body))
        return bool(claims["iss"] == "12345" and claims["exp"] - claims["iat"] <= 600)

    async def _who_is_app(self, request: web.Request) -> web.StreamResponse:
        if not self._signed(request):
            return web.json_response({"message": "A JSON web token could not be decoded"}, status=401)
        return web.json_response({"id": 12345, "slug": "headrace", "html_url": f"{self.url}/apps/headrace"})

    async def _installation(self, request: web.Request) -> web.StreamResponse:
        if not self._signed(request) or int(request.match_info["id"]) != INSTALLATION:
            return web.json_response({"message": "Not Found"}, status=404)
        return web.json_response({"id": INSTALLATION, "account": {"login": self.account, "type": "Organization"}})

    async def _installation_token(self, request: web.Request) -> web.StreamResponse:
        if not self._signed(request) or int(request.match_info["id"]) != INSTALLATION:
            return web.json_response({"message": "Not Found"}, status=404)
        answer = self.grants.client(self.account)
        return web.json_response({"token": answer["access_token"], "expires_at": "2099-01-01T00:00:00Z"}, status=201)

    async def _user_installations(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.grants.access:
            return web.json_response({"message": "Bad credentials"}, status=401)
        seen = [{"id": INSTALLATION}] if self.sees_installation else []
        return web.json_response({"total_count": len(seen), "installations": seen})


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@asynccontextmanager
async def authorization_server(behaviour: Behaviour | None = None) -> AsyncIterator[AuthorizationServer]:
    """The server on a free port of the loopback, until the end of the block."""
    server = AuthorizationServer(behaviour)
    runner = web.AppRunner(server.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
