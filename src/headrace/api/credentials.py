"""/v1/credentials"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from headrace.api import exporting, importing, oauth_apps, shapes, trying
from headrace.api.answers import Json, deleted, nothing_but, verbatim
from headrace.api.auth import Caller, Read
from headrace.api.body import Fields, JsonBody
from headrace.api.change import AdminChange
from headrace.api.credential_shapes import CredentialObject, Credentials, HealthStatus
from headrace.api.exporting import TruncateSecrets
from headrace.api.fields import UNSET, Id, Metadata, Name
from headrace.api.importing import CredentialCreate, kinds_of
from headrace.api.paging import Paging
from headrace.api.queries import DryRun, MetadataFilter
from headrace.api.services import Services, services_of
from headrace.api.trying import Tried
from headrace.clock import iso
from headrace.db.pool import Conn
from headrace.errors import Invalid, NotFound
from headrace.ids import parse_uuid
from headrace.vault import credentials, drafts
from headrace.vault import oauth_apps as stored_apps
from headrace.vault.credentials import Credential, Filters
from headrace.vault.drafts import Draft

router = APIRouter(tags=["credentials"])

PLATFORM_APP = {"kind": "sequin"}
"""The wire value for the platform's own app."""

Verify = Annotated[bool, Query(description="Try the secret against the provider before it is stored.")]


class CredentialPatch(Fields):
    """Only what is given changes. `properties` re-authorise the same account: those given replace the old, null takes
    one away."""

    output_only = frozenset({"id", "kind", "oauth_app", "health", "created_at", "updated_at"})
    fixed: ClassVar[Mapping[str, str]] = {"provider": "cannot be updated; import another credential"}

    name: Name | None = UNSET
    metadata: Metadata = UNSET
    properties: dict[str, Any] = UNSET
    oauth_app_id: Id | None = UNSET


async def path_credential(
    id: Annotated[str, Path(description="The credential's id.")],  # noqa: A002
    request: Request,
    principal: Caller,
) -> Credential:
    """The credential that the path names. Raises NotFound, for a malformed id and another organisation's too."""
    credential_id = parse_uuid(id)
    if credential_id is None:
        raise NotFound(
            "There is no such credential: its id is malformed. List those there are with GET /v1/credentials."
        )
    async with services_of(request).db.api.acquire() as conn:
        return await credentials.get(conn, principal.org_id, credential_id)


PathCredential = Annotated[Credential, Depends(path_credential)]


async def render(conn: Conn, credential: Credential) -> dict[str, Any]:
    """The credential as it is shown, secrets masked."""
    return (await render_all(conn, [credential]))[0]


async def render_all(conn: Conn, held: Sequence[Credential]) -> list[dict[str, Any]]:
    """Each of `held`, which belong to one organisation, secrets masked; one statement for all of their apps."""
    app_ids = {credential.oauth_app_id for credential in held if credential.oauth_app_id is not None}
    apps = await stored_apps.by_ids(conn, held[0].org_id, app_ids) if held else {}
    shown_apps = {app_id: oauth_apps.render(app) for app_id, app in apps.items()}
    return [_rendered(credential, credentials.masked(credential), shown_apps) for credential in held]


def _rendered(
    credential: Credential, properties: Mapping[str, Any], shown_apps: Mapping[UUID, Mapping[str, Any]]
) -> dict[str, Any]:
    app_id = credential.oauth_app_id
    return {
        "id": str(credential.id),
        "provider": credential.provider,
        "kind": credential.kind,
        "name": credential.name,
        "properties": properties,
        "oauth_app_id": None if app_id is None else str(app_id),
        "oauth_app": PLATFORM_APP if app_id is None else shown_apps[app_id],
        "metadata": verbatim(credential.metadata),
        "health": {
            "status": credential.health_status,
            "notes": credential.health_notes,
            "time": iso(credential.health_at),
        },
        "created_at": iso(credential.created_at),
        "updated_at": iso(credential.updated_at),
    }


@router.post("/v1/credentials", response_model=CredentialObject)
async def import_credential(
    change: AdminChange,
    body: Annotated[CredentialCreate, Depends(JsonBody(CredentialCreate))],
    verify: Verify = True,
) -> Json:
    """Import a credential. The same account again updates the one credential."""
    services = change.services
    org_id = change.principal.org_id
    draft = importing.draft(services, body)
    async with services.db.api.acquire() as conn:
        await importing.check_app(conn, org_id, draft)
    tried = await trying.verify(services, org_id, draft) if verify else trying.untried(draft)
    async with change.transaction() as tx:
        stored = await trying.store(tx.conn, services, org_id, tried, tx.now)
        return tx.answer(await render(tx.conn, stored), object_id=stored.id)


