"""What GET /v1/records and GET /v1/events are asked alike: of which stream, past which place, and what of it."""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, TypedDict
from uuid import UUID

from fastapi import Depends, Query

from headrace.api.auth import require_stream
from headrace.api.queries import IdText, as_id
from headrace.control import streams, syncs
from headrace.control.tokens import Principal
from headrace.db.pool import Conn
from headrace.errors import BadRequest, Invalid

_LAST_PLACE = 2**53


class Filters(TypedDict):
    """The arguments of `stream.read.read_after` and of its like for events; None lets everything through."""

    sync_ids: list[UUID] | None
    provider: str | None
    collection_ids: list[str] | None
    upstream_id: str | None
    deleted: bool | None


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """A page that was asked for."""

    stream_id: UUID | None
    sync_id: UUID | None
    cursor: str | None
    limit: int
    filters: Filters

    async def stream(self, conn: Conn, principal: Principal) -> UUID:
        """The stream to read. Raises NotFound, and Invalid when it is not told which."""
        wanted = self.stream_id
        if self.sync_id is not None:
            sync = await syncs.get(conn, principal.org_id, self.sync_id)
            require_stream(principal, sync.stream_id, "sync", self.sync_id)
            wanted = wanted or sync.stream_id
        if wanted is not None:
            require_stream(principal, wanted, "stream", wanted)
            return (await streams.get(conn, principal.org_id, wanted)).id
        held = await streams.list_(conn, principal.org_id, limit=2, among=principal.stream_ids)
        if len(held) == 1:
            return held[0].id
        reason = (
            "is required: there are several streams; or give sync_id" if held else "is required: there is no stream yet"
        )
        raise Invalid({"stream_id": [reason]})

    def place(self, stream_id: UUID) -> int:
        """The number to go on from. Raises BadRequest for a cursor that is none, or another stream's."""
        if self.cursor is None:
            return 0
        try:
            place = base64.b64decode(self.cursor, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            place = b""
        if len(place) != 24:
            raise BadRequest(
                "The query parameter 'after_cursor' is none of ours: give 'cursor' of the answer before, or leave it"
                " out."
            )
        if place[:16] != stream_id.bytes:
            raise BadRequest(
                "The query parameter 'after_cursor' is of another stream: leave it out to begin at the start."
            )
        return min(int.from_bytes(place[16:], "big"), _LAST_PLACE)

    def next_cursor(self, stream_id: UUID, last: int | None) -> str:
        """Behind the number `last`; where it is None, because nothing came, the cursor that was given."""
        if last is None and self.cursor is not None:
            return self.cursor
        # Names its stream: taken to another one it would skip records there without a word.
        return base64.urlsafe_b64encode(stream_id.bytes + (last or 0).to_bytes(8, "big")).decode()


async def _asked(
    stream_id: Annotated[IdText | None, Query(description="Required unless there is one stream.")] = None,
    sync_id: Annotated[IdText | None, Query()] = None,
    resource_id: Annotated[IdText | None, Query(description="The older spelling of sync_id.", deprecated=True)] = None,
    provider: Annotated[str | None, Query()] = None,
    collection_id: Annotated[str | None, Query()] = None,
    collection: Annotated[
        str | None, Query(description="The older spelling of collection_id.", deprecated=True)
    ] = None,
    upstream_id: Annotated[str | None, Query()] = None,
    deleted: Annotated[
        bool | None, Query(description="Only deleted records, or events that tell of a deletion; or only others.")
    ] = None,
    after_cursor: Annotated[str | None, Query(description="`cursor` of the answer before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> RecordQuery:
    wanted_sync, wanted_collection = as_id(sync_id or resource_id), collection_id or collection
    filters = Filters(
        sync_ids=None if wanted_sync is None else [wanted_sync],
        provider=provider,
        collection_ids=None if wanted_collection is None else [wanted_collection],
        upstream_id=upstream_id,
        deleted=deleted,
    )
    return RecordQuery(as_id(stream_id), wanted_sync, after_cursor, limit, filters)


Asked = Annotated[RecordQuery, Depends(_asked)]
"""The query parameters of such a route."""
