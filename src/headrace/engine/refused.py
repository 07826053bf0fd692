"""Partitions that the provider lists and refuses to show: set aside while the others are read, and tried again.

What cannot be read of one repository must not keep back all the others. A refusal is a partition's own only if another
partition of the collection can be read; else the credential may not read the collection, and that is an error of the
whole reading.
"""

from collections.abc import Mapping
from datetime import datetime

import asyncpg
import structlog

from headrace.db.queries import load
from headrace.engine.checkpoints import Checkpoints, RefusedMark, decode, refused_scope, write
from headrace.engine.fetching import WAITS
from headrace.engine.intake import BACKFILL, Intake
from headrace.engine.pace import Priority
from headrace.engine.paging import CursorGuard
from headrace.engine.partitions import REFUSALS, partitions_of
from headrace.engine.schedule import Tempo, tried_again
from headrace.engine.session import Session
from headrace.engine.transport import ReadFailed
from headrace.providers.kit import EVERYTHING, Collection, Partitions
from headrace.stream.fence import fenced
from headrace.stream.items import CheckpointWrite

log = structlog.get_logger(__name__)

SQL = load(__package__, "refused.sql")
REFUSED, FOUND_AGAIN = SQL.refused, SQL.found_again
SET_ASIDE = load(__package__, "intake.sql").set_aside


def is_refused(partition: str | None, failed: ReadFailed) -> bool:
    """Whether a failure may be about one partition alone."""
    return partition is not None and failed.fault.kind in REFUSALS


async def leave_out(
    session: Session,
    source: Partitions | None,
    collection_id: str,
    refused: Mapping[str, ReadFailed],
    priority: Priority,
) -> None:
    """Set aside those of the refused partitions that are still there. Raises the ReadFailed of one when no other
    partition can be read, Stopped, and Fenced, and then none of them is."""
    listed = await partitions_of(session, source, priority)
    there = [partition for partition in refused if partition in listed]
    others = set(listed) - set(refused) - session.refused.get(collection_id, {}).keys()
    if there and not others:
        raise refused[there[0]]
    if not there:
        return
    fence, now = session.fence, session.now()
    async with fenced(session.services.db, fence) as conn:
        for partition in there:
            reason = refused[partition].fault.message
            log.warning(
                "set_aside", sync_id=str(fence.sync_id), collection_id=collection_id, what="partition", reason=reason
            )
            key = (fence.stream_id, fence.sync_id, collection_id, "partition", partition)
            await conn.execute(SET_ASIDE, *key, None, reason, now, [now + wait for wait in WAITS])
    await load_refused(session)


async def load_refused(session: Session) -> None:
    """Learn what is left out, why, and when it is tried again. What is being read whole is no longer left out: pages of
    it are stored, and what changes since must be found."""
    rows = await _rows(session)
    session.refused = {}
    for row in rows:
        if _begun(row) is None:
            session.refused.setdefault(row["collection_id"], {})[row["upstream_id"]] = row["reason"]
    session.refused_until = min((row["retry_at"] for row in rows), default=None)


async def _rows(session: Session) -> list[asyncpg.Record]:
    fence = session.fence
    return await session.services.db.ingest.fetch(REFUSED, fence.stream_id, fence.sync_id, sorted(session.reads))


def _begun(row: asyncpg.Record) -> RefusedMark | None:
    """How far the attempt that is due has come; None: no page of it is stored."""
    mark = None if row["form"] is None else decode(RefusedMark, row["form"], row["value"])
    return mark if mark is not None and mark.due == row["retry_at"] else None


class Refused:
    """Tries again what was left out: one that can be read is read whole, and followed from then on.

    It is followed from before it is read, so nothing that changes meanwhile is lost. A read that is cut short goes on
    from the last page stored.
    """

    reading = "refused"
    upstream = True
    scope = "partitions"
    collections: frozenset[str] = frozenset()

    def __init__(self, session: Session, intake: Intake) -> None:
        self._session = session
        self._intake = intake

    def reload(self, checkpoints: Checkpoints) -> None:
        """Nothing of it is kept in memory."""

    def due(self, tempo: Tempo) -> datetime | None:
        return tried_again(self._session.refused_until, tempo)

    async def step(self, tempo: Tempo) -> None:
        """Raises ReadFailed when the provider cannot be reached at all, Stopped, Fenced."""
        session, fence = self._session, self._session.fence
        pool = session.services.db.ingest
        for row in await _rows(session):
            if row["retry_at"] > session.now():
                continue
            collection, partition = session.collection(row["collection_id"]), row["upstream_id"]
            session.refused.get(collection.id, {}).pop(partition, None)
            mark = _begun(row) or RefusedMark(row["retry_at"])
            if partition not in await partitions_of(session, collection.partitions, Priority.BACKFILL):
                await session.note(_checkpoint(collection, partition, mark, remove=True))
            else:
                try:
                    await self._read(collection, partition, mark)
                except ReadFailed as failed:
                    if not is_refused(partition, failed):
                        raise
                    refused = {partition: failed}
                    await leave_out(session, collection.partitions, collection.id, refused, Priority.BACKFILL)
                    continue
            key = (fence.stream_id, fence.sync_id, collection.id, partition)
            await pool.execute(FOUND_AGAIN, *key, row["retry_at"])
        await load_refused(session)

    async def _read(self, collection: Collection, partition: str, mark: RefusedMark) -> None:
        session, listing = self._session, collection.listing
        assert listing is not None
        context = session.context(session.access.provider.reads([collection.id]), partition)
        guard = CursorGuard(f"the listing of {collection.id}")
        while True:
            try:
                page = await session.read(listing.page(context, EVERYTHING, mark.cursor), Priority.BACKFILL)
            except ReadFailed as failed:
                guard.revive(mark.cursor, failed)
                mark.cursor = None
                continue
            mark.cursor = guard.check(page)
            done = mark.cursor is None
            row = _checkpoint(collection, partition, mark, remove=done)
            await self._intake.take(page.items, [row], origin=BACKFILL)
            if done:
                return
            await session.pause(page)


def _checkpoint(collection: Collection, partition: str, mark: RefusedMark, *, remove: bool) -> CheckpointWrite:
    scope = refused_scope(collection.id, partition)
    return write("backfill", scope, mark, collection.id, remove=remove)
