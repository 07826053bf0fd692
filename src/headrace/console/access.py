"""Credentials, OAuth apps, API tokens, and how this installation is set up."""

import asyncio
from typing import Any

from starlette.responses import Response

from headrace.console.asking import Refused
from headrace.console.visit import Visit
from headrace.control.syncs import Sync

_NAMED = 5


async def credentials(visit: Visit) -> Response:
    held = await visit.api.every("/v1/credentials")
    async with visit.services.db.api.acquire() as conn:
        using = await visit.syncs(conn)
    used: dict[str, list[Sync]] = {}
    for sync in using:
        used.setdefault(str(sync.credential_id), []).append(sync)
    return visit.page("credentials.html", credentials=held, used=used, few=_NAMED)


async def delete_credential(visit: Visit) -> Response:
    await visit.api.send("DELETE", f"/v1/credentials/{visit.id()}")
    return visit.go("/credentials", "The credential is deleted.")


async def oauth_apps(visit: Visit) -> Response:
    apps, providers = await asyncio.gather(visit.api.every("/v1/oauth-apps"), visit.api.get("/v1/providers"))
    slugs = [each for each in providers["data"] if any(kind["needs_oauth_app"] for kind in each["kinds"])]
    return visit.page("oauth_apps.html", apps=apps, providers=slugs, base=visit.base)


async def create_oauth_app(visit: Visit) -> Response:
    body: dict[str, Any] = {
        name: visit.field(name)
        for name in ("provider", "name", "client_id", "client_secret", "app_id", "private_key")
        if visit.field(name)
    }
    body["redirect_uris"] = (visit.field("redirect_uris") or "").split()
    await visit.api.send("POST", "/v1/oauth-apps", body)
    return visit.go("/oauth-apps", "The app is kept. Accounts can now be connected through it.")


async def delete_oauth_app(visit: Visit) -> Response:
    await visit.api.send("DELETE", f"/v1/oauth-apps/{visit.id()}")
    return visit.go("/oauth-apps", "The app is deleted.")


async def tokens(visit: Visit) -> Response:
    held, streams = await asyncio.gather(visit.api.every("/v1/api-tokens"), visit.api.every("/v1/streams"))
    return visit.page("tokens.html", tokens=held, streams=streams, made=None)


async def create_token(visit: Visit) -> Response:
    """The page shows the token once, and never again."""
    body: dict[str, Any] = {"name": visit.field("name") or "token", "scopes": visit.form.get("scopes", [])}
    if visit.form.get("stream_ids"):
        body["stream_ids"] = visit.form["stream_ids"]
    made = await visit.api.send("POST", "/v1/api-tokens", body)
    held, streams = await asyncio.gather(visit.api.every("/v1/api-tokens"), visit.api.every("/v1/streams"))
    return visit.page("tokens.html", tokens=held, streams=streams, made=made)


async def revoke_token(visit: Visit) -> Response:
    await visit.api.send("DELETE", f"/v1/api-tokens/{visit.id()}")
    return visit.go("/tokens", "The token is revoked: it opens nothing any more.")


async def settings(visit: Visit) -> Response:
    given = visit.services.settings
    ready, streams = await asyncio.gather(_ready(visit), visit.api.every("/v1/streams"))
    facts = [
        ("Role of this process", given.role),
        ("Database", "embedded, in this process's data folder" if given.database_url is None else "external"),
        ("Public address", str(given.public_url or "not set: HEADRACE_PUBLIC_URL")),
        ("Other hosts for credentials", "allowed (development)" if given.allow_base_url else "not allowed"),
        ("Limits of such hosts", given.limits_override or "those of the providers"),
    ]
    return visit.page("settings.html", facts=facts, ready=ready, streams=streams)


async def change_stream(visit: Visit) -> Response:
    days = visit.field("event_days")
    await visit.api.send("PATCH", f"/v1/streams/{visit.id()}", {"event_days": int(days) if days else 0})
    return visit.go("/settings", "The stream keeps its events for so long from now on.")


async def _ready(visit: Visit) -> dict[str, Any]:
    try:
        told: dict[str, Any] = await visit.api.get("/ready")
    except Refused as refused:
        return {"ready": False, "note": refused.summary}
    return told
