"""From nothing to a sync that fills: provider, credential, collections, stream and pace, then watch it."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from starlette.responses import Response

from headrace.console.asking import Refused
from headrace.console.forms import properties, sync_fields
from headrace.console.visit import Visit
from headrace.errors import NotFound

STATE = "connect"
_UNMADE = str(UUID(int=0))


async def providers(visit: Visit) -> Response:
    """Which provider."""
    known = (await visit.api.get("/v1/providers"))["data"]
    return visit.page("connect_provider.html", providers=sorted(known, key=lambda each: not each["available"]))


async def credential(visit: Visit) -> Response:
    """Which account of it: one that is there, a key, or a login at the provider."""
    return await _credential(visit, await _provider(visit), {}, None, {})


async def new_credential(visit: Visit) -> Response:
    """Import what was entered; the API tries it against the provider."""
    provider = await _provider(visit)
    kind = next((each for each in provider["kinds"] if each["kind"] == visit.field("kind")), None)
    if kind is None:
        raise NotFound("This provider knows no such kind of credential.")
    given = {"kind": kind["kind"], **properties(visit.form, kind["schema"])}
    body = {"properties": given, "oauth_app_id": visit.field("oauth_app_id"), "name": visit.field("name")}
    try:
        made = await visit.api.send(
            "POST", "/v1/credentials", {name: value for name, value in body.items() if value is not None}
        )
    except Refused as refused:
        if refused.status not in (400, 422):
            raise
        secret = set(kind["secret"])
        shown = {name: value for name, value in given.items() if name not in secret}
        return await _credential(visit, provider, shown, refused.summary, refused.errors, kind["kind"])
    return visit.go(f"/connect/{provider['slug']}/{made['id']}", "The provider knows this credential.")


async def start_login(visit: Visit) -> Response:
    """To the provider's own login, by the auth link, and back to `finish_login`."""
    provider = await _provider(visit)
    word = secrets.token_urlsafe(16)
    begun = await visit.api.send(
        "POST",
        "/v1/credentials/start-auth",
        {
            "oauth_app_id": visit.field("oauth_app_id"),
            "credential_kind": visit.field("kind"),
            "redirect_url": _back(visit),
            "state": {"console": word},
        },
    )
    kept = {"word": word, "app": visit.field("oauth_app_id"), "provider": provider["slug"]}
    # A page with a link, no redirect: the policy of our pages lets no form lead to another host.
    response = visit.page("connect_login.html", provider=provider, start_url=begun["start_url"])
    response.set_cookie(
        "headrace_login", visit.sealer.seal(STATE, kept), max_age=900, path="/connect", httponly=True, samesite="lax"
    )
    return response


async def finish_login(visit: Visit) -> Response:
    """Back from the provider: the code becomes a credential."""
    kept = visit.sealer.open(STATE, visit.request.cookies.get("headrace_login", ""))
    if visit.query("error"):
        told = visit.query("error_description") or visit.query("error")
        return visit.go("/connect", f"The provider did not connect the account: {told}", "bad")
    if not isinstance(kept, dict):
        return visit.go("/connect", "This login was begun too long ago, or in another browser. Begin again.", "bad")
    secret = (await visit.api.get(f"/v1/oauth-apps/{kept['app']}", truncate_secrets="false"))["client_secret"]
    code = {"code": visit.query("code"), "client_id": kept["app"], "client_secret": secret}
    told = await visit.api.send("POST", "/link/oauth2/token", code)
    state = told["state"] if isinstance(told["state"], dict) else orjson.loads(told["state"] or "{}")
    if state.get("console") != kept["word"]:
        return visit.go("/connect", "This login was not begun here. Begin again.", "bad")
    made = await visit.api.send("POST", "/v1/credentials", told["credential"])
    return visit.go(f"/connect/{kept['provider']}/{made['id']}", "The account is connected.")


async def collections(visit: Visit) -> Response:
    """Which collections, to which stream, at what pace."""
    return await _collections(visit, {}, None)


