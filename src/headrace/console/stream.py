"""A stream: browse and search its records, one record with its history, the tail as it grows."""

from collections import deque
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from starlette.responses import Response

from headrace.console.asking import Refused
from headrace.console.visit import Visit
from headrace.control import streams, syncs
from headrace.errors import NotFound
from headrace.stream import read

SHOWN = 50
TAIL = 30
_MOST_EVENTS = 200
_SUMMARY_FIELDS = ("name", "title", "email", "subject", "number", "status", "description")


async def page(visit: Visit) -> Response:
    """Records by collection and id, a page at a time, in the order of the stream."""
    stream_id = visit.id()
    held = await visit.api.get(f"/v1/streams/{stream_id}")
    chosen = {name: visit.query(name) for name in ("collection_id", "upstream_id", "sync_id", "deleted")}
    found = await visit.api.get(
        "/v1/records", stream_id=stream_id, limit=SHOWN, after_cursor=visit.query("after"), **chosen
    )
    async with visit.services.db.api.acquire() as conn:
        feeding = await visit.syncs(conn, stream_id)
    known = sorted({collection for sync in feeding for collection in sync.collection_ids})
    return visit.page(
        "stream.html",
        stream=held,
        syncs=[(str(sync.id), sync.name) for sync in sorted(feeding, key=lambda sync: sync.name.lower())],
        known=known,
        chosen=chosen,
        records=[_shown(record) for record in found["records"]],
        cursor=found["cursor"] if len(found["records"]) == SHOWN else None,
        latest=None if visit.query("after") or any(chosen.values()) else await _latest(visit, stream_id),
    )


async def live(visit: Visit) -> str:
    """The records that changed last, the newest first."""
    return visit.fragment("_tail.html", latest=await _latest(visit, visit.id()))


async def record(visit: Visit) -> Response:
    found = await visit.api.get(f"/v1/records/{visit.id()}")
    history, kept = [], None
    try:
        stream = await visit.api.get(f"/v1/streams/{found['stream_id']}")
        kept = stream["event_days"]
        history = [_event(event) for event in await _events(visit, found)]
    except Refused as refused:
        if refused.status not in (404, 422, 501):
            raise
    return visit.page("record.html", record=found, history=history, kept=kept)


async def find(visit: Visit) -> Response:
    """A record by its id, from the search field."""
    return visit.go(f"/records/{visit.query('id') or ''}")


async def _latest(visit: Visit, stream_id: UUID) -> list[dict[str, Any]]:
    principal = visit.principal
    if not principal.reaches(stream_id):
        raise NotFound("There is no such stream that this token may see.")
    async with visit.services.db.api.acquire() as conn:
        await streams.get(conn, principal.org_id, stream_id)
        rows = await read.latest(conn, stream_id, TAIL)
        names = {sync.id: sync.name for sync in await syncs.by_ids(conn, principal.org_id, {r.sync_id for r in rows})}
    return [
        {
            "id": str(row.record_id),
            "updated_idx": row.updated_idx,
            "collection_id": row.collection_id,
            "upstream_id": row.upstream_id,
            "deleted": row.deleted,
            "upstream_updated_at": row.upstream_updated_at,
            "sync": names.get(row.sync_id, ""),
            "summary": _summary(orjson.loads(row.data)) if len(row.data) < 200_000 else "",
        }
        for row in rows
    ]


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    return {**record, "summary": _summary(record["data"])}


def _summary(data: Any) -> str:
    """A field or two by which a person knows the record again."""
    if not isinstance(data, dict):
        return ""
    told = [str(data[name]) for name in _SUMMARY_FIELDS if isinstance(data.get(name), str | int) and data[name] != ""]
    return " · ".join(told[:2])


async def _events(visit: Visit, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What happened to a record as far as it is kept, the latest first and no more than are shown."""
    latest: deque[dict[str, Any]] = deque(maxlen=_MOST_EVENTS)
    cursor = None
    while True:
        found = await visit.api.get(
            "/v1/events",
            **{name: record[name] for name in ("stream_id", "sync_id", "collection_id", "upstream_id")},
            limit=1000,
            after_cursor=cursor,
        )
        latest += found["events"]
        cursor = found["cursor"]
        if not found["events"] or cursor is None:
            return [*reversed(latest)]


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    """With each changed field as (name, before, after); None for what it did not have."""
    data = event["data"] if isinstance(event["data"], dict) else {}
    return {
        "event": event["event"],
        "at": event["event_inserted_at"],
        "changes": [(name, before, data.get(name)) for name, before in sorted(event["changes"].items())],
    }
