"""Read your writes: wait until the copy holds what the provider held when it was called."""

from datetime import datetime, timedelta
from typing import Any, Literal

from headrace.clock import iso
from headrace.control.syncs import Sync
from headrace.db.pool import Database
from headrace.db.queries import load
from headrace.engine import patch, status
from headrace.engine.checkpoints import load_checkpoints
from headrace.engine.reach import Reach, reaches
from headrace.engine.schedule import CLOCKS_APART
from headrace.providers.kit import Provider

_PUT_OFF = load(__package__, "intake.sql").still_put_off

Level = Literal["head", "settled"]
LOOK_EVERY = timedelta(milliseconds=100)


async def wait(
    db: Database, sync: Sync, provider: Provider, level: Level, timeout_ms: int
) -> tuple[bool, list[dict[str, Any]]]:
    """Start a read and wait for it, at most `timeout_ms`.

    `head`: every collection has finished a read of changes that began after the call, and what this read could not
    tell the newest picture of was fetched. `settled`: each is known to be complete and final past the call, by the
    provider's clock. Returns whether that is so, and how far each is.
    """
    called = db.clock.now()
    deadline = db.clock.monotonic() + timeout_ms / 1000
    async with db.transaction() as conn:
        await patch.request_run(conn, sync, called)
        mark = called + await status.provider_offset(conn, sync) + CLOCKS_APART
    read_at: datetime | None = None
    while True:
        async with db.api.acquire() as conn:
            found = reaches(provider, sync, await load_checkpoints(conn, sync.stream_id, sync.id))
            ok = len(found) == len(sync.collection_ids) and all(
                _there(reach, level, called, mark, db.clock.now()) for reach in found.values()
            )
            if ok:
                read_at = read_at or db.clock.now()
                ok = not await conn.fetchval(_PUT_OFF, sync.stream_id, sync.id, list(found), read_at)
        left = deadline - db.clock.monotonic()
        if ok or left <= 0:
            return ok, [{"id": key, "level": level, "through": _through(reach, level)} for key, reach in found.items()]
        await db.clock.sleep(min(LOOK_EVERY.total_seconds(), left))


def _there(reach: Reach, level: Level, called: datetime, mark: datetime, now: datetime) -> bool:
    if level == "head" or not reach.sources:
        # Without a reading of changes a whole comparison that began after the call is final: no clock but ours counts.
        return reach.read_at is not None and called < reach.read_at <= now + CLOCKS_APART
    return reach.settled_through is not None and reach.settled_through >= mark


def _through(reach: Reach, level: Level) -> str | None:
    moment = reach.read_at if level == "head" else reach.settled_through
    return None if moment is None else iso(moment)