async def create(visit: Visit) -> Response:
    fields = sync_fields(visit.form)
    stream_id = visit.field("stream_id")
    try:
        if stream_id is None:
            slug = visit.field("new_stream") or visit.request.path_params["slug"]
            stream_id = (await visit.api.send("POST", "/v1/streams", {"slug": slug}))["id"]
        chosen = {"provider": visit.request.path_params["slug"], "credential_id": str(visit.id("credential_id"))}
        made = await visit.api.send("POST", "/v1/syncs", {**fields, **chosen, "stream_id": stream_id})
    except Refused as refused:
        if refused.status not in (400, 422):
            raise
        return await _collections(visit, refused.errors, refused.summary)
    return visit.go(f"/syncs/{made['id']}", "The sync is made and fills. This page follows it.")


async def preview(visit: Visit) -> Response:
    """How long the backfill takes: by the API's dry run of the very sync, for which the provider counts its records."""
    fields = sync_fields(visit.form)
    plan, wrong = [], None
    if fields.get("collection_ids"):
        chosen = {"provider": visit.request.path_params["slug"], "credential_id": visit.field("credential_id")}
        body = {**fields, **chosen, "name": fields.get("name") or "preview", "stream_id": _UNMADE}
        try:
            plan = (await visit.api.send("POST", "/v1/syncs", body, dry_run="true"))["backfill"]
        except Refused as refused:
            wrong = refused
    text = visit.fragment("_preview.html", **_expected(plan), wrong=wrong)
    return Response(text, media_type="text/html; charset=utf-8")


def _expected(plan: list[dict[str, Any]]) -> dict[str, Any]:
    """The plan as a whole. Times add up: one pace is for all."""
    known = [each for each in plan if each["requests"] is not None]
    return {
        "chosen": len(plan),
        "requests": sum(each["requests"] for each in known),
        "seconds": sum(each["seconds"] or 0.0 for each in known),
        "exact": all(each["exact"] for each in known),
        "known": sorted(known, key=lambda each: -each["requests"]),
        "unknown": [each["collection_id"] for each in plan if each["requests"] is None],
    }


async def _credential(
    visit: Visit,
    provider: Mapping[str, Any],
    given: Mapping[str, Any],
    summary: str | None,
    errors: Mapping[str, list[str]],
    kind: str | None = None,
) -> Response:
    held, apps = await asyncio.gather(
        visit.api.every("/v1/credentials", provider=provider["slug"]),
        visit.api.every("/v1/oauth-apps", provider=provider["slug"]),
    )
    return visit.page(
        "connect_credential.html",
        422 if summary else 200,
        provider=provider,
        held=held,
        apps=apps,
        given=given,
        summary=summary,
        errors=errors,
        chosen_kind=kind,
        base_url=visit.services.settings.allow_base_url,
        back=_back(visit),
    )


async def _collections(visit: Visit, errors: Mapping[str, list[str]], summary: str | None) -> Response:
    provider = await _provider(visit)
    credential_id = visit.id("credential_id")
    held, known, kept = await asyncio.gather(
        visit.api.get(f"/v1/credentials/{credential_id}"),
        visit.api.every(f"/v1/collections/{credential_id}"),
        visit.api.every("/v1/streams"),
    )
    about = {each["id"]: each for each in provider["collections"]}
    shown = [{**about.get(each["id"], {}), "id": each["id"], "name": each["name"]} for each in known]
    return visit.page(
        "connect_collections.html",
        422 if summary else 200,
        provider=provider,
        credential=held,
        collections=shown,
        streams=kept,
        errors=errors,
        summary=summary,
        form=visit.form,
    )


async def _provider(visit: Visit) -> dict[str, Any]:
    found: dict[str, Any] = await visit.api.get(f"/v1/providers/{visit.request.path_params['slug']}")
    return found


def _back(visit: Visit) -> str:
    return visit.base + "/connect/back"
