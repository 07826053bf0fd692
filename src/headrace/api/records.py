"""/v1/records: reading a stream by cursor."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request

from headrace.api import shapes
from headrace.api.answers import Json
from headrace.api.auth import StreamRead
from headrace.api.record_queries import Asked
from headrace.api.record_rendering import Renderer, dumps, syncs_of
from headrace.api.services import services_of
from headrace.control import streams
from headrace.errors import NotFound
from headrace.ids import parse_uuid
from headrace.stream import read

router = APIRouter(tags=["records"])

_MOST_STREAMS = 10_000


@router.get("/v1/records", response_model=shapes.Records, responses=shapes.also(404))
async def list_records(request: Request, principal: StreamRead, asked: Asked) -> Json:
    """Records in the order in which they last changed. A record that changes moves to the end: reading on from `cursor`
    for ever shows every change."""
    services = services_of(request)
    async with services.db.api.acquire() as conn:
        stream = await asked.stream(conn, principal)
        records = await read.read_after(conn, stream, asked.place(stream), asked.limit, **asked.filters)
    renderer = Renderer(await syncs_of(services, principal.org_id, records))
    cursor = asked.next_cursor(stream, records[-1].updated_idx if records else None)
    return Json(dumps({"records": renderer.records(records), "cursor": cursor}))


@router.get("/v1/records/{id}", response_model=shapes.RecordObject)
async def get_record(
    request: Request,
    principal: StreamRead,
    id: Annotated[str, Path(description="The record's id.")],  # noqa: A002
) -> Json:
    """One record, deleted ones included."""
    record_id = parse_uuid(id)
    services = services_of(request)
    async with services.db.api.acquire() as conn:
        found = None
        if record_id is not None:
            held = await streams.list_(conn, principal.org_id, limit=_MOST_STREAMS, among=principal.stream_ids)
            found = await read.get_record(conn, [stream.id for stream in held], record_id)
    if found is not None:
        _, record = found
        rendered = Renderer(await syncs_of(services, principal.org_id, [record])).record(record)
        if rendered is not None:
            return Json(dumps(rendered))
    raise NotFound(
        "There is no record with this id that this token may see. List those there are with GET /v1/records."
    )
