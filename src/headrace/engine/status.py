"""What is told of a sync: its health, honest at the time of asking, and how far each collection is."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from headrace.clock import iso
from headrace.control.syncs import Sync
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.engine.backfill import listed_in
from headrace.engine.checkpoints import Checkpoint, SweepMark, decode, load_checkpoints
from headrace.engine.reach import Reach, reaches
from headrace.engine.schedule import RUN_EVERY
from headrace.engine.sweep import cadence
from headrace.providers.kit import Collection, Provider
from headrace.stream import counts

SQL = load(__package__, "status.sql")
CATCH = load(__package__, "catch.sql")
STATES, COMPLETED = SQL.states, SQL.completed
ASIDE, PROVIDER_OFFSET, HELD = SQL.aside_by_collection, SQL.provider_offset, CATCH.held_collections

OVERDUE = timedelta(minutes=10)
LATE_RUN = timedelta(minutes=30)
_UNKNOWN: dict[str, Any] = {
    "status": "initializing",
    "sync_id": "",
    "notes": [],
    "last_healthy_at": None,
    "erroring_since": None,
    "consecutive_errors": 0,
}
"""Of a sync that is being deleted while it is asked for."""


async def health(
    conn: Conn, syncs: Sequence[Sync], now: datetime, troubles: Mapping[UUID, str] | None = None
) -> dict[UUID, dict[str, Any]]:
    """The health object of each. A sync that nothing was read of for too long is never `healthy`, whatever was written
    last: the one who would write may be the one who is gone. `troubles` is what the asker knows to be wrong with the
    database, by sync: a database that takes no writes cannot be told so in a row."""
    rows = await conn.fetch(STATES, list({sync.stream_id for sync in syncs}), [sync.id for sync in syncs])
    states = {row["sync_id"]: row for row in rows}
    known = troubles or {}
    return {sync.id: _health(sync, states.get(sync.id), now, known.get(sync.id)) for sync in syncs}


async def initial_backfill_completed(conn: Conn, syncs: Sequence[Sync]) -> dict[UUID, datetime | None]:
    """When every collection that each sync then had was read to its end; None: not yet."""
    rows = await conn.fetch(COMPLETED, list({sync.stream_id for sync in syncs}), [sync.id for sync in syncs])
    return {row["sync_id"]: row["initial_backfill_completed_at"] for row in rows}


def overdue_after(sync: Sync) -> timedelta:
    """How long a sync may go without a finished read of changes before it counts as stuck."""
    if sync.sync_frequency == "4h":
        return max(2 * RUN_EVERY, RUN_EVERY + LATE_RUN)
    return max(OVERDUE, 2 * timedelta(milliseconds=sync.max_poll_ms))


def _health(sync: Sync, state: Any, now: datetime, trouble: str | None) -> dict[str, Any]:
    if state is None:
        return {**_UNKNOWN, "sync_id": str(sync.id)}
    status, notes = state["health_status"], list(orjson.loads(state["health_notes"]))
    healthy_at, since = state["last_healthy_at"], state["erroring_since"]
    read_at = state["oldest_changes_at"] or state["last_success_at"]
    if status == "healthy":
        healthy_at = max(filter(None, (healthy_at, state["last_success_at"])), default=None)
    if sync.status == "disabled":
        notes.append("disabled")
    else:
        if trouble is not None:
            notes += [] if trouble in notes else [trouble]
            since = since or now
            status = "error" if status == "error" else "warning"
        # A PATCH gives the sync a new start: what it was late with before does not count.
        late_from = max(read_at or sync.created_at, sync.updated_at) + overdue_after(sync)
        if state["oldest_changes_at"] is None and (due_at := _compared_next(state)) is not None:
            # Whole comparisons are all that is read of it: it is late when the next of them is.
            late_from = max(late_from, due_at + LATE_RUN)
        if now > late_from:
            notes.append(_late_note(read_at, now))
            since = since or late_from
            status = "error" if status == "error" else "warning"
    return {
        "status": status,
        "sync_id": str(sync.id),
        "notes": notes,
        "last_healthy_at": _iso(healthy_at),
        "erroring_since": None if status in ("healthy", "initializing") else _iso(since),
        "consecutive_errors": state["consecutive_errors"],
    }


def _compared_next(state: Any) -> datetime | None:
    """When the next comparison of the sync is due; None while none waits."""
    pairs = zip(state["sweep_forms"] or (), state["sweeps"] or (), strict=True)
    marks = [decode(SweepMark, form, value) for form, value in pairs]
    return min((mark.due_at for mark in marks if mark.state == "waiting" and mark.due_at is not None), default=None)


def _late_note(read_at: datetime | None, now: datetime) -> str:
    if read_at is None:
        return "Nothing was read of it yet. See whether a process with the role worker runs: GET /ready."
    minutes = round((now - read_at).total_seconds() / 60)
    return f"Changes were last read {minutes} minutes ago. See whether a process with the role worker runs: GET /ready."


async def collections(conn: Conn, sync: Sync, provider: Provider, now: datetime) -> list[dict[str, Any]]:
    """How far each collection is, in the sync's order. Times are ISO 8601; None where nothing is known. `provider` is
    the account's (`account_collections.provider_of`)."""
    checkpoints = await load_checkpoints(conn, sync.stream_id, sync.id)
    held = await counts.living(conn, sync.stream_id, sync.id)
    aside = {row["collection_id"]: row["aside"] for row in await conn.fetch(ASIDE, sync.stream_id, sync.id)}
    caught = {row["collection_id"]: row for row in await conn.fetch(HELD, sync.stream_id, sync.id)}
    shown: list[dict[str, Any]] = []
    known = reaches(provider, sync, checkpoints)
    for key in sync.collection_ids:
        collection = provider.collection(key)
        if collection is None:
            shown.append(_missing(key, held.get(key, 0)))
            continue
        reach = known[key]
        backfill = checkpoints.get(("backfill", key))
        deletes = caught.get(key)
        shown.append(
            {
                "id": key,
                "phase": _phase(reach),
                "records": held.get(key, 0),
                "pages_read": backfill.pages if backfill is not None else 0,
                "records_read": backfill.records if backfill is not None else 0,
                "expected": backfill.expected if backfill is not None else None,
                "eta_seconds": _eta(reach, checkpoints.get(("backfill", reach.backfill.along or key)), now),
                "backfill_completed_at": _iso(reach.completed_at),
                "last_success_at": _iso(max(filter(None, (row.last_success_at for row in reach.rows)), default=None)),
                "settled_through": _iso(reach.settled_through),
                "lag_seconds": _lag(reach, now),
                "last_error": _last_error(reach.rows),
                "last_sweep_completed_at": _iso(_swept_at(reach)),
                "next_sweep_due_at": _iso(_next_sweep(collection, reach)),
                "delete_detection_seconds": _delete_detection(sync, collection, reach),
                "set_aside": aside.get(key, 0) + _with_parent(sync, provider, key, aside),
                "held_deletes": None
                if deletes is None
                else {"sweep_id": str(deletes["sweep_id"]), "count": deletes["count"]},
            }
        )
    return shown


