"""What can be done with a sync beside changing it: /v1/syncs/{id}/…"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field
from starlette.requests import Request

from headrace.api import shapes
from headrace.api.answers import Json, deleted
from headrace.api.auth import StreamRead
from headrace.api.body import Fields, JsonBody
from headrace.api.change import StreamChange
from headrace.api.fields import Id
from headrace.api.paging import listed
from headrace.api.pricing import price
from headrace.api.queries import DryRun
from headrace.api.services import Services, services_of
from headrace.api.sync_fields import CollectionIds
from headrace.api.sync_rendering import render
from headrace.api.syncs import PathSync
from headrace.api.watched import watched
from headrace.api.webhook_addresses import WebhookUrl, of_sync, path_hash, secret_part
from headrace.api.webhooks import seal_secret
from headrace.control import syncs
from headrace.control.syncs import Sync
from headrace.engine import account_collections, barrier, confirm, patch, status
from headrace.engine.patch import Plan
from headrace.errors import Invalid, NotFound, NotImplementedYet
from headrace.providers.kit import Provider

router = APIRouter(tags=["syncs"])


class BackfillFields(Fields):
    """`collection_ids` left out: all of the sync's."""

    collection_ids: CollectionIds | None = None


class NoFields(Fields):
    """Nothing is to be said."""


class ConfirmFields(Fields):
    sweep_id: Id


class WebhookFields(Fields):
    signing_secret: Annotated[str, Field(min_length=1, max_length=4096)]
    url: WebhookUrl = None


async def _provider(services: Services, sync: Sync) -> Provider:
    """With the account's own collections of the sync."""
    async with services.db.api.acquire() as conn:
        provider = await account_collections.provider_of(conn, services.providers, sync)
    if provider is None:
        raise NotImplementedYet(
            f"The connector for '{sync.provider}' is not installed in this process. "
            "Install the package that brings it and start the server again."
        )
    return provider


@router.get("/v1/syncs/{id}/collections", response_model=shapes.SyncCollections, responses=shapes.also(501))
async def list_collections(request: Request, _principal: StreamRead, sync: PathSync) -> Json:
    """How far each collection of the sync is."""
    services = services_of(request)
    provider = await _provider(services, sync)
    async with services.db.api.acquire() as conn:
        return listed(await status.collections(conn, sync, provider, services.db.clock.now()))


@router.post("/v1/syncs/{id}/backfills", response_model=shapes.SyncObject | shapes.Plan)
async def start_backfills(
    change: StreamChange,
    sync: PathSync,
    body: Annotated[BackfillFields, Depends(JsonBody(BackfillFields, optional=True))],
    dry_run: DryRun = False,
) -> Json:
    """Read collections again from the beginning, beside the changes that go on being read."""
    if body.collection_ids is not None:
        _check_own(sync, body.collection_ids)
    services, wanted = change.services, None if body.collection_ids is None else tuple(body.collection_ids)
    if dry_run:
        async with services.db.api.acquire() as conn:
            plan = await patch.plan_start(conn, services.providers, sync, wanted, services.db.clock.now())
        return Json((await price(services, plan, sync)).render())
    async with change.transaction() as tx:
        await patch.start_backfills(tx.conn, sync, wanted, tx.now)
        return tx.answer(await render(tx.conn, change.services, sync, tx.now))


@router.post("/v1/syncs/{id}/run", response_model=shapes.SyncObject)
async def run(
    change: StreamChange, sync: PathSync, _body: Annotated[NoFields, Depends(JsonBody(NoFields, optional=True))]
) -> Json:
    """Start the next run now; the four hours of a sync of frequency `4h` are counted anew."""
    async with change.transaction() as tx:
        await patch.request_run(tx.conn, sync, tx.now)
        return tx.answer(await render(tx.conn, change.services, sync, tx.now))


