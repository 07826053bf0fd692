"""Secrets planted in every kind of credential, and in all that is secret besides, are in nothing that the running
system has written or shows: logs, answers, pages, figures, the reference, process lists, the database's own files."""

import asyncio
import base64
import contextlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import psutil
from planting import Planted

from headrace.providers import installed
from headrace.testing.oauth import AuthorizationServer, authorization_server
from headrace.testing.processes import ServeProcess

KEY = "ab" * 32
TOKEN = "hr_canary_token_of_the_instance_4711"
VISIBLE = "no_secret_4711"
"""What is stored in the open, so that the search is seen to find what is there."""
BACK = "https://app.example.com/connected"
PAGES = ("/", "/connect", "/connect/stripe", "/consumers", "/credentials", "/oauth-apps", "/tokens", "/settings")


class Asking:
    """Calls the system as an admin does, and keeps every answer but those that must tell a secret."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http
        self.shown: dict[str, bytes] = {}

    async def __call__(self, method: str, path: str, body: Any = None, *, tells: bool = False, **options: Any) -> Any:
        """The answer's JSON. `tells`: it tells a secret, by its purpose, to who asked."""
        answer = await self.http.request(method, path, json=body, **options)
        if not tells:
            self.shown[f"{method} {path} {len(self.shown)}"] = answer.content
        assert answer.status_code in (200, 400, 422), answer.text
        return answer.json()


async def credentials_of_every_kind(ask: Asking, planted: Planted) -> dict[str, str]:
    """An app for each provider and a credential of each kind; returns one of each provider."""
    found: dict[str, str] = {}
    for slug, connector in sorted(installed().items()):
        app = {"provider": slug, "name": slug, "client_id": "c", "client_secret": planted.new()}
        app_id = (await ask("POST", "/v1/oauth-apps", {**app, "private_key": planted.new()}))["id"]
        await ask("PATCH", f"/v1/oauth-apps/{app_id}", {"client_secret": planted.new()})
        for kind in connector.kinds:
            given = {"oauth_app_id": app_id, "properties": planted.properties(slug, kind)}
            kept = {"Idempotency-Key": f"once-{kind.kind}"}
            made = await ask("POST", "/v1/credentials?verify=false", given, headers=kept)
            assert "id" in made, (kind.kind, made)
            wrong = {"properties": {name: [planted.new()] for name in kind.secret}}
            await ask("PATCH", f"/v1/credentials/{made['id']}?verify=false", wrong)
            await ask("GET", f"/v1/credentials/{made['id']}?truncate_secrets=false", tells=True)
            found[slug] = made["id"]
    return found


async def webhooks(ask: Asking, planted: Planted, credentials: Mapping[str, str], stream_id: str) -> int:
    """A sync of each provider that has collections, with a signing secret where it sends webhooks, and a webhook that
    is not genuine; how many there were."""
    count = 0
    for slug, connector in sorted(installed().items()):
        if not connector.collections:
            continue
        sync = {"provider": slug, "stream_id": stream_id, "name": slug, "credential_id": credentials[slug]}
        ids = [connector.collections[0].id]
        made = await ask("POST", "/v1/syncs", {**sync, "collection_ids": ids, "status": "disabled"})
        if connector.hook is None:
            continue
        signing = base64.b64encode(planted.new().encode()).decode() if slug == "airtable" else planted.new()
        told = await ask("PUT", f"/v1/syncs/{made['id']}/webhook", {"signing_secret": signing}, tells=True)
        path = urlsplit(told["url"]).path
        planted.made(path.rsplit("/", 1)[1])
        await ask("POST", path, {"token": planted.new()}, headers={"Stripe-Signature": f"t=1,v1={planted.new()}"})
        count += 1
    return count


async def grants(ask: Asking, planted: Planted, provider: AuthorizationServer) -> None:
    """A grant that is refused, one that is renewed, and one that a browser brings, at a provider that repeats all that
    it gets."""
    app = {"provider": "airtable", "name": "a", "client_id": provider.client_id, "base_url": provider.url}
    secret = {"client_secret": provider.client_secret, "redirect_uris": [BACK]}
    app_id = (await ask("POST", "/v1/oauth-apps", {**app, **secret}))["id"]
    family = provider.grants.consent("usr1")
    for token in (planted.new(), family.live):
        given = {"kind": "airtable_oauth2", "refresh_token": token, "base_url": provider.url}
        await ask("POST", "/v1/credentials", {"oauth_app_id": app_id, "properties": given})
    link = {"oauth_app_id": app_id, "credential_kind": "airtable_oauth2", "redirect_url": BACK}
    await ask("POST", "/v1/credentials/start-auth", {**link, "credential_kind": planted.new()})
    started = await ask("POST", "/v1/credentials/start-auth", {**link, "state": planted.new()}, tells=True)
    url = urlsplit(started["start_url"]).path
    planted.made(url.rsplit("/", 1)[1])
    while not url.startswith(BACK):
        answer = await ask.http.get(url)
        assert answer.status_code in (302, 303), answer.text
        url = answer.headers["location"]
        for name in ("state", "code"):
            planted.secrets += [each for each in parse_qs(urlsplit(url).query).get(name, []) if len(each) >= 16]
    code = parse_qs(urlsplit(url).query)["code"][0]
    redeemed = {"code": code, "client_id": app_id, "client_secret": provider.client_secret}
    await ask("POST", "/link/oauth2/token", redeemed, tells=True)
    planted.secrets += [token for each in provider.grants.families for token in each.tokens]
    planted.secrets += provider.grants.access


