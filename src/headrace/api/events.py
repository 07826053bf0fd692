"""/v1/events: reading by cursor what happened to the records of a stream."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request

from headrace.api import shapes
from headrace.api.answers import Json
from headrace.api.auth import StreamRead
from headrace.api.queries import IdText, as_id
from headrace.api.record_rendering import Renderer, dumps, syncs_of
from headrace.api.records import OlderCollectionId, OlderSyncId, cursor_at, place_of, stream_to_read
from headrace.api.services import services_of
from headrace.stream.events import reading

router = APIRouter(tags=["records"])


@router.get("/v1/events", response_model=shapes.Events, responses=shapes.also(404))
async def list_events(
    request: Request,
    principal: StreamRead,
    stream_id: Annotated[IdText | None, Query(description="Required unless there is one stream.")] = None,
    sync_id: Annotated[IdText | None, Query()] = None,
    resource_id: OlderSyncId = None,
    provider: Annotated[str | None, Query()] = None,
    collection_id: Annotated[str | None, Query()] = None,
    collection: OlderCollectionId = None,
    upstream_id: Annotated[str | None, Query()] = None,
    deleted: Annotated[bool | None, Query(description="Only events that tell of a deletion, or only others.")] = None,
    after_cursor: Annotated[str | None, Query(description="`cursor` of the answer before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> Json:
    """What happened to records, in order: each creation, update and deletion, with the record as of then and the old
    values of the fields that changed. Kept for the stream's `event_days`; a stream whose `event_days` is 0 has none."""
    services = services_of(request)
    wanted_sync, wanted_collection = as_id(sync_id or resource_id), collection_id or collection
    async with services.db.api.acquire() as conn:
        stream = await stream_to_read(conn, principal, as_id(stream_id), wanted_sync)
        events = await reading.read_after(
            conn,
            stream,
            place_of(after_cursor, stream),
            limit,
            sync_ids=None if wanted_sync is None else [wanted_sync],
            provider=provider,
            collection_ids=None if wanted_collection is None else [wanted_collection],
            upstream_id=upstream_id,
            deleted=deleted,
        )
    renderer = Renderer(await syncs_of(services, principal.org_id, events))
    cursor = cursor_at(stream, events[-1].updated_idx) if events else after_cursor or cursor_at(stream, 0)
    return Json(dumps({"events": renderer.events(events), "cursor": cursor}))
