"""One sync: how it is, and everything that can be done with it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from starlette.responses import Response

from headrace.console.asking import Refused
from headrace.console.charts import by_minute
from headrace.console.forms import plain_fields, sync_changes
from headrace.console.visit import Visit
from headrace.engine import activity

CHART_MINUTES = 120
LOG_LINES = 60
_TROUBLE = ("warning", "error", "critical")
_RATE_MINUTES = 5


async def page(visit: Visit) -> Response:
    return visit.page("sync.html", **await figures(visit))


async def live(visit: Visit) -> str:
    return visit.fragment("_sync.html", **await figures(visit))


async def figures(visit: Visit) -> dict[str, Any]:
    """The sync as the API shows it, its collections, what it did by the minute, and its log."""
    id_ = visit.id()
    sync = await visit.api.get(f"/v1/syncs/{id_}")
    problem = None
    try:
        collections = (await visit.api.get(f"/v1/syncs/{id_}/collections"))["data"]
    except Refused as refused:
        collections, problem = [], refused.summary
    now = visit.now
    async with visit.services.db.api.acquire() as conn:
        stream_id = UUID(sync["stream_id"])
        done = await activity.minutes(conn, [stream_id], [id_], now - timedelta(minutes=CHART_MINUTES))
        log = await activity.lines(conn, stream_id, id_, LOG_LINES)
        trouble = await activity.lines(conn, stream_id, id_, 10, _TROUBLE)
    of = done.get(id_, [])

    def series(name: str) -> list[int]:
        return by_minute({each.minute: getattr(each, name) for each in of}, now, CHART_MINUTES)

    limit = sync["rate_limit"]
    changes = series("changes")
    return {
        "sync": sync,
        "collections": collections,
        "problem": problem,
        "totals": _totals(collections),
        "requests": series("requests"),
        "refused": series("refused"),
        "changes": changes,
        "rate": sum(changes[-_RATE_MINUTES:]) / _RATE_MINUTES,
        "limit": None if limit is None else limit["allowed_requests"] * 60 / limit["interval"],
        "log": log,
        "trouble": trouble,
    }


async def edit(visit: Visit) -> Response:
    """The form; the plan of what was entered stands before it is applied."""
    id_ = visit.id()
    sync = await visit.api.get(f"/v1/syncs/{id_}")
    return visit.page("sync_edit.html", sync=sync, known=await _known(visit, sync), errors={}, given=None)


async def plan(visit: Visit) -> Response:
    """What the change would do, from the API's own dry run; nothing is changed yet."""
    id_ = visit.id()
    sync = await visit.api.get(f"/v1/syncs/{id_}")
    changes = sync_changes(visit.form, sync)
    if not changes:
        return visit.go(f"/syncs/{id_}", "Nothing was changed.", "note")
    try:
        told = await visit.api.send("PATCH", f"/v1/syncs/{id_}", changes, dry_run="true")
    except Refused as refused:
        if refused.status != 422:
            raise
        known = await _known(visit, sync)
        return visit.page(
            "sync_edit.html", 422, sync={**sync, **changes}, known=known, errors=refused.errors, given=refused.summary
        )
    return visit.page("sync_plan.html", sync=sync, changes=changes, plan=told, fields=plain_fields(visit.form))


async def change(visit: Visit) -> Response:
    id_ = visit.id()
    sync = await visit.api.get(f"/v1/syncs/{id_}")
    await visit.api.send("PATCH", f"/v1/syncs/{id_}", sync_changes(visit.form, sync))
    return visit.go(f"/syncs/{id_}", "The change is in force.")


async def pause(visit: Visit) -> Response:
    await visit.api.send("PATCH", f"/v1/syncs/{visit.id()}", {"status": "disabled"})
    return visit.go(f"/syncs/{visit.id()}", "The sync is paused. What it holds stays, and nothing more is read.")


async def resume(visit: Visit) -> Response:
    await visit.api.send("PATCH", f"/v1/syncs/{visit.id()}", {"status": "active"})
    return visit.go(f"/syncs/{visit.id()}", "The sync goes on from where it was.")


async def run(visit: Visit) -> Response:
    await visit.api.send("POST", f"/v1/syncs/{visit.id()}/run", {})
    return visit.go(f"/syncs/{visit.id()}", "Changes are being read now.")


async def backfill(visit: Visit) -> Response:
    only = visit.form.get("collection_id", [])
    await visit.api.send("POST", f"/v1/syncs/{visit.id()}/backfills", {"collection_ids": only} if only else {})
    what = ", ".join(only) if only else "Every collection"
    return visit.go(f"/syncs/{visit.id()}", f"{what} is read again from the beginning; changes go on beside it.")


async def confirm_deletes(visit: Visit) -> Response:
    collection_id = visit.field("collection_id")
    done = await visit.api.send(
        "POST",
        f"/v1/syncs/{visit.id()}/collections/{collection_id}/confirm-deletes",
        {"sweep_id": visit.field("sweep_id")},
    )
    return visit.go(f"/syncs/{visit.id()}", f"{done['deleted']} deletes of {collection_id} went through.")


async def delete(visit: Visit) -> Response:
    """The name must be typed: what goes cannot be had back but by reading it all again."""
    sync = await visit.api.get(f"/v1/syncs/{visit.id()}")
    if visit.field("name") != sync["name"]:
        return visit.go(f"/syncs/{visit.id()}", "Nothing was deleted: that is not the sync's name.", "bad")
    await visit.api.send("DELETE", f"/v1/syncs/{visit.id()}")
    return visit.go("/", f"{sync['name']} is deleted, and its records are gone from the stream.")


async def _known(visit: Visit, sync: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The collections that may be chosen: those that the account has."""
    known = await visit.api.every(f"/v1/collections/{sync['credential_id']}")
    ids = {each["id"] for each in known}
    return [*known, *({"id": id_, "name": id_} for id_ in sync["collection_ids"] if id_ not in ids)]


def _totals(collections: list[dict[str, Any]]) -> dict[str, Any]:
    """The sync as a whole: as far as the slowest of its collections."""
    filling = [each for each in collections if each["phase"] in ("waiting", "backfill")]
    lags = [each["lag_seconds"] for each in collections]
    settled = [each["settled_through"] for each in collections]
    etas = [each["eta_seconds"] for each in filling]
    expected = [each["expected"] for each in filling]
    return {
        "records": sum(each["records"] for each in collections),
        "lag": None if None in lags else max(lags, default=None),
        "settled_through": None if None in settled else min(settled, default=None),
        "filling": len(filling),
        "read": sum(each["records_read"] for each in filling),
        "expected": None if None in expected or not expected else sum(expected),
        "eta": None if None in etas or not etas else max(etas),
        "set_aside": sum(each["set_aside"] for each in collections),
        "held": [each for each in collections if each["held_deletes"]],
    }
