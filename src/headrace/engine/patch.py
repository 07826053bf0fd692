"""Changes of a sync from outside, with all that they change in its reading: PATCH, create, delete, backfills, purge.

Every function works in the caller's transaction, so that configuration, fence and checkpoints change as one; the worker
that holds the sync is told at the commit. Lock order: the sync's row, the epoch row, the stream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from headrace.control import syncs
from headrace.control.syncs import Sync
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.engine import restart
from headrace.engine.account_collections import provider_of
from headrace.engine.plan import Plan, Purging, plan_ageing, plan_backfills, plan_purge
from headrace.engine.schedule import RUN_EVERY
from headrace.engine.status import provider_offset
from headrace.errors import Invalid
from headrace.providers.kit import Provider
from headrace.stream import lifecycle

__all__ = [
    "Plan",
    "create_sync",
    "delete_sync",
    "hint",
    "patch_sync",
    "plan_creation",
    "plan_start",
    "purge_records",
    "request_run",
    "start_backfills",
]

SQL = load(__package__, "patch.sql")
NOTIFY, COMPLETE_INITIAL, SCHEDULE, UNSCHEDULE = SQL.notify, SQL.complete_initial, SQL.schedule, SQL.unschedule
REQUEST_RUN, HINT, FORGET_HELD, FORGET_ASIDE = SQL.request_run, SQL.hint, SQL.forget_held, SQL.forget_aside


async def create_sync(conn: Conn, sync: Sync, now: datetime) -> None:
    """Insert the sync with all that its worker needs. Raises Invalid when stream or credential are not there."""
    await syncs.insert(conn, sync)
    await lifecycle.create_sync(conn, sync.stream_id, sync.id, sync.org_id)
    await restart.backfills(conn, sync, None, sync.collection_ids, "new", now)
    await _notify(conn, sync.id)


async def patch_sync(
    conn: Conn,
    providers: Mapping[str, Provider],
    org_id: UUID,
    sync_id: UUID,
    changes: Mapping[str, Any],
    now: datetime,
    *,
    dry_run: bool = False,
) -> Sync | Plan:
    """Apply validated fields of Sync. What repeats the present values changes nothing, `updated_at` included.

    - `collection_ids`: a new one is backfilled, one given back is backfilled and swept afresh, one taken away stops and
      keeps its records. The fence's revision grows, so that answers under way are refused.
    - `max_age_days`: raised, the missing span is backfilled; lowered, what is older leaves in chunks. Likewise fenced.
    - `sync_frequency`: to `4h`, the next run is four hours after the last read; to `continuous`, it reads at once.
    - all others hold from the next request on.

    With `dry_run` nothing is written and the plan is returned. Raises NotFound.
    """
    before = await syncs.get(conn, org_id, sync_id, lock=True)
    after = replace(before, **changes)
    if after == before:
        return Plan() if dry_run else before
    after = replace(after, updated_at=now)
    provider = await provider_of(conn, providers, after, before.collection_ids)
    added = [key for key in after.collection_ids if key not in before.collection_ids]
    removed = [key for key in before.collection_ids if key not in after.collection_ids]
    widened, narrowed = _widened(before, after), _narrowed(before, after)
    if dry_run:
        return await _plan(conn, before, after, provider, now + await provider_offset(conn, before))
    await syncs.update(conn, after)
    if added or removed or widened or narrowed:
        await lifecycle.bump_revision(conn, after.stream_id, after.id)
    if removed:
        await restart.leave(conn, after, provider, removed)
    for key in removed:
        await conn.execute(FORGET_HELD, after.stream_id, after.id, key)
    if widened:
        await restart.widen(conn, before, after, provider, now)
    await restart.backfills(conn, after, provider, added, "new", now)
    if removed:
        await conn.execute(COMPLETE_INITIAL, after.stream_id, after.id, list(after.collection_ids), now)
    if after.sync_frequency != before.sync_frequency:
        await _reschedule(conn, after, now)
    await _notify(conn, after.id)
    return after


async def delete_sync(conn: Conn, org_id: UUID, sync_id: UUID, now: datetime, *, dry_run: bool = False) -> Plan | None:
    """End a sync: its appends are refused and its records are gone for every reader from the commit on; the rows go
    later. With `dry_run` the plan. Raises NotFound."""
    sync = await syncs.get(conn, org_id, sync_id, lock=True)
    if dry_run:
        return Plan(purge=await plan_purge(conn, sync), affects=[sync_id])
    await syncs.mark_deleted(conn, org_id, sync_id, now)
    await lifecycle.delete_sync(conn, sync.stream_id, sync_id, now)
    await _notify(conn, sync_id)
    return None


async def plan_creation(conn: Conn, providers: Mapping[str, Provider], sync: Sync, now: datetime) -> Plan:
    """What a new sync would read, without making it."""
    provider = await provider_of(conn, providers, sync)
    now += await provider_offset(conn, sync)
    return Plan(await plan_backfills(conn, sync, provider, sync.collection_ids, now), sync=sync)


async def plan_start(
    conn: Conn, providers: Mapping[str, Provider], sync: Sync, collection_ids: Sequence[str] | None, now: datetime
) -> Plan:
    """What `start_backfills` would read."""
    provider = await provider_of(conn, providers, sync)
    now += await provider_offset(conn, sync)
    backfill = await plan_backfills(conn, sync, provider, collection_ids or sync.collection_ids, now)
    return Plan(backfill, affects=[sync.id], sync=sync)


async def start_backfills(conn: Conn, sync: Sync, collection_ids: Sequence[str] | None, now: datetime) -> None:
    """Read these collections (None: all of the sync's) from the beginning, beside the changes that go on being read."""
    await lifecycle.bump_revision(conn, sync.stream_id, sync.id)
    await restart.backfills(conn, sync, None, collection_ids or sync.collection_ids, "asked", now)
    await _notify(conn, sync.id)


async def request_run(conn: Conn, sync: Sync, now: datetime) -> None:
    """Start the next run now; for a continuous sync, read now."""
    await conn.execute(REQUEST_RUN, sync.stream_id, sync.id, now)
    await _notify(conn, sync.id)


async def hint(conn: Conn, sync: Sync, now: datetime) -> None:
    """A webhook said that something has changed."""
    await conn.execute(HINT, sync.stream_id, sync.id, now)
    await _notify(conn, sync.id)


async def purge_records(
    conn: Conn, sync: Sync, collection_id: str | None, now: datetime, *, dry_run: bool = False
) -> Plan | int:
    """Remove what the sync holds of a collection (None: of all): gone for every reader from the commit on. Returns how
    many records they saw before.

    A collection that the sync still has is not read again until a backfill is asked for, but for what changes. Raises
    Invalid for a collection of another provider.
    """
    if collection_id is not None and not collection_id.startswith(f"{sync.provider}:"):
        raise Invalid({"collection_id": [f"is not a collection of {sync.provider}"]})
    if dry_run:
        purge = await plan_purge(conn, sync, None if collection_id is None else [collection_id])
        return Plan(purge=purge, affects=[sync.id])
    count = await lifecycle.purge(conn, sync.stream_id, sync.id, collection_id, now)
    purged = [key for key in sync.collection_ids if collection_id in (None, key)]
    await restart.await_backfill(conn, sync, purged)
    await conn.execute(FORGET_HELD, sync.stream_id, sync.id, collection_id)
    await conn.execute(FORGET_ASIDE, sync.stream_id, sync.id, collection_id)
    await _notify(conn, sync.id)
    return count


def _widened(before: Sync, after: Sync) -> bool:
    if before.max_age_days is None:
        return False
    return after.max_age_days is None or after.max_age_days > before.max_age_days


def _narrowed(before: Sync, after: Sync) -> bool:
    if after.max_age_days is None:
        return False
    return before.max_age_days is None or after.max_age_days < before.max_age_days


async def _plan(conn: Conn, before: Sync, after: Sync, provider: Provider | None, now: datetime) -> Plan:
    """What the change of a sync reads and removes. `now` is the provider's clock."""
    added = [key for key in after.collection_ids if key not in before.collection_ids]
    kept: list[str] = []
    former = None
    if _widened(before, after):
        assert before.max_age_days is not None
        kept = [key for key in after.collection_ids if key not in added]
        former = now - timedelta(days=before.max_age_days)
    backfill = await plan_backfills(conn, after, provider, added, now, widened=kept, former=former)
    purge: list[Purging] = []
    if _narrowed(before, after):
        assert after.max_age_days is not None
        purge = await plan_ageing(conn, after, now - timedelta(days=after.max_age_days))
    return Plan(backfill, purge, [before.id], after)


async def _reschedule(conn: Conn, sync: Sync, now: datetime) -> None:
    if sync.sync_frequency == "4h":
        await conn.execute(SCHEDULE, sync.stream_id, sync.id, now, RUN_EVERY)
    else:
        await conn.execute(UNSCHEDULE, sync.stream_id, sync.id)


async def _notify(conn: Conn, sync_id: UUID) -> None:
    await conn.execute(NOTIFY, str(sync_id))