async def api_tokens(ask: Asking, planted: Planted) -> None:
    """Tokens of every scope, used; one revoked; unknown ones."""
    for scope in ("admin", "read", "consume"):
        made = await ask("POST", "/v1/api-tokens", {"name": scope, "scopes": [scope]}, tells=True)
        as_made = {"Authorization": f"Bearer {planted.made(made['token'])}"}
        await ask.http.get("/v1/streams", headers=as_made)
    await ask("DELETE", f"/v1/api-tokens/{made['id']}")
    for scheme in ("Bearer", "Basic"):
        answer = await ask.http.get("/v1/streams", headers={"Authorization": f"{scheme} {planted.new()}"})
        ask.shown[f"refused {scheme}"] = answer.content
        assert answer.status_code == 401


async def mistakes(ask: Asking, planted: Planted) -> None:
    """Secrets in places where none belongs."""
    for path in (f"/v1/streams/{planted.new()}", f"/v1/syncs?name={planted.new()}", f"/{planted.new()}"):
        ask.shown[path[:12]] = (await ask.http.get(path)).content
    broken = f'{{"slug": "{planted.new()}", "slug": 1'
    ask.shown["a broken body"] = (await ask.http.post("/v1/streams", content=broken)).content
    await ask("POST", "/v1/streams", {"slug": [planted.new()]})
    proxied = await ask.http.get(f"/v1/proxy/sync/x/{planted.new()}", headers={"Cookie": f"a={planted.new()}"})
    ask.shown["a proxy"] = proxied.content


async def looked_at(ask: Asking, url: str) -> None:
    """Every page and document there is, the console's among them."""
    for path in ("/v1/credentials", "/v1/oauth-apps", "/v1/audit", "/v1/api-tokens", "/v1/providers", "/v1/syncs"):
        await ask("GET", path)
    for path in ("/metrics", "/docs", "/openapi.json", "/ready"):
        ask.shown[path] = (await ask.http.get(path)).content
    async with httpx2.AsyncClient(base_url=url, follow_redirects=True, timeout=60) as visitor:
        entered = await visitor.post("/login", data={"token": TOKEN})
        assert entered.status_code == 200, entered.text
        for path in PAGES:
            page = await visitor.get(path)
            assert page.status_code == 200, (path, page.text[:300])
            ask.shown[f"the page {path}"] = page.content


def process_lists(pid: int) -> dict[str, bytes]:
    """What others on the machine may read of the process and its children, the database's among them."""
    listed = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, check=True)
    seen = {"the process list": listed.stdout}
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by now
            environment = "\0".join(f"{name}={value}" for name, value in child.environ().items())
            seen[f"the environment of {child.name()} {child.pid}"] = environment.encode(errors="surrogateescape")
    return seen


async def test_no_planted_secret_is_in_anything_that_was_written(tmp_path: Path) -> None:
    planted = Planted(KEY, base64.b64encode(bytes.fromhex(KEY)).decode(), TOKEN)
    data_dir = tmp_path / "data"
    async with (
        authorization_server() as provider,
        ServeProcess(data_dir=data_dir, token=TOKEN, secret_key=KEY, settings={"log_level": "debug"}) as server,
    ):
        await server.ready()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=60) as http:
            ask = Asking(http)
            credentials = await credentials_of_every_kind(ask, planted)
            stream = await ask("POST", "/v1/streams", {"slug": VISIBLE})
            assert await webhooks(ask, planted, credentials, stream["id"]) >= 5
            await grants(ask, planted, provider)
            await api_tokens(ask, planted)
            await mistakes(ask, planted)
            await looked_at(ask, server.url)
        ask.shown |= await asyncio.to_thread(process_lists, server.pid)
        assert sum(name.startswith("the environment of") for name in ask.shown) > 3
        if sys.platform == "linux":  # others do not tell the limits of a process
            assert psutil.Process(server.pid).rlimit(psutil.RLIMIT_CORE) == (0, 0)
        assert await server.stop() == 0

    assert len(planted.secrets) > 150
    for where, text in ask.shown.items():
        planted.absent(where, text)
    planted.absent("the log", "\n".join(server.lines).encode())
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    assert any("pg_wal" in path.parts for path in files)
    assert any(VISIBLE.encode() in path.read_bytes() for path in files)
    for path in files:
        planted.absent(str(path.relative_to(data_dir)), path.read_bytes())