@router.get("/v1/credentials", response_model=Credentials)
async def list_credentials(
    request: Request,
    principal: Read,
    page: Paging,
    provider: Annotated[str | None, Query()] = None,
    kind: Annotated[str | None, Query()] = None,
    health_status: Annotated[HealthStatus | None, Query(alias="health.status")] = None,
    metadata: MetadataFilter = None,
) -> Json:
    """List the organisation's credentials, secrets masked."""
    services = services_of(request)
    present = None if kind is None else kinds_of(services).present_name(kind)
    filters = Filters(provider, present, health_status, metadata)
    async with services.db.api.acquire() as conn:
        rows = await credentials.list_(conn, principal.org_id, filters, limit=page.limit + 1, after=page.after)
        shown = {row.id: each for row, each in zip(rows, await render_all(conn, rows), strict=True)}
    return page.answer(rows, lambda row: shown[row.id])


@router.get("/v1/credentials/{id}", response_model=CredentialObject)
async def get_credential(
    request: Request, principal: Read, credential: PathCredential, truncate_secrets: TruncateSecrets = True
) -> Json:
    """One credential; with truncate_secrets=false its secrets too."""
    services = services_of(request)
    async with services.db.transaction() as conn:
        shown = await render(conn, credential)
        if truncate_secrets:
            return Json(shown)
        await exporting.note(conn, request, principal, [str(credential.id)])
        opened = await credentials.open_properties(conn, services.keyring, credential)
    return exporting.answer({**shown, "properties": {"kind": credential.kind, **opened}})


@router.patch("/v1/credentials/{id}", response_model=CredentialObject, responses=shapes.also(502, 504))
async def update_credential(
    change: AdminChange,
    credential: PathCredential,
    body: Annotated[CredentialPatch, Depends(JsonBody(CredentialPatch))],
    verify: Verify = True,
) -> Json:
    """Change name and metadata, or re-authorise the same account with other properties."""
    given = body.given()
    if given.get("oauth_app_id", credential.oauth_app_id) != credential.oauth_app_id:
        raise Invalid({"oauth_app_id": ["cannot be updated; import a credential with the other app"]})
    services = change.services
    revised = await _revised(services, credential, given["properties"]) if "properties" in given else None
    tried: Tried | None = None
    if revised is not None:
        tried = await trying.verify_firmly(services, credential, revised) if verify else trying.untried(revised)
    try:
        return await _updated(change, credential, tried, given)
    except Invalid as refused:
        raise (
            refused if tried is None else await trying.keep_aside(services, credential.org_id, tried, refused)
        ) from None


async def _updated(change: AdminChange, credential: Credential, tried: Tried | None, given: Mapping[str, Any]) -> Json:
    services = change.services
    async with change.transaction() as tx:
        if tried is None:
            stored = await credentials.get(tx.conn, credential.org_id, credential.id, lock=True)
        else:
            stored = await trying.replace_grant(tx.conn, services, credential, tried, tx.now)
        stored = await credentials.describe(
            tx.conn,
            stored,
            name=given.get("name", stored.name),
            metadata=given.get("metadata", stored.metadata),
            now=tx.now,
        )
        return tx.answer(await render(tx.conn, stored))


@router.delete("/v1/credentials/{id}", response_model=shapes.Deleted | shapes.Plan)
async def delete_credential(change: AdminChange, credential: PathCredential, dry_run: DryRun = False) -> Json:
    """Delete a credential that no sync uses."""
    async with change.transaction() as tx:
        await credentials.delete(tx.conn, credential.org_id, credential.id)
        return tx.plan(nothing_but(credential.id)) if dry_run else tx.answer(deleted(credential.id))


async def _revised(services: Services, held: Credential, given: Mapping[str, Any]) -> Draft:
    kinds = kinds_of(services)
    found = kinds.get(held.kind)
    if found is None:
        raise Invalid({"properties": [f"cannot be updated: no connector for {held.kind} is installed here"]})
    async with services.db.api.acquire() as conn:
        before = await credentials.open_properties(conn, services.keyring, held)
    properties = drafts.revise(kinds, found[1], before, given, allow_base_url=services.settings.allow_base_url)
    return Draft(held.provider, found[1], properties, held.oauth_app_id)
