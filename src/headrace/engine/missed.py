"""What a sweep did not see: which of it is gone, and which deletes a person has to confirm first.

What was held before the sweep began and was seen by no page is a candidate. Where the provider can be asked for it by
itself, each candidate is confirmed; where it cannot, as in a partition that is not listed any more, or where the
listing may move records between pages, it must be absent from two whole passes. Then the safety catch has its say
(`catch.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from headrace.db.queries import load
from headrace.engine import catch
from headrace.engine.checkpoints import SweepMark
from headrace.engine.intake import Intake, Origin
from headrace.engine.pace import Priority
from headrace.engine.partitions import partitions_of
from headrace.engine.session import Session
from headrace.ids import record_id, record_namespace
from headrace.providers.kit import Collection
from headrace.stream.columns import meant
from headrace.stream.items import Delete, Item, Record
from headrace.stream.read import get_record

SQL = load(__package__, "missed.sql")
CANDIDATES, COUNT_CANDIDATES, THEIR_PARTITIONS = SQL.candidates, SQL.count_candidates, SQL.their_partitions

CHUNK = 200
GONE = Origin(Priority.SWEEP)


@dataclass(frozen=True, slots=True)
class Missed:
    """Candidates of a collection: all of them, or those of these partitions, by the ids that the records bear, each
    with the id that it is listed under now; then also, where `unplaced`, those of which nobody knows the partition.
    `asked`: the provider is asked for each."""

    collection: Collection
    asked: bool = False
    partitions: Mapping[str, str] | None = None
    unplaced: bool = False


class Judgement:
    """Judges what the sweep of `source` at `mark`, which has begun, did not see of `members`."""

    def __init__(
        self, session: Session, intake: Intake, source: Collection, members: Sequence[Collection], mark: SweepMark
    ) -> None:
        assert source.listing is not None
        assert mark.sweep_id is not None
        assert mark.began is not None
        self._session = session
        self._intake = intake
        self._listing = source.listing
        self._partitions = source.partitions
        self._members = [member for member in members if member.deletes != "never"]
        self._mark = mark
        self._sweep_id = mark.sweep_id
        self._began = mark.began

    async def needs_second_pass(self) -> bool:
        """Whether anything is missed that one pass says too little of. Raises ReadFailed, Stopped."""
        for member in self._members:
            missed = [each for each in await self._missed(member) if self._listing.moves or not each.asked]
            if any([await self._count(each) for each in missed]):
                return True
        return False

    async def judge(self) -> None:
        """Delete what is gone of each collection, or hold it back. Raises ReadFailed, Stopped, Fenced."""
        for member in self._members:
            await self._judge_one(member)

    async def _judge_one(self, member: Collection) -> None:
        session, mark = self._session, self._mark
        fence, pool = session.fence, session.services.db.ingest
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
            await catch.hold(session, member.id, self._sweep_id, held, ids, self._began)
        else:
            await catch.release(session, member.id)

    async def _missed(self, member: Collection) -> list[Missed]:
        """Its candidates, by how it is told that they are gone. Those of partitions that were left out are none,
        however these were called when the records were read; nor are then those whose partition nobody knows."""
        mark, source = self._mark, self._partitions
        asked = member.fetch is not None or member.probe is not None
        if source is None or not (asked or mark.left_out):
            return [Missed(member, asked)]
        fence = self._session.fence
        key = (fence.stream_id, fence.sync_id, member.id, self._began, self._sweep_id)
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

    async def _delete(self, missed: Missed) -> None:
        """Take the candidates away: those of which the provider says that they are gone, where it is asked."""
        member, last = missed.collection, None
        while rows := await self._candidates(missed, last, CHUNK):
            last = rows[-1]["record_id"]
            if not missed.asked:
                # Absent from two whole passes: the moment for which that speaks is the beginning of the sweep.
                gone: list[Item] = [_gone(member.id, self._named(member, row), row, self._began) for row in rows]
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

    async def _count(self, missed: Missed) -> int:
        fence = self._session.fence
        count: int = await self._session.services.db.ingest.fetchval(
            COUNT_CANDIDATES,
            fence.stream_id,
            fence.sync_id,
            missed.collection.id,
            self._began,
            self._sweep_id,
            None if missed.partitions is None else list(missed.partitions),
            missed.unplaced,
        )
        return count

    async def _candidates(self, missed: Missed, last: Any, limit: int) -> list[Any]:
        fence = self._session.fence
        return await self._session.services.db.ingest.fetch(
            CANDIDATES,
            fence.stream_id,
            fence.sync_id,
            missed.collection.id,
            self._began,
            self._sweep_id,
            last,
            limit,
            None if missed.partitions is None else list(missed.partitions),
            missed.unplaced,
        )


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
