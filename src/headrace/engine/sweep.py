"""Sweep: every id is read, to find what is gone where the provider does not say so, and to prove completeness.

A sweep closes after a whole pass in which every page was seen. What was held before it began and was seen by no page
is a candidate. Where the provider can be asked for it by itself, each candidate is confirmed; where it cannot, as in a
partition that is not listed any more, or where the listing may move records between pages, it must be absent from two
whole passes. Then the safety catch has its say (`catch.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson

from headrace.db.queries import load
from headrace.engine import catch
from headrace.engine.checkpoints import Checkpoints, SweepMark, write
from headrace.engine.confirm import confirm_deletes
from headrace.engine.ingest import Load
from headrace.engine.intake import Intake, Origin
from headrace.engine.pace import Priority
from headrace.engine.paging import Behind, CursorGuard
from headrace.engine.partitions import has_gone, partitions_of
from headrace.engine.refused import is_refused, leave_out
from headrace.engine.schedule import RUN_EVERY, Tempo
from headrace.engine.session import Session
from headrace.engine.transport import ReadFailed
from headrace.ids import record_id, record_namespace, uuid7
from headrace.providers.kit import EVERYTHING, Collection, Listing
from headrace.stream.columns import meant
from headrace.stream.items import CheckpointWrite, Delete, Item, Record
from headrace.stream.read import get_record

__all__ = ["Sweep", "cadence", "confirm_deletes"]

SQL = load(__package__, "sweep.sql")
CANDIDATES, COUNT_CANDIDATES, THEIR_PARTITIONS = SQL.candidates, SQL.count_candidates, SQL.their_partitions
FORGET_SEEN = SQL.forget_seen

WITHOUT_FEED, WITH_FEED = timedelta(hours=6), timedelta(days=7)
SHARE = 0.2
"""A sweep asks for at most this part of what the sync may."""
CHUNK = 200
FORGET_CHUNK = 5_000


def cadence(collection: Collection) -> timedelta:
    """The time from one sweep of a collection to the next."""
    if collection.sweep_every is not None:
        return collection.sweep_every
    return WITHOUT_FEED if collection.deletes == "sweep" else WITH_FEED


@dataclass(frozen=True, slots=True)
class Missed:
    """Candidates of a collection: all of them, or those of these partitions, by the ids that the records bear, each
    with the id that it is listed under now; then also, where `unplaced`, those of which nobody knows the partition.
    `asked`: the provider is asked for each."""

    collection: Collection
    asked: bool = False
    partitions: Mapping[str, str] | None = None
    unplaced: bool = False


class Sweep:
    """The sweep of one listing, for the `members` whose records come in it."""

    reading = "sweep"
    upstream = True

    def __init__(
        self, session: Session, intake: Intake, source: Collection, members: Iterable[str], checkpoints: Checkpoints
    ) -> None:
        assert source.listing is not None
        self.scope = source.id
        self.mark = SweepMark()
        self.collections = frozenset(members)
        self._members = [session.collection(member) for member in sorted(self.collections)]
        self._session = session
        self._intake = intake
        self._source = source
        self._listing: Listing = source.listing
        self._every = min(map(cadence, self._members))
        self._reads = session.access.provider.reads(self.collections)
        self._noted = False
        self.reload(checkpoints)

    def reload(self, checkpoints: Checkpoints) -> None:
        """Go back to what is stored. What a sweep has seen so far says nothing of a collection that came later."""
        row = checkpoints.get(("sweep", self.scope))
        self.mark = SweepMark() if row is None else row.mark(SweepMark)
        self._noted = self.mark.due_at is not None or self.mark.state != "waiting"
        if self.mark.state != "waiting" and self.mark.members != sorted(self.collections):
            self.mark = SweepMark(due_at=self._session.now())

    def due(self, tempo: Tempo) -> datetime | None:
        """A sweep begins only once its collections were read to the end, and goes on until it is done. Where nothing
        else tells of changes, a read that was asked for is a sweep."""
        if self.mark.state != "waiting":
            return tempo.now
        due_at = self._due_at()
        if due_at is None:
            return None
        if not self._noted:
            return tempo.now
        began = self.mark.began_at
        if tempo.asked_at is not None and self._alone and (began is None or began <= tempo.asked_at):
            return tempo.now
        if tempo.scheduled:
            started = tempo.run_started
            if started is None or (began is not None and began >= started):
                return None
            # What falls due before the next run begins with this one: a sweep is not late because runs are rare.
            return tempo.now if self._alone or due_at < started + RUN_EVERY else None
        return due_at

    def _due_at(self) -> datetime | None:
        """None while a collection was never read to its end."""
        completed = [self._session.completed_at.get(member) for member in self.collections]
        times = [moment for moment in completed if moment is not None]
        if len(times) < len(completed):
            return None
        return self.mark.due_at if self.mark.due_at is not None else max(times) + self._every

    @property
    def _alone(self) -> bool:
        return bool(self.collections & self._session.uncovered)

    async def step(self, tempo: Tempo) -> None:
        """Read every page, judge what was not seen, close. Raises ReadFailed, Stopped, Fenced."""
        if not self._noted:
            # Written down, so that whoever asks can tell whether it is late, also when nobody reads the sync.
            self.mark.due_at = self._due_at()
            await self._session.note(self._row())
            self._noted = True
            return
        if self.mark.state == "waiting":
            await self._begin()
        while self.mark.state == "reading":
            await self._pass()
        await self._judge()
        await self._close()

    async def _begin(self) -> None:
        session, mark = self._session, self.mark
        partitions = await partitions_of(session, self._source.partitions, Priority.SWEEP)
        mark.sweep_id = uuid7()
        mark.began, mark.began_at = session.provider_now(), session.now()
        mark.members = sorted(self.collections)
        mark.partitions, mark.left_out, mark.cursor, mark.passes = partitions, [], None, 0
        mark.scopes = allowed(session)
        mark.state = "reading"
        await session.note(self._row(started_at=session.now()))

    async def _pass(self) -> None:
        """One whole pass; afterwards a second one, or judgement."""
        mark, session = self.mark, self._session
        assert mark.sweep_id is not None
        origin = Origin(Priority.SWEEP, follow=True, sweep=mark.sweep_id)
        guard = CursorGuard(f"the listing of {self._source.id}")
        refused: dict[str, ReadFailed] = {}
        async with Behind(partial(self._intake.take, origin=origin)) as behind:
            while mark.partitions:
                context = session.context(self._reads, mark.partitions[0])
                try:
                    page = await session.read(self._listing.page(context, EVERYTHING, mark.cursor), Priority.SWEEP)
                except ReadFailed as failed:
                    if await has_gone(session, self._source.partitions, mark.partitions[0], failed, Priority.SWEEP):
                        mark.partitions.pop(0)
                        mark.cursor = None
                        guard.restart()
                        continue
                    if is_refused(mark.partitions[0], failed):
                        await self._pass_over(refused, failed)
                        guard.restart()
                        continue
                    guard.revive(mark.cursor, failed)
                    mark.cursor = None
                    continue
                mark.cursor = guard.check(page)
                if mark.cursor is None:
                    mark.partitions.pop(0)
                    guard.restart()
                row = self._row()
                row.pages, row.records, row.expected = 1, len(page.items), page.expected
                await behind.put(page.items, [row])
                await session.pause(page)
                await session.services.clock.sleep(self._gentle_pause())
        mark.passes += 1
        if mark.passes == 1 and await self._needs_second_pass():
            mark.partitions = await partitions_of(session, self._source.partitions, Priority.SWEEP)
        else:
            mark.state = "judging"
        await session.note(self._row())

    async def _pass_over(self, refused: dict[str, ReadFailed], failed: ReadFailed) -> None:
        """Read the partition under way last; when only refused ones are left, leave them out."""
        mark = self.mark
        partition = mark.partitions.pop(0)
        assert partition is not None
        refused[partition] = failed
        mark.partitions.append(partition)
        mark.cursor = None
        if refused.keys() >= set(mark.partitions):
            source = self._source
            await leave_out(self._session, source.partitions, source.id, refused, Priority.SWEEP)
            mark.left_out = sorted({*mark.left_out, *refused})
            mark.partitions = []

    def _gentle_pause(self) -> float:
        """Seconds between two pages, so that a sweep takes no more than its share of the sync's pace."""
        session = self._session
        limit = session.sync.rate_limit
        if limit is not None:
            allowed, interval = limit.allowed_requests, limit.interval
        else:
            allowed, interval = session.access.provider.default_rate_limit(session.access.mode)
        return interval / (allowed * SHARE)

    async def _needs_second_pass(self) -> bool:
        for member in self._members:
            if member.deletes != "never":
                missed = [each for each in await self._missed(member) if self._listing.moves or not each.asked]
                if any([await self._count(each) for each in missed]):
                    return True
        return False

    async def _missed(self, member: Collection) -> list[Missed]:
        """Its candidates, by how it is told that they are gone. Those of partitions that were left out are none,
        however these were called when the records were read; nor are then those whose partition nobody knows."""
        mark, source = self.mark, self._source.partitions
        asked = member.fetch is not None or member.probe is not None
        if source is None or not (asked or mark.left_out):
            return [Missed(member, asked)]
        fence = self._session.fence
        key = (fence.stream_id, fence.sync_id, member.id, mark.began, mark.sweep_id)
        rows = await self._session.services.db.ingest.fetch(THEIR_PARTITIONS, *key)
        if not rows:
            return []
        found = await partitions_of(self._session, source, Priority.SWEEP)
        listed = {source.key_of(partition): partition for partition in found if partition is not None}
        left_out = {source.key_of(partition) for partition in mark.left_out}
        keys = {name: source.key_of(name) for row in rows if (name := row["partition"]) is not None}
        there = {name: listed[key] for name, key in keys.items() if key in listed and key not in left_out}
        gone = {name: name for name, key in keys.items() if key not in listed and key not in left_out}
        unplaced = not mark.left_out
        if not asked:
            return [Missed(member, False, there | gone, unplaced)]
        return [Missed(member, True, there, unplaced), Missed(member, False, gone)]

    async def _judge(self) -> None:
        for member in self._members:
            if member.deletes != "never":
                await self._judge_one(member)

    async def _judge_one(self, member: Collection) -> None:
        """Delete what is gone of one collection, or hold it back."""
        session, mark = self._session, self.mark
        fence, pool = session.fence, session.services.db.ingest
        assert mark.sweep_id is not None
        assert mark.began is not None
        counted = [
            (missed, await self._count(missed))
            for missed in await self._missed(member)
            if missed.asked or mark.passes > 1
        ]
        going = sum(count for _, count in counted)
        held = await catch.held_by(pool, fence.stream_id, fence.sync_id, member.id)
        # An answer tells what is gone only where something of the collection was seen: to a credential that sees
        # nothing of it any more, each record is gone.
        unsure = [
            (missed, count)
            for missed, count in counted
            if not (missed.asked and count <= catch.ONE_BY_ONE and going < held)
        ]
        kept: list[tuple[Missed, int]] = []
        if going and allowed(session) != mark.scopes:
            kept = counted
        elif catch.trips(sum(count for _, count in unsure), held):
            kept = unsure
        for each in counted:
            if each not in kept:
                await self._delete(each[0])
        if kept:
            ids = [row["record_id"] for missed, count in kept for row in await self._candidates(missed, None, count)]
            await catch.hold(session, member.id, mark.sweep_id, held, ids, mark.began)
        else:
            await catch.release(session, member.id)

    async def _delete(self, missed: Missed) -> None:
        """Take the candidates away: those of which the provider says that they are gone, where it is asked."""
        member, last = missed.collection, None
        assert self.mark.began is not None
        while rows := await self._candidates(missed, last, CHUNK):
            last = rows[-1]["record_id"]
            if not missed.asked:
                # Absent from two whole passes: the moment for which that speaks is the beginning of the sweep.
                gone: list[Item] = [_gone(member.id, self._named(member, row), row, self.mark.began) for row in rows]
            elif member.fetch is not None:
                keys = [(member.id, self._named(member, row), row["parent_id"]) for row in rows]
                gone = await self._intake.fetcher.fetch(keys, Priority.SWEEP)
            else:
                gone = await self._probed(member, rows, missed.partitions or {})
            versions = {self._named(member, row): row["version"] for row in rows}
            for item in gone:
                if isinstance(item, Delete) and not item.version:
                    item.version = versions.get(item.id, 0)
            await self._intake.take(gone, [], origin=GONE)

    def _named(self, member: Collection, row: Any) -> str:
        """The provider's id of a candidate."""
        if "%00" not in row["upstream_id"]:
            return str(row["upstream_id"])
        namespace = record_namespace(self._session.fence.sync_id, member.id)
        names = [name for name in meant(row["upstream_id"]) if record_id(namespace, name) == row["record_id"]]
        return names[0] if names else str(row["upstream_id"])

    async def _probed(self, member: Collection, rows: list[Any], partitions: Mapping[str, str]) -> list[Item]:
        """The deletes of those that are gone where their addresses lead. `partitions`: what theirs are called now."""
        assert member.probe is not None
        records = []
        async with self._session.services.db.api.acquire() as conn:
            for row in rows:
                held = await get_record(conn, [self._session.fence.stream_id], row["record_id"])
                if held is not None:
                    records.append(_record(member.id, self._named(member, row), row, held[1].data, partitions))
        return await self._intake.fetcher.probe(member.probe, records)

    async def _close(self) -> None:
        session, mark = self._session, self.mark
        assert mark.sweep_id is not None
        sweep_id, stream_id = mark.sweep_id, session.fence.stream_id
        mark.state, mark.due_at, mark.read_at = "waiting", session.now() + self._every, mark.began_at
        row = self._row(completed_at=session.now(), settled_through=mark.began)
        await session.ingest.store(Load(checkpoints=[row]))
        while True:
            done = await session.services.db.ingest.execute(FORGET_SEEN, stream_id, sweep_id, FORGET_CHUNK)
            if int(done.rsplit(" ", 1)[1]) < FORGET_CHUNK:
                return

    async def _count(self, missed: Missed) -> int:
        mark, fence = self.mark, self._session.fence
        count: int = await self._session.services.db.ingest.fetchval(
            COUNT_CANDIDATES,
            fence.stream_id,
            fence.sync_id,
            missed.collection.id,
            mark.began,
            mark.sweep_id,
            None if missed.partitions is None else list(missed.partitions),
            missed.unplaced,
        )
        return count

    async def _candidates(self, missed: Missed, last: Any, limit: int) -> list[Any]:
        mark, fence = self.mark, self._session.fence
        return await self._session.services.db.ingest.fetch(
            CANDIDATES,
            fence.stream_id,
            fence.sync_id,
            missed.collection.id,
            mark.began,
            mark.sweep_id,
            last,
            limit,
            None if missed.partitions is None else list(missed.partitions),
            missed.unplaced,
        )

    def _row(self, **facts: Any) -> CheckpointWrite:
        return write("sweep", self.scope, self.mark, self.scope, **facts)


GONE = Origin(Priority.SWEEP)


def _gone(collection_id: str, name: str, row: Any, as_of: datetime) -> Delete:
    """A delete that wins over the picture held, whose version it carries, and over nothing later."""
    return Delete(collection_id, name, as_of, row["version"], parent=row["parent_id"], partition=row["partition"])


def _record(collection_id: str, name: str, row: Any, raw: bytes, partitions: Mapping[str, str]) -> Record:
    """What is held of it, for its connector to read: in its partition as that is called now."""
    return Record(
        collection_id,
        name,
        raw,
        row["as_of"],
        version=row["version"],
        parent=row["parent_id"],
        partition=partitions.get(row["partition"], row["partition"]),
    )


def allowed(session: Session) -> str:
    """What the credential may see, as far as it says: its scopes. A change in the midst of a sweep may hide records."""
    properties = session.access.public_properties()
    facts = {name: properties.get(name) for name in ("scope", "scopes")}
    facts["credential"] = str(session.access.credential_id)
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()
