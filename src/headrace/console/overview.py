"""Is everything well? Every sync, the one that needs a person first."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from headrace.console.charts import by_minute, spark
from headrace.console.visit import Visit
from headrace.control import streams
from headrace.control.syncs import Sync
from headrace.engine import activity, overview, status

SHOWN = 40
CHART_MINUTES = 60
_RATE_MINUTES = 5
_GRAVITY = {"error": 0, "warning": 1, "initializing": 2, "healthy": 3, "disabled": 4}


@dataclass(frozen=True, slots=True)
class Line:
    """A sync as the overview shows it. `state` is its health, or `disabled`; times in seconds."""

    sync: Sync
    state: str
    notes: list[str]
    lag: float | None
    settled_through: datetime | None
    filling: int
    records_read: int
    per_minute: float
    chart: Markup


async def page(visit: Visit) -> Response:
    found = await figures(visit)
    return visit.page("overview.html" if found["total"] else "welcome.html", **found)


async def live(visit: Visit) -> str:
    """The part of the page that changes."""
    return visit.fragment("_overview.html", **await figures(visit))


async def figures(visit: Visit) -> dict[str, Any]:
    """How many syncs are in which state, and the lines of the page that is looked at, the worst first."""
    services, now = visit.services, visit.now
    wanted, number, text = visit.query("state"), _number(visit.query("page")), visit.query("q")
    async with services.db.api.acquire() as conn:
        held = await visit.syncs(conn)
        health = await status.health(conn, held, now)
        states = {sync.id: _state(sync, health[sync.id]["status"]) for sync in held}
        ranked = sorted(held, key=lambda sync: (_GRAVITY[states[sync.id]], sync.name.lower(), sync.id))
        chosen = [sync for sync in ranked if wanted in (None, states[sync.id]) and _matches(sync, text)]
        shown = chosen[number * SHOWN : (number + 1) * SHOWN]
        since = now - timedelta(minutes=CHART_MINUTES)
        done = await activity.minutes(conn, [sync.stream_id for sync in shown], [sync.id for sync in shown], since)
        far = await overview.progress(conn, services.providers, shown)
        lines = []
        for sync in shown:
            minutes = {each.minute: each.changes for each in done.get(sync.id, [])}
            changes = by_minute(minutes, now, CHART_MINUTES)
            lines.append(_line(sync, states[sync.id], health[sync.id]["notes"], far[sync.id], changes, now))
        kept = await streams.list_(conn, visit.principal.org_id, limit=100, among=visit.principal.stream_ids)
    counts = {state: sum(1 for each in states.values() if each == state) for state in _GRAVITY}
    return {
        "total": len(held),
        "counts": counts,
        "lines": lines,
        "streams": kept,
        "state": wanted,
        "q": text,
        "found": len(chosen),
        "shown": SHOWN,
        "number": number,
        "more": len(chosen) > (number + 1) * SHOWN,
        "engine": _engine(visit),
    }


def _matches(sync: Sync, text: str | None) -> bool:
    return text is None or any(
        text.lower() in held.lower() for held in (sync.name, sync.provider, sync.external_id or "", str(sync.id))
    )


def _state(sync: Sync, health: str) -> str:
    return "disabled" if sync.status == "disabled" else health


def _line(sync: Sync, state: str, notes: list[str], far: overview.Progress, changes: list[int], now: datetime) -> Line:
    recent = changes[-_RATE_MINUTES:]
    label = f"Changes per minute in the last hour; {sum(changes)} in all, at most {max(changes)} in a minute"
    return Line(
        sync=sync,
        state=state,
        notes=[note for note in notes if note != "disabled"],
        lag=None if far.read_at is None else max(0.0, (now - far.read_at).total_seconds()),
        settled_through=far.settled_through,
        filling=far.filling,
        records_read=far.records_read,
        per_minute=sum(recent) / len(recent),
        chart=spark(changes, label),
    )


def _engine(visit: Visit) -> str | None:
    """What is wrong with the engine of this process; None when nothing is, or when it has none."""
    worker = visit.services.worker
    if worker is None:
        return None
    told = worker.status()
    if not told["alive"]:
        return "This process's engine has lost touch with the database: nothing is read here until it is back."
    return "This process's engine is overloaded: it answers late." if told["stalled"] else None


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 6 else 0