@router.get(
    "/v1/syncs/{id}/wait",
    response_model=shapes.Waited,
    responses={
        504: {"model": shapes.Waited, "description": "Not there yet when the time was over"},
        **shapes.also(501),
    },
)
async def wait(
    request: Request,
    _principal: StreamRead,
    sync: PathSync,
    level: Annotated[
        Literal["head", "settled"], Query(description="`settled`: by the provider's final word.")
    ] = "head",
    timeout_ms: Annotated[int, Query(ge=0, le=300_000)] = 30_000,
) -> Json:
    """Wait until everything that the provider held when this was called is in the stream. It starts those reads."""
    services = services_of(request)
    provider = await _provider(services, sync)
    ok = False
    collections: list[dict[str, Any]] = []
    async with watched(request) as gone:
        reading = asyncio.create_task(barrier.wait(services.db, sync, provider, level, timeout_ms))
        leaving = asyncio.create_task(gone.wait())
        try:
            await asyncio.wait((reading, leaving), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                ok, collections = reading.result()
        finally:
            reading.cancel()
            leaving.cancel()
            await asyncio.gather(reading, leaving, return_exceptions=True)
    return Json({"ok": ok, "collections": collections}, 200 if ok else 504)


@router.post("/v1/syncs/{id}/collections/{collection_id}/confirm-deletes", response_model=shapes.ConfirmedDeletes)
async def confirm_deletes(
    change: StreamChange,
    sync: PathSync,
    collection_id: Annotated[str, Path()],
    body: Annotated[ConfirmFields, Depends(JsonBody(ConfirmFields))],
) -> Json:
    """Let the deletes go through that the safety catch holds back."""
    if collection_id not in sync.collection_ids:
        raise NotFound("This sync has no such collection. Its collection_ids are shown by GET /v1/syncs/{id}.")
    async with change.transaction() as tx:
        count = await confirm.confirm_deletes(tx.conn, sync, collection_id, body.sweep_id, tx.now)
        return tx.answer({"deleted": count})


@router.delete("/v1/syncs/{id}/records", response_model=shapes.PurgedRecords | shapes.Plan)
async def purge_records(
    change: StreamChange,
    sync: PathSync,
    collection_id: Annotated[str | None, Query(description="Left out: every record of the sync.")] = None,
    dry_run: DryRun = False,
) -> Json:
    """Remove what the sync holds from the stream, whole or one collection: gone at once for every reader.

    The collection may be one that was taken away from the sync: its records are kept until they are purged.
    """
    provider = change.services.providers.get(sync.provider)
    if collection_id is not None and provider is not None:
        _check_known(provider, collection_id)
    async with change.transaction() as tx:
        done = await patch.purge_records(tx.conn, sync, collection_id, tx.now, dry_run=dry_run)
        if isinstance(done, Plan):
            return tx.plan(done.render())
        return tx.answer({**deleted(sync.id), "records": done})


@router.put("/v1/syncs/{id}/webhook", response_model=shapes.WebhookAddress, responses=shapes.also(501))
async def set_webhook(
    change: StreamChange, sync: PathSync, body: Annotated[WebhookFields, Depends(JsonBody(WebhookFields))]
) -> Json:
    """Keep the provider's signing secret, and make the address that it is to send webhooks to. An older one is void,
    unless it is the one given as `url`: then it is kept.
    """
    services = change.services
    if (await _provider(services, sync)).hook is None:
        raise Invalid({"id": [f"{sync.provider} sends no webhooks that Headrace understands"]})
    async with change.transaction() as tx:
        place = of_sync(services.settings, sync.id)
        secret = await secret_part(place, body.url, partial(syncs.of_webhook, tx.conn, sync.id))
        sealed = await seal_secret(tx.conn, services.keyring, sync, body.signing_secret)
        await syncs.set_webhook(tx.conn, sync.org_id, sync.id, sealed, path_hash(secret))
        return tx.answer({}, once={"url": place + secret})


def _check_known(provider: Provider, collection_id: str) -> None:
    """A misspelt collection must not pass for one that holds nothing."""
    if not provider.discovery and provider.collection(collection_id) is None:
        raise Invalid({"collection_id": [f"is not a collection of {provider.slug}"]})


def _check_own(sync: Sync, collection_ids: Sequence[str]) -> None:
    if unknown := [id_ for id_ in collection_ids if id_ not in sync.collection_ids]:
        raise Invalid({"collection_ids": [f"not among the sync's own: {', '.join(unknown)}"]})
