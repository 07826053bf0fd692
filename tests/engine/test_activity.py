"""What a sync did shows in figures by the minute and in its log, across processes, and only for its own stream."""

from datetime import timedelta
from uuid import UUID

from headrace import ids
from headrace.db.pool import Database
from headrace.engine import activity
from headrace.engine.activity import Activity
from headrace.providers.kit import Fault
from headrace.stream.items import Appended


async def told(db: Database, stream_id: UUID, sync_id: UUID) -> activity.Minute:
    """The figures of all minutes, added up."""
    async with db.api.acquire() as conn:
        found = await activity.minutes(conn, [stream_id], [sync_id], db.clock.now() - timedelta(hours=1))
    totals = [sum(getattr(each, name) for each in found[sync_id]) for name in activity.FIGURES]
    return activity.Minute(found[sync_id][0].minute, *totals)


async def test_processes_add_to_the_same_figures(db: Database) -> None:
    stream_id, sync_id, other = ids.uuid7(), ids.uuid7(), ids.uuid7()
    for _ in range(2):
        process = Activity(db.clock)
        process.tried(sync_id, None)
        process.tried(sync_id, Fault("rate", "too many"))
        process.tried(sync_id, Fault("transient", "broken"))
        process.tried(other, None)
        process.stored(sync_id, Appended(created=3, updated=2, deleted=1, unchanged=5))
        await process.write(db, {sync_id: stream_id})
        await process.write(db, {sync_id: stream_id})
    found = await told(db, stream_id, sync_id)
    assert (found.requests, found.refused, found.failed) == (6, 2, 2)
    assert (found.created, found.updated, found.deleted, found.unchanged, found.changes) == (6, 4, 2, 10, 12)
    assert await db.api.fetchval("select count(*) from sync_minutes where sync_id = $1", other) == 0


async def test_the_log_of_a_sync_is_what_was_logged_of_it(db: Database) -> None:
    stream_id, sync_id = ids.uuid7(), ids.uuid7()
    process = Activity(db.clock)
    process.heard({"event": "health", "level": "info", "sync_id": str(sync_id), "status": "healthy", "at": "…"})
    process.heard({"event": "request_failed", "level": "warning", "sync_id": sync_id, "path": "/v1/a\x00b"})
    process.heard({"event": "nothing", "level": "debug", "sync_id": sync_id})
    process.heard({"event": "of_no_sync", "level": "error"})
    await process.write(db, {sync_id: stream_id})
    async with db.api.acquire() as conn:
        found = await activity.lines(conn, stream_id, sync_id, 10)
        bad = await activity.lines(conn, stream_id, sync_id, 10, ["warning", "error"])
    assert [(line.event, line.level, line.fields) for line in found] == [
        ("request_failed", "warning", {"path": "/v1/a\x00b"}),
        ("health", "info", {"status": "healthy"}),
    ]
    assert [line.event for line in bad] == ["request_failed"]


async def test_a_flood_of_lines_is_cut_and_told_of_late_rather_than_never(db: Database) -> None:
    stream_id, sync_id = ids.uuid7(), ids.uuid7()
    process = Activity(db.clock)
    for number in range(5_000):
        process.heard({"event": "again", "level": "info", "sync_id": sync_id, "number": number})
    await process.write(db, {sync_id: stream_id})
    async with db.api.acquire() as conn:
        found = await activity.lines(conn, stream_id, sync_id, 1_000)
    assert found[0].fields == {"number": 4_999}
    assert len(found) == 100


async def test_what_is_old_goes(db: Database) -> None:
    stream_id, sync_id = ids.uuid7(), ids.uuid7()
    process = Activity(db.clock)
    process.tried(sync_id, None)
    process.heard({"event": "health", "level": "info", "sync_id": sync_id})
    await process.write(db, {sync_id: stream_id})
    now = db.clock.now()
    await activity.forget_old(db, stream_id, now + timedelta(hours=2))
    assert (await told(db, stream_id, sync_id)).requests == 1
    await activity.forget_old(db, stream_id, now + timedelta(days=8))
    assert await db.api.fetchval("select count(*) from sync_minutes") == 0
    assert await db.api.fetchval("select count(*) from sync_log") == 0
