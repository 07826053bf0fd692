"""/v1/records: reading a stream by cursor."""

import base64
import binascii
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.requests import Request

from headrace.api import shapes
from headrace.api.answers import Json
from headrace.api.auth import StreamRead, require_stream
from headrace.api.queries import IdText, as_id
from headrace.api.record_rendering import Renderer, dumps, syncs_of
from headrace.api.services import services_of
from headrace.control import streams, syncs
from headrace.control.tokens import Principal
from headrace.db.pool import Conn
from headrace.errors import BadRequest, Invalid, NotFound
from headrace.ids import parse_uuid
from headrace.stream import read

router = APIRouter(tags=["records"])

_MOST_STREAMS = 10_000

OlderSyncId = Annotated[IdText | None, Query(description="The older spelling of sync_id.", deprecated=True)]
OlderCollectionId = Annotated[str | None, Query(description="The older spelling of collection_id.", deprecated=True)]


@router.get("/v1/records", response_model=shapes.Records, responses=shapes.also(404))
async def list_records(
    request: Request,
    principal: StreamRead,
    stream_id: Annotated[IdText | None, Query(description="Required unless there is one stream.")] = None,
    sync_id: Annotated[IdText | None, Query()] = None,
    resource_id: OlderSyncId = None,
    provider: Annotated[str | None, Query()] = None,
    collection_id: Annotated[str | None, Query()] = None,
    collection: OlderCollectionId = None,
    upstream_id: Annotated[str | None, Query()] = None,
    deleted: Annotated[bool | None, Query()] = None,
    after_cursor: Annotated[str | None, Query(description="`cursor` of the answer before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> Json:
    """Records in the order in which they last changed. A record that changes moves to the end: reading on from `cursor`
    for ever shows every change."""
    services = services_of(request)
    wanted_sync = as_id(sync_id or resource_id)
    async with services.db.api.acquire() as conn:
        stream = await stream_to_read(conn, principal, as_id(stream_id), wanted_sync)
        wanted_collection = collection_id or collection
        records = await read.read_after(
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
    renderer = Renderer(await syncs_of(services, principal.org_id, records))
    place = cursor_at(stream, records[-1].updated_idx) if records else after_cursor or cursor_at(stream, 0)
    return Json(dumps({"records": renderer.records(records), "cursor": place}))


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


async def stream_to_read(conn: Conn, principal: Principal, stream_id: UUID | None, sync_id: UUID | None) -> UUID:
    """The stream to read. Raises NotFound, and Invalid when it is not told which."""
    if sync_id is not None:
        sync = await syncs.get(conn, principal.org_id, sync_id)
        require_stream(principal, sync.stream_id, "sync", sync_id)
        stream_id = stream_id or sync.stream_id
    if stream_id is not None:
        require_stream(principal, stream_id, "stream", stream_id)
        return (await streams.get(conn, principal.org_id, stream_id)).id
    held = await streams.list_(conn, principal.org_id, limit=2, among=principal.stream_ids)
    if len(held) == 1:
        return held[0].id
    reason = (
        "is required: there are several streams; or give sync_id" if held else "is required: there is no stream yet"
    )
    raise Invalid({"stream_id": [reason]})


def cursor_at(stream_id: UUID, idx: int) -> str:
    """Names its stream: taken to another one it would skip records there without a word."""
    return base64.urlsafe_b64encode(stream_id.bytes + idx.to_bytes(8, "big")).decode()


def place_of(cursor: str | None, stream_id: UUID) -> int:
    if cursor is None:
        return 0
    try:
        place = base64.b64decode(cursor, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        place = b""
    if len(place) != 24:
        raise BadRequest(
            "The query parameter 'after_cursor' is none of ours: give 'cursor' of the answer before, or leave it out."
        )
    if place[:16] != stream_id.bytes:
        raise BadRequest("The query parameter 'after_cursor' is of another stream: leave it out to begin at the start.")
    return min(int.from_bytes(place[16:], "big"), 2**53)
