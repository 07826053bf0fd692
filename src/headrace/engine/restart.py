"""Backfills that a person or a PATCH sets going, as checkpoint rows written in the change's own transaction.

The caller has bumped the fence's revision: no append of the former configuration comes after these rows.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from headrace.control.syncs import Sync
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.engine.backfill import cut_by_age, listed_in
from headrace.engine.checkpoints import (
    BackfillMark,
    Checkpoints,
    SliceMark,
    SweepMark,
    backfill_mark,
    load_checkpoints,
    put,
    slice_numbers,
    slice_scope,
    write,
)
from headrace.engine.sources import sources_of
from headrace.providers.kit import Provider, Window

CHECKPOINTS = load(__package__, "checkpoints.sql")
DROP_SLICES = CHECKPOINTS.drop_slices
PATCH = load(__package__, "patch.sql")
FORGET_CHANGES = PATCH.forget_changes


async def backfills(
    conn: Conn,
    sync: Sync,
    provider: Provider | None,
    collection_ids: Iterable[str],
    cause: Literal["new", "asked"],
    now: datetime,
) -> None:
    """Read these from the beginning. A collection that comes back after it was taken away is swept afresh as well."""
    checkpoints = await load_checkpoints(conn, sync.stream_id, sync.id)
    for key in collection_ids:
        mark = BackfillMark(cause=cause)
        if cause == "new" and ("backfill", key) in checkpoints:
            mark.cause = "returned"
            known = provider.collection(key) if provider is not None else None
            listing = key if provider is None or known is None else listed_in(provider, key).id
            await _sweep_at(conn, sync, checkpoints, listing, now)
        await _begin_anew(conn, sync, key, mark)


async def leave(conn: Conn, sync: Sync, provider: Provider | None, collection_ids: Iterable[str]) -> None:
    """Collections were taken away: what is left of their backfills goes, and readings of changes that lead to nothing
    else; the row that tells that a collection was read stays."""
    checkpoints = await load_checkpoints(conn, sync.stream_id, sync.id)
    for key in collection_ids:
        if backfill_mark(checkpoints, key).state != "done":
            await _begin_anew(conn, sync, key, BackfillMark())
    if provider is not None:
        needed = [source.scope for source in sources_of(provider, sync.collection_ids)]
        await conn.execute(FORGET_CHANGES, sync.stream_id, sync.id, needed)


async def await_backfill(conn: Conn, sync: Sync, collection_ids: Iterable[str]) -> None:
    """What was purged is not read again until it is asked for."""
    for key in collection_ids:
        await _begin_anew(conn, sync, key, BackfillMark(state="purged", cause="asked"))


async def widen(conn: Conn, before: Sync, after: Sync, provider: Provider | None, now: datetime) -> None:
    """The age limit was raised or lifted: read what lies between the former and the present limit.

    Where the provider cannot filter by what tells a record's age, that is everything. A backfill under way gets the
    missing span as one more slice.
    """
    assert before.max_age_days is not None
    checkpoints = await load_checkpoints(conn, after.stream_id, after.id)
    former = now - timedelta(days=before.max_age_days)
    for key in (key for key in after.collection_ids if key in before.collection_ids):
        mark = backfill_mark(checkpoints, key)
        by_age = provider is not None and provider.collection(key) is not None and cut_by_age(provider, key)
        if mark.state == "done":
            window = Window(None, former) if by_age else Window()
            await _begin_anew(conn, after, key, BackfillMark(cause="age", window=window))
        elif mark.state == "reading" and mark.along is None:
            lo = None if after.max_age_days is None else now - timedelta(days=after.max_age_days)
            slices = dict(slice_numbers(checkpoints, key))
            parted = any(row.mark(SliceMark).partition is not None for row in slices.values())
            if by_age and not parted and mark.window.lo is not None:
                await _add_slice(conn, after, key, mark, Window(lo, mark.window.lo), slices)
            else:
                await _begin_anew(conn, after, key, BackfillMark(cause=mark.cause, since=mark.since))


async def _add_slice(
    conn: Conn, sync: Sync, key: str, mark: BackfillMark, window: Window, slices: Iterable[int]
) -> None:
    number = max(mark.slices, *slices, 0) + 1
    mark.slices = number
    mark.window = Window(window.lo, mark.window.hi)
    await put(conn, sync.stream_id, sync.id, write("backfill", key, mark, key))
    added = write("backfill", slice_scope(key, number), SliceMark(window), key)
    await put(conn, sync.stream_id, sync.id, added)


async def _begin_anew(conn: Conn, sync: Sync, key: str, mark: BackfillMark) -> None:
    await conn.execute(DROP_SLICES, sync.stream_id, sync.id, key)
    await put(conn, sync.stream_id, sync.id, write("backfill", key, mark, key))


async def _sweep_at(conn: Conn, sync: Sync, checkpoints: Checkpoints, key: str, now: datetime) -> None:
    row = checkpoints.get(("sweep", key))
    mark = SweepMark() if row is None else row.mark(SweepMark)
    mark.due_at = now
    await put(conn, sync.stream_id, sync.id, write("sweep", key, mark, key))
