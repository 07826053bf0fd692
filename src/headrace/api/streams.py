"""/v1/streams"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AfterValidator, Field
from starlette.requests import Request

from headrace.api import shapes
from headrace.api.answers import Json, deleted, nothing_but
from headrace.api.auth import Caller, StreamRead, require_stream
from headrace.api.body import Fields, JsonBody
from headrace.api.change import AdminChange, StreamChange
from headrace.api.fields import UNSET, Integer, wrong
from headrace.api.paging import Paging
from headrace.api.queries import DryRun
from headrace.api.services import services_of
from headrace.clock import iso
from headrace.control import consumers, streams
from headrace.control.streams import Stream
from headrace.control.tokens import Principal
from headrace.db.pool import Conn
from headrace.errors import Invalid, NotFound
from headrace.ids import parse_uuid, uuid7
from headrace.stream import lifecycle

router = APIRouter(tags=["streams"])

_SLUG = "^[a-z0-9_-]{1,63}$"


def _slug(value: str) -> str:
    if re.fullmatch(_SLUG, value) is None:
        raise wrong("must be 1 to 63 of a-z, 0-9, _ and -")
    return value


Slug = Annotated[
    str,
    AfterValidator(_slug),
    Field(
        description="1 to 63 of a-z, 0-9, _ and -, unique in the organisation.",
        json_schema_extra={"pattern": _SLUG},
    ),
]
EventDays = Annotated[Integer, Field(ge=0, le=365, description="How long events are kept; 0: not at all.")]


class _StreamFields(Fields):
    output_only = frozenset({"id", "org_id", "created_at", "updated_at"})


class StreamCreate(_StreamFields):
    slug: Slug
    event_days: EventDays = 0


class StreamPatch(_StreamFields):
    slug: Slug = UNSET
    event_days: EventDays = UNSET


async def _path_stream(
    id: Annotated[str, Path(description="The stream's id.")],  # noqa: A002
    request: Request,
    principal: Caller,
) -> Stream:
    stream_id = parse_uuid(id)
    if stream_id is None:
        raise NotFound("There is no such stream: its id is malformed. List those there are with GET /v1/streams.")
    require_stream(principal, stream_id, "stream", stream_id)
    async with services_of(request).db.api.acquire() as conn:
        return await streams.get(conn, principal.org_id, stream_id)


PathStream = Annotated[Stream, Depends(_path_stream)]


async def named_stream(conn: Conn, principal: Principal, stream_id: UUID) -> Stream:
    """The stream that a body names. Raises Invalid when there is none that the token may see."""
    if principal.reaches(stream_id):
        with contextlib.suppress(NotFound):
            return await streams.get(conn, principal.org_id, stream_id)
    raise Invalid({"stream_id": ["names no stream that this token may see; list them with GET /v1/streams"]})


def render(stream: Stream) -> Mapping[str, Any]:
    return {
        "id": str(stream.id),
        "slug": stream.slug,
        "org_id": str(stream.org_id),
        "event_days": stream.event_days,
        "created_at": iso(stream.created_at),
        "updated_at": iso(stream.updated_at),
    }


@router.post("/v1/streams", response_model=shapes.StreamObject)
async def create_stream(change: AdminChange, body: Annotated[StreamCreate, Depends(JsonBody(StreamCreate))]) -> Json:
    """Make a stream."""
    async with change.transaction() as tx:
        stream = Stream(tx.principal.org_id, uuid7(), body.slug, body.event_days, tx.now, tx.now)
        await streams.insert(tx.conn, stream)
        await lifecycle.create_stream(tx.conn, stream.id, tx.now, stream.event_days)
        return tx.answer(render(stream), object_id=stream.id)


@router.get("/v1/streams", response_model=shapes.Streams)
async def list_streams(
    request: Request, principal: StreamRead, page: Paging, slug: Annotated[str | None, Query()] = None
) -> Json:
    """List the organisation's streams."""
    async with services_of(request).db.api.acquire() as conn:
        rows = await streams.list_(
            conn, principal.org_id, limit=page.limit + 1, after=page.after, among=principal.stream_ids, slug=slug
        )
    return page.answer(rows, render)


@router.get("/v1/streams/{id}", response_model=shapes.StreamObject)
async def get_stream(_principal: StreamRead, stream: PathStream) -> Json:
    """One stream."""
    return Json(render(stream))


@router.patch("/v1/streams/{id}", response_model=shapes.StreamObject)
async def update_stream(
    change: StreamChange, stream: PathStream, body: Annotated[StreamPatch, Depends(JsonBody(StreamPatch))]
) -> Json:
    """Change a stream."""
    async with change.transaction() as tx:
        held = await streams.get(tx.conn, stream.org_id, stream.id, lock=True)
        wanted = replace(held, **body.given())
        if held.event_days and not wanted.event_days:
            await consumers.check_no_events(tx.conn, held.org_id, held.id)
        if wanted != held:
            wanted = replace(wanted, updated_at=tx.now)
            await streams.update(tx.conn, wanted)
            await lifecycle.keep_events(tx.conn, wanted.id, wanted.event_days)
        return tx.answer(render(wanted))


@router.delete("/v1/streams/{id}", response_model=shapes.Deleted | shapes.Plan)
async def delete_stream(change: StreamChange, stream: PathStream, dry_run: DryRun = False) -> Json:
    """Delete a stream that no sync and no consumer belongs to."""
    async with change.transaction() as tx:
        await streams.get(tx.conn, stream.org_id, stream.id, lock=True)
        await streams.check_unused(tx.conn, stream.org_id, stream.id)
        if dry_run:
            return tx.plan(nothing_but(stream.id))
        await lifecycle.delete_stream(tx.conn, stream.id)
        await streams.delete(tx.conn, stream.org_id, stream.id)
        return tx.answer(deleted(stream.id))
