"""/v1/oauth-apps"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AfterValidator, Field
from starlette.requests import Request
from yarl import URL

from headrace.api import exporting, shapes
from headrace.api.answers import Json, deleted, nothing_but, verbatim
from headrace.api.auth import Caller, Read
from headrace.api.body import Fields, JsonBody
from headrace.api.change import AdminChange
from headrace.api.credential_shapes import HealthStatus, OAuthAppObject, OAuthApps
from headrace.api.exporting import TruncateSecrets
from headrace.api.fields import UNSET, Distinct, Metadata, Name, wrong
from headrace.api.paging import Paging
from headrace.api.queries import DryRun, MetadataFilter
from headrace.api.services import services_of
from headrace.api.webhook_addresses import WebhookUrl, of_app, path_hash, secret_part
from headrace.clock import iso
from headrace.control.tokens import Principal
from headrace.db.pool import Conn
from headrace.errors import Invalid, NotFound
from headrace.ids import parse_uuid
from headrace.providers import SLUGS
from headrace.vault import app_webhooks, oauth_apps
from headrace.vault.drafts import base_url_reasons
from headrace.vault.masking import looks_masked
from headrace.vault.oauth_apps import Filters, OAuthApp

router = APIRouter(tags=["oauth apps"])


def _unmasked(value: str) -> str:
    if looks_masked(value):
        raise wrong("is masked: give the secret itself, or leave the field out")
    return value


def _redirect_uri(value: str) -> str:
    try:
        url = URL(value)
    except ValueError:
        raise wrong("must be a URL") from None
    if url.scheme not in ("http", "https") or not url.host or url.user is not None or "#" in value:
        raise wrong("must be a URL that begins with https:// or http://, without user name and fragment")
    return value


Secret = Annotated[str, Field(min_length=1, max_length=16_384), AfterValidator(_unmasked)]
RedirectUris = Annotated[
    list[Annotated[str, Field(max_length=2048), AfterValidator(_redirect_uri)]], Field(max_length=100), Distinct
]


class _AppFields(Fields):
    output_only = frozenset({"id", "health", "created_at", "updated_at"})


class OAuthAppCreate(_AppFields):
    """`app_id` and `private_key` are for providers whose apps sign with a key of their own. `base_url` is where the
    provider is in development (HEADRACE_ALLOW_BASE_URL=1)."""

    provider: Annotated[str, Field(min_length=1, max_length=63)]
    name: Name
    client_id: Annotated[str, Field(min_length=1, max_length=255)]
    client_secret: Secret
    redirect_uris: RedirectUris = Field(default_factory=list)
    app_id: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    private_key: Secret | None = None
    base_url: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    metadata: Metadata = "{}"


class OAuthAppPatch(_AppFields):
    fixed = dict.fromkeys(("provider", "client_id", "app_id", "base_url"), "cannot be updated; make another OAuth app")

    name: Name = UNSET
    client_secret: Secret = UNSET
    private_key: Secret = UNSET
    redirect_uris: RedirectUris = UNSET
    metadata: Metadata = UNSET


class AppWebhook(Fields):
    """`signing_secret` left out: the app's client secret signs."""

    signing_secret: Secret | None = None
    url: WebhookUrl = None


async def _path_app(
    id: Annotated[str, Path(description="The OAuth app's id.")],  # noqa: A002
    request: Request,
    principal: Caller,
) -> OAuthApp:
    app_id = parse_uuid(id)
    if app_id is None:
        raise NotFound("There is no such OAuth app: its id is malformed. List those there are with GET /v1/oauth-apps.")
    async with services_of(request).db.api.acquire() as conn:
        return await oauth_apps.get(conn, principal.org_id, app_id)


PathApp = Annotated[OAuthApp, Depends(_path_app)]


