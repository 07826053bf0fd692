"""/v1/syncs"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from headrace.api import importing, shapes, trying
from headrace.api.answers import Json, deleted
from headrace.api.auth import Caller, StreamRead, require_stream
from headrace.api.body import JsonBody
from headrace.api.change import AdminChange, StreamChange
from headrace.api.paging import Page, Paging, listed
from headrace.api.pricing import price
from headrace.api.queries import DryRun, IdText, MetadataFilter, as_id
from headrace.api.services import Services, services_of
from headrace.api.streams import named_stream
from headrace.api.sync_fields import SyncCreate, SyncPatch
from headrace.api.sync_rendering import render, render_all
from headrace.api.sync_rules import check_collections, check_create, named_credential
from headrace.control import syncs
from headrace.control.syncs import Filters, Sync
from headrace.control.tokens import Principal
from headrace.engine import patch
from headrace.engine.patch import Plan
from headrace.errors import Invalid, NotFound
from headrace.ids import parse_uuid, uuid7

router = APIRouter(tags=["syncs"])

HealthFilter = Literal["initializing", "healthy", "warning", "error", "ok", "warn"]
_INLINE = "credential."
_OLDER_HEALTH = {"ok": "healthy", "warn": "warning"}


async def _path_sync(
    id: Annotated[str, Path(description="The sync's id.")],  # noqa: A002
    request: Request,
    principal: Caller,
) -> Sync:
    sync_id = parse_uuid(id)
    if sync_id is None:
        raise NotFound("There is no such sync: its id is malformed. List those there are with GET /v1/syncs.")
    async with services_of(request).db.api.acquire() as conn:
        sync = await syncs.get(conn, principal.org_id, sync_id)
    require_stream(principal, sync.stream_id, "sync", sync_id)
    return sync


PathSync = Annotated[Sync, Depends(_path_sync)]


@router.post("/v1/syncs", response_model=shapes.SyncObject | shapes.Plan)
async def create_sync(
    change: AdminChange, body: Annotated[SyncCreate, Depends(JsonBody(SyncCreate))], dry_run: DryRun = False
) -> Json:
    """Make a sync, with a credential that is there or one given inline, which is verified first. A dry run takes the
    id of a credential that is there; its stream may still have to be made, and is not looked at."""
    services, org_id = change.services, change.principal.org_id
    draft = check_create(services, body)
    if dry_run and draft is not None:
        raise Invalid({"credential": ["cannot be tried without being stored: import it, then give credential_id"]})
    async with services.db.api.acquire() as conn:
        if not dry_run:
            await named_stream(conn, change.principal, body.stream_id)
        if draft is None:
            credential = await named_credential(conn, org_id, body.credential_id, body.provider)
        else:
            await importing.check_app(conn, org_id, draft, prefix=_INLINE)
    if dry_run:
        return await _planned(services, _made(body, org_id, credential.id, services.db.clock.now()))
    tried = None if draft is None else await trying.verify(services, org_id, draft, prefix=_INLINE)
    async with change.transaction() as tx:
        if tried is not None:
            credential = await trying.store(tx.conn, services, org_id, tried, tx.now)
        sync = _made(body, org_id, credential.id, tx.now)
        await patch.create_sync(tx.conn, sync, tx.now)
        return tx.answer(await render(tx.conn, services, sync, tx.now), object_id=sync.id)


@router.get("/v1/syncs", response_model=shapes.Syncs)
async def list_syncs(
    request: Request,
    principal: StreamRead,
    page: Paging,
    provider: Annotated[str | None, Query()] = None,
    stream_id: Annotated[IdText | None, Query()] = None,
    status: Annotated[Literal["active", "disabled"] | None, Query()] = None,
    name: Annotated[str | None, Query()] = None,
    health: Annotated[HealthFilter | None, Query(alias="health.status")] = None,
    external_id: Annotated[str | None, Query()] = None,
    credential_id: Annotated[IdText | None, Query()] = None,
    metadata: MetadataFilter = None,
) -> Json:
    """List syncs. `ok` and `warn` are the older spellings of the health `healthy` and `warning`."""
    filters = Filters(
        provider=provider,
        stream_id=as_id(stream_id),
        status=status,
        name=name,
        external_id=external_id,
        credential_id=as_id(credential_id),
        metadata=metadata,
    )
    wanted = None if health is None else _OLDER_HEALTH.get(health, health)
    return await _listed(services_of(request), principal, page, filters, wanted)


@router.get("/v1/syncs/{id}", response_model=shapes.SyncObject)
async def get_sync(request: Request, _principal: StreamRead, sync: PathSync) -> Json:
    """One sync."""
    services = services_of(request)
    async with services.db.api.acquire() as conn:
        return Json(await render(conn, services, sync, services.db.clock.now()))


@router.patch("/v1/syncs/{id}", response_model=shapes.SyncObject | shapes.Plan)
async def update_sync(
    change: StreamChange,
    sync: PathSync,
    body: Annotated[SyncPatch, Depends(JsonBody(SyncPatch))],
    dry_run: DryRun = False,
) -> Json:
    """Change a sync, also while it runs: what is given takes effect within a second."""
    services = change.services
    change.after_commit(services.syncs.forget)
    changes = body.changes()
    if "collection_ids" in changes:
        check_collections(services, sync.provider, changes["collection_ids"])
    async with change.transaction() as tx:
        done = await patch.patch_sync(
            tx.conn, services.providers, sync.org_id, sync.id, changes, tx.now, dry_run=dry_run
        )
        if not isinstance(done, Plan):
            return tx.answer(await render(tx.conn, services, done, tx.now))
        tx.withdraw()
    return Json((await price(services, done, sync)).render())


@router.delete("/v1/syncs/{id}", response_model=shapes.Deleted | shapes.Plan)
async def delete_sync(change: StreamChange, sync: PathSync, dry_run: DryRun = False) -> Json:
    """Stop a sync and remove its records from the stream: they are gone at once for every reader."""
    change.after_commit(change.services.syncs.forget)
    async with change.transaction() as tx:
        plan = await patch.delete_sync(tx.conn, sync.org_id, sync.id, tx.now, dry_run=dry_run)
        return tx.answer(deleted(sync.id)) if plan is None else tx.plan(plan.render())


async def _planned(services: Services, sync: Sync) -> Json:
    """What a sync that is not made yet would read."""
    async with services.db.api.acquire() as conn:
        plan = await patch.plan_creation(conn, services.providers, sync, services.db.clock.now())
    return Json((await price(services, plan, None)).render())


async def _listed(services: Services, principal: Principal, page: Page, filters: Filters, health: str | None) -> Json:
    """The page. Health is worked out when it is read, so a filter by it reads on until the page is full."""
    shown: list[dict[str, Any]] = []
    after = page.after
    async with services.db.api.acquire() as conn:
        while True:
            rows = await syncs.list_(
                conn,
                principal.org_id,
                filters,
                limit=page.limit + 1,
                after=after,
                among_streams=principal.stream_ids,
            )
            rendered = await render_all(conn, services, rows, services.db.clock.now())
            shown += [each for each in rendered if health is None or each["health"]["status"] == health]
            if len(shown) > page.limit or len(rows) <= page.limit:
                break
            after = rows[-1].id
    cut, next_cursor = page.cut(shown, lambda each: UUID(each["id"]))
    return listed(cut, next_cursor)


def _made(body: SyncCreate, org_id: UUID, credential_id: UUID, now: datetime) -> Sync:
    return Sync(
        org_id=org_id,
        id=uuid7(),
        stream_id=body.stream_id,
        provider=body.provider,
        credential_id=credential_id,
        name=body.name,
        status=body.status,
        collection_ids=tuple(body.collection_ids),
        rate_limit=None if body.rate_limit is None else body.rate_limit.value(),
        max_age_days=body.max_age_days,
        sync_frequency=body.sync_frequency,
        max_poll_ms=body.max_poll_ms,
        deleted_retention_days=body.deleted_retention_days,
        external_id=body.external_id,
        metadata=body.metadata,
        created_at=now,
        updated_at=now,
    )