def _with_parent(sync: Sync, provider: Provider, key: str, aside: Mapping[str, int]) -> int:
    """Records that could not be read of the parent that an embedded collection comes in, where the sync does not have
    the parent itself."""
    above = listed_in(provider, key).id
    return 0 if above == key or above in sync.collection_ids else aside.get(above, 0)


def _missing(key: str, records: int) -> dict[str, Any]:
    """A collection that the account was not found to have: what was read of it before is kept."""
    unknown: dict[str, Any] = dict.fromkeys(
        ("expected", "eta_seconds", "backfill_completed_at", "last_success_at", "settled_through", "lag_seconds",
         "last_error", "last_sweep_completed_at", "next_sweep_due_at", "delete_detection_seconds", "held_deletes")
    )  # fmt: skip
    known = {"records": records, "pages_read": 0, "records_read": 0, "set_aside": 0}
    return {"id": key, "phase": "missing", **known, **unknown}


async def provider_offset(conn: Conn, sync: Sync) -> timedelta:
    """How far the provider's clock is ahead of the database's."""
    return timedelta(seconds=await conn.fetchval(PROVIDER_OFFSET, sync.org_id, sync.credential_id) or 0)


def _phase(reach: Reach) -> str:
    """`waiting` for its backfill to begin, `backfill`, `live`, or `purged`: waits for a backfill to be asked for."""
    if reach.backfill.state == "due":
        return "waiting"
    return {"reading": "backfill", "done": "live", "purged": "purged"}[reach.backfill.state]


def _eta(reach: Reach, backfill: Checkpoint | None, now: datetime) -> int | None:
    """Seconds until everything is read, at the speed so far of `backfill`: the collection's, or of the one in whose
    listing its records come."""
    if backfill is None or reach.backfill.state != "reading" or not backfill.expected or not backfill.records:
        return None
    if backfill.started_at is None or now <= backfill.started_at:
        return None
    left = max(0, backfill.expected - backfill.records)
    return round(left * (now - backfill.started_at).total_seconds() / backfill.records)


def _lag(reach: Reach, now: datetime) -> float | None:
    """How long ago the last finished read of changes began: everything older than that was read."""
    return None if reach.read_at is None else round(max(0.0, (now - reach.read_at).total_seconds()), 3)


def _last_error(rows: Sequence[Checkpoint]) -> str | None:
    errors = [orjson.loads(row.last_error) for row in rows if row.last_error is not None]
    latest: dict[str, str] = max(errors, key=lambda error: error["at"], default={})
    return latest.get("message")


def _swept_at(reach: Reach) -> datetime | None:
    return max((row.completed_at for row in reach.rows if row.reading == "sweep" and row.completed_at), default=None)


def _next_sweep(collection: Collection, reach: Reach) -> datetime | None:
    if reach.sweep.due_at is not None or reach.completed_at is None:
        return reach.sweep.due_at
    return reach.completed_at + cadence(collection)


def _delete_detection(sync: Sync, collection: Collection, reach: Reach) -> int | None:
    """The longest that a delete may go unseen while the provider answers; None where nothing is ever deleted."""
    pause = timedelta(milliseconds=sync.max_poll_ms) if sync.sync_frequency == "continuous" else RUN_EVERY
    if collection.deletes == "never":
        return None
    if collection.deletes == "sweep" or not reach.sources:
        return round((cadence(collection) + pause).total_seconds())
    return round((pause + reach.settle).total_seconds())


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