def render(app: OAuthApp, secrets: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The app as it is shown; `secrets` None: masked."""
    return {
        "id": str(app.id),
        "provider": app.provider,
        "name": app.name,
        "client_id": app.client_id,
        **(oauth_apps.masked(app) if secrets is None else secrets),
        **app.properties,
        "redirect_uris": app.redirect_uris,
        "metadata": verbatim(app.metadata),
        "health": {"status": app.health_status, "notes": app.health_notes, "time": iso(app.health_at)},
        "created_at": iso(app.created_at),
        "updated_at": iso(app.updated_at),
    }


@router.post("/v1/oauth-apps", response_model=OAuthAppObject)
async def create_oauth_app(
    change: AdminChange, body: Annotated[OAuthAppCreate, Depends(JsonBody(OAuthAppCreate))]
) -> Json:
    """Register an OAuth app of one's own."""
    known = {*SLUGS, *change.services.providers}
    if body.provider not in known:
        raise Invalid({"provider": [f"is not known here; known are {', '.join(sorted(known))}"]})
    if body.base_url is not None and (
        wrong := base_url_reasons(body.base_url, change.services.settings.allow_base_url)
    ):
        raise Invalid({"base_url": wrong})
    secrets = {"client_secret": body.client_secret, "private_key": body.private_key}
    plain = {"app_id": body.app_id, "base_url": body.base_url}
    async with change.transaction() as tx:
        app = await oauth_apps.create(
            tx.conn,
            change.services.keyring,
            tx.principal.org_id,
            provider=body.provider,
            name=body.name,
            client_id=body.client_id,
            secrets={name: secret for name, secret in secrets.items() if secret is not None},
            redirect_uris=body.redirect_uris,
            properties={name: value for name, value in plain.items() if value is not None},
            metadata=body.metadata,
            now=tx.now,
        )
        return tx.answer(render(app), object_id=app.id)


@router.get("/v1/oauth-apps", response_model=OAuthApps)
async def list_oauth_apps(
    request: Request,
    principal: Read,
    page: Paging,
    provider: Annotated[str | None, Query()] = None,
    health_status: Annotated[HealthStatus | None, Query(alias="health.status")] = None,
    metadata: MetadataFilter = None,
    truncate_secrets: TruncateSecrets = True,
) -> Json:
    """List the organisation's OAuth apps; with truncate_secrets=false their secrets too."""
    services = services_of(request)
    async with services.db.transaction() as conn:
        rows = await oauth_apps.list_(
            conn,
            principal.org_id,
            Filters(provider, health_status, metadata),
            limit=page.limit + 1,
            after=page.after,
        )
        if truncate_secrets:
            return page.answer(rows, render)
        shown, _ = page.cut(rows)
        opened = await _opened(conn, request, principal, shown)
    answer = page.answer(rows, lambda app: render(app, opened[app.id]))
    answer.headers.update(exporting.NO_STORE)
    return answer


@router.get("/v1/oauth-apps/{id}", response_model=OAuthAppObject)
async def get_oauth_app(
    request: Request, principal: Read, app: PathApp, truncate_secrets: TruncateSecrets = True
) -> Json:
    """One OAuth app; with truncate_secrets=false its secrets too."""
    if truncate_secrets:
        return Json(render(app))
    async with services_of(request).db.transaction() as conn:
        opened = await _opened(conn, request, principal, [app])
    return exporting.answer(render(app, opened[app.id]))


@router.patch("/v1/oauth-apps/{id}", response_model=OAuthAppObject)
async def update_oauth_app(
    change: AdminChange, app: PathApp, body: Annotated[OAuthAppPatch, Depends(JsonBody(OAuthAppPatch))]
) -> Json:
    """Change an OAuth app."""
    given = body.given()
    async with change.transaction() as tx:
        held = await oauth_apps.get(tx.conn, app.org_id, app.id, lock=True)
        changed = await oauth_apps.update(
            tx.conn,
            change.services.keyring,
            held,
            name=given.get("name", held.name),
            secrets={name: given[name] for name in ("client_secret", "private_key") if name in given},
            redirect_uris=given.get("redirect_uris", held.redirect_uris),
            metadata=given.get("metadata", held.metadata),
            now=tx.now,
        )
        return tx.answer(render(changed))


@router.put("/v1/oauth-apps/{id}/webhook", response_model=shapes.WebhookAddress)
async def set_app_webhook(
    change: AdminChange, app: PathApp, body: Annotated[AppWebhook, Depends(JsonBody(AppWebhook))]
) -> Json:
    """Make the address that the provider is to send this app's webhooks to, for all accounts that the app may read. An
    older one is void, unless it is the one given as `url`: then it is kept."""
    services = change.services
    provider = services.providers.get(app.provider)
    if provider is None or provider.hook is None or provider.hook.accounts is None:
        raise Invalid({"id": [f"{app.provider} sends apps no webhooks that Headrace understands"]})
    async with change.transaction() as tx:
        place = of_app(services.settings, app.id)
        secret = await secret_part(place, body.url, partial(app_webhooks.find, tx.conn, services.keyring, app.id))
        await app_webhooks.keep(tx.conn, services.keyring, app, path_hash(secret), body.signing_secret)
        return tx.answer({}, once={"url": place + secret})


@router.delete("/v1/oauth-apps/{id}", response_model=shapes.Deleted | shapes.Plan)
async def delete_oauth_app(change: AdminChange, app: PathApp, dry_run: DryRun = False) -> Json:
    """Delete an OAuth app that no credential uses."""
    async with change.transaction() as tx:
        await oauth_apps.delete(tx.conn, app.org_id, app.id)
        return tx.plan(nothing_but(app.id)) if dry_run else tx.answer(deleted(app.id))


async def _opened(
    conn: Conn, request: Request, principal: Principal, apps: Sequence[OAuthApp]
) -> dict[UUID, dict[str, str]]:
    """The secrets of these apps, for an admin; that they were shown is noted."""
    await exporting.note(conn, request, principal, [str(app.id) for app in apps])
    keyring = services_of(request).keyring
    return {app.id: await oauth_apps.open_secrets(conn, keyring, app) for app in apps}
