"""/v1/events: reading by cursor what happened to the records of a stream."""

from fastapi import APIRouter
from starlette.requests import Request

from headrace.api import shapes
from headrace.api.answers import Json
from headrace.api.auth import StreamRead
from headrace.api.record_queries import Asked
from headrace.api.record_rendering import Renderer, dumps, syncs_of
from headrace.api.services import services_of
from headrace.stream.events.reading import read_after

router = APIRouter(tags=["records"])


@router.get("/v1/events", response_model=shapes.Events, responses=shapes.also(404))
async def list_events(request: Request, principal: StreamRead, asked: Asked) -> Json:
    """What happened to records, in order: each creation, update and deletion, with the record as of then and the old
    values of the fields that changed. Kept for the stream's `event_days`; a stream whose `event_days` is 0 has none."""
    services = services_of(request)
    async with services.db.api.acquire() as conn:
        stream = await asked.stream(conn, principal)
        events = await read_after(conn, stream, asked.place(stream), asked.limit, **asked.filters)
    renderer = Renderer(await syncs_of(services, principal.org_id, events))
    cursor = asked.next_cursor(stream, events[-1].updated_idx if events else None)
    return Json(dumps({"events": renderer.events(events), "cursor": cursor}))
