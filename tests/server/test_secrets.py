"""Secrets planted in every kind of credential, and in all that is secret besides, are in nothing that the running
system has written or shows: logs, answers, figures, the reference, process lists, the database's own files."""

import asyncio
import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from headrace.providers import installed
from headrace.providers.kit import CredentialKind
from headrace.testing.oauth import authorization_server
from headrace.testing.processes import ServeProcess

KEY = "ab" * 32
TOKEN = "hr_canary_token_of_the_instance_4711"
VISIBLE = "no_secret_4711"
"""What is stored in the open, so that the search is seen to find what is there."""
FORMS = {
    "api_key": "SG.canarykeyid.{}",
    "secret": "sk_live_{}",
}
PLAIN: dict[str, Any] = {
    "account_id": "1234567", "account_login": "acme", "account_type": "User", "airtable_uid": "usr1",
    "base_url": "https://123-abc-456.mktorest.com", "client_id": "c", "domain": "acme.auth0.com", "hub_id": 1,
    "installation_id": 1, "instance_url": "https://acme.my.salesforce.com", "login_id": "l", "realm_id": "1",
    "shop": "acme.myshopify.com", "stripe_user_id": "acct_1", "tenant": "acme", "username": "u",
}  # fmt: skip
INSTANCES = {
    "servicenow": {"instance_url": "https://acme.service-now.com"},
    "workday": {"base_url": "https://wd5-services1.myworkday.com"},
}


class Planted:
    """The secrets that were given to the system; each is found again in any of its spellings."""

    def __init__(self) -> None:
        self.secrets: list[str] = []

    def new(self, form: str = "{}") -> str:
        secret = f"Canary{len(self.secrets):03}Yq7Zx4711Kw"
        self.secrets.append(secret)
        return form.format(secret)

    def spellings(self, secret: str) -> Iterator[bytes]:
        yield secret.encode()
        yield secret.encode().hex().encode()
        for offset in range(3):
            yield base64.b64encode(b"\0" * offset + secret.encode())[4 if offset else 0 : -4]

    def absent(self, where: str, text: bytes) -> None:
        for secret in self.secrets:
            for spelling in self.spellings(secret):
                assert spelling not in text, f"{secret} is in {where}"


def properties(planted: Planted, provider: str, kind: CredentialKind) -> dict[str, Any]:
    """Valid properties of the kind, with a planted secret in each place for one."""
    schema = kind.schema
    given = {name: PLAIN[name] for name in schema["required"] if name not in kind.secret}
    given |= {name: value for name, value in INSTANCES.get(provider, {}).items() if name in given}
    secrets = {name: planted.new(FORMS.get(name, "{}")) for name in kind.secret}
    return {"kind": kind.kind, **given, **secrets}


async def test_no_planted_secret_is_in_anything_that_was_written(tmp_path: Path) -> None:
    planted = Planted()
    planted.secrets += [KEY, base64.b64encode(bytes.fromhex(KEY)).decode(), TOKEN]
    data_dir = tmp_path / "data"
    shown: dict[str, bytes] = {}
    async with (
        authorization_server() as provider,
        ServeProcess(data_dir=data_dir, token=TOKEN, secret_key=KEY, settings={"log_level": "debug"}) as server,
    ):
        await server.ready()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=60) as api:

            async def ask(method: str, path: str, body: Any = None) -> Any:
                answer = await api.request(method, path, json=body)
                shown[f"{method} {path} {len(shown)}"] = answer.content
                assert answer.status_code in (200, 422), answer.text
                return answer.json()

            for slug, connector in sorted(installed().items()):
                app = {"provider": slug, "name": slug, "client_id": "c", "client_secret": planted.new()}
                app_id = (await ask("POST", "/v1/oauth-apps", {**app, "private_key": planted.new()}))["id"]
                for kind in connector.kinds:
                    given = {"oauth_app_id": app_id, "properties": properties(planted, slug, kind)}
                    made = await ask("POST", "/v1/credentials?verify=false", given)
                    assert "id" in made, (kind.kind, made)
                    wrong = {"properties": {name: [planted.new()] for name in kind.secret}}
                    await ask("PATCH", f"/v1/credentials/{made['id']}?verify=false", wrong)
            # One that is asked about, refused, and minted from at a provider that repeats what it got.
            app = {"provider": "airtable", "name": "a", "client_id": provider.client_id, "base_url": provider.url}
            app_id = (await ask("POST", "/v1/oauth-apps", {**app, "client_secret": provider.client_secret}))["id"]
            family = provider.grants.consent("usr1")
            for token in (planted.new(), family.live):
                given = {"kind": "airtable_oauth2", "refresh_token": token, "base_url": provider.url}
                await ask("POST", "/v1/credentials", {"oauth_app_id": app_id, "properties": given})
            planted.secrets += [*family.tokens, *provider.grants.access]
            await ask("POST", "/v1/streams", {"slug": VISIBLE})
            for path in ("/v1/credentials", "/v1/oauth-apps", "/v1/audit", "/v1/api-tokens", "/v1/providers"):
                await ask("GET", path)
            await ask("POST", "/v1/credentials/start-auth", {"oauth_app_id": app_id, "credential_kind": planted.new()})
            for path in ("/metrics", "/docs", "/openapi.json", "/ready", f"/v1/streams/{planted.new()}"):
                shown[path] = (await api.get(path)).content
        process = Path(f"/proc/{server.pid}")
        listed = await asyncio.to_thread(subprocess.run, ["ps", "-ww", "-eo", "args"], capture_output=True, check=True)
        shown["the process list"] = listed.stdout
        limits = (process / "limits").read_text()
        assert "Max core file size 0 0" in " ".join(limits.split())
        assert await server.stop() == 0

    assert len(planted.secrets) > 70
    for where, text in shown.items():
        planted.absent(where, text)
    planted.absent("the log", "\n".join(server.lines).encode())
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    assert len(files) > 500
    assert any(VISIBLE.encode() in path.read_bytes() for path in files)
    for path in files:
        planted.absent(str(path.relative_to(data_dir)), path.read_bytes())
