"""What was set aside is tried again, with back-off, and what a webhook named is fetched, while everything else goes
on."""

from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from headrace.db.queries import load
from headrace.engine.checkpoints import Checkpoints
from headrace.engine.fetching import can_fetch
from headrace.engine.intake import Intake, Origin
from headrace.engine.pace import Priority
from headrace.engine.schedule import Tempo, tried_again
from headrace.engine.session import Session
from headrace.engine.unfit import is_spelled
from headrace.ids import record_id, record_namespace
from headrace.stream.erase import erase
from headrace.stream.items import Delete, Item, Record
from headrace.stream.read import get_record

SQL = load(__package__, "intake.sql")
ASIDE, NEXT_ASIDE, PUT_BACK, PLACE = SQL.aside, SQL.next_aside, SQL.put_back, SQL.place
LOOK_AGAIN, NUMBER_HELD = SQL.look_again, SQL.number_held

CHUNK = 50
LOOKS = (timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10))
"""After which pause what a webhook named is looked at again, the first, second, … time, while nothing has changed."""
MENDED = Origin(Priority.REPAIR, changing=True, follow=True)


class Aside:
    """The records, and the children of parents, that could not be read or were named by a webhook."""

    reading = "aside"
    upstream = True
    scope = "aside"
    collections: frozenset[str] = frozenset()

    def __init__(self, session: Session, intake: Intake) -> None:
        self._session = session
        self._intake = intake

    async def load(self) -> None:
        """Learn when the next of them is due."""
        fence = self._session.fence
        self._session.aside_at = await self._session.services.db.ingest.fetchval(
            NEXT_ASIDE, fence.stream_id, fence.sync_id, sorted(self._session.reads)
        )

    def reload(self, checkpoints: Checkpoints) -> None:
        """Nothing of it is kept in memory."""

    def due(self, tempo: Tempo) -> datetime | None:
        return tried_again(self._session.aside_at, tempo)

    async def step(self, tempo: Tempo) -> None:
        """Try those that are due. Raises ReadFailed when the provider cannot be reached at all, Stopped, Fenced."""
        session, fence = self._session, self._session.fence
        pool = session.services.db.ingest
        reads = sorted(session.reads)
        for row in await pool.fetch(ASIDE, fence.stream_id, fence.sync_id, reads, session.now(), CHUNK):
            before = await self._number(row)
            items = await self._read(row)
            if items:
                await self._intake.take(items, [], origin=MENDED)
            forgotten = row["forget"] and await self._forget(row, items)
            # What was set aside, or named, anew has another moment, and stays as it is.
            key = (fence.stream_id, fence.sync_id, row["collection_id"], row["what"], row["upstream_id"])
            settled = not row["hint"] or forgotten or await self._number(row) != before
            if settled or row["looks"] >= len(LOOKS):
                await pool.execute(PUT_BACK, *key, row["retry_at"])
            else:
                await pool.execute(LOOK_AGAIN, *key, row["retry_at"], session.now() + LOOKS[row["looks"]])
        await self.load()

    async def _number(self, row: asyncpg.Record) -> int | None:
        """The number of the last change of what a webhook named. While it stays, the webhook may have come before the
        change shows."""
        if not row["hint"]:
            return None
        number: int | None = await self._session.services.db.ingest.fetchval(
            NUMBER_HELD, self._session.fence.stream_id, self._record_id(row)
        )
        return number

    def _record_id(self, row: asyncpg.Record) -> UUID:
        return record_id(record_namespace(self._session.fence.sync_id, row["collection_id"]), row["upstream_id"])

    async def _read(self, row: asyncpg.Record) -> list[Item]:
        """What it is now; nothing when it was set aside again."""
        collection_id, upstream_id = row["collection_id"], row["upstream_id"]
        if is_spelled(upstream_id):
            return []  # nothing can be asked for by it: the next reading that meets it sets it aside anew
        if row["what"] == "children":
            return await self._children(collection_id, upstream_id)
        if not row["hint"] and not can_fetch(self._session.collection(collection_id), row["parent_id"]):
            return []  # the next sweep that meets it sets it aside anew
        fetcher, hook = self._intake.fetcher, self._session.access.provider.hook
        if row["hint"] and hook is not None and hook.look is not None:
            return await fetcher.look(hook.look, collection_id, upstream_id, row["parent_id"])
        priority = Priority.CHANGES if row["hint"] else Priority.REPAIR
        return await fetcher.fetch_one(collection_id, upstream_id, row["parent_id"], priority)

    async def _forget(self, row: asyncpg.Record, items: list[Item]) -> bool:
        """Erase what was stored of a record that the provider was told to forget; False where it is not gone there."""
        named = (row["collection_id"], row["upstream_id"])
        if named not in {(each.collection, each.id) for each in items if isinstance(each, Delete)}:
            return False
        await erase(self._session.services.db, self._session.fence.stream_id, self._record_id(row))
        return True

    async def _children(self, collection_id: str, parent_id: str) -> list[Item]:
        """The children of a parent, and the parent as it is held; a parent that is not held any more has none."""
        session = self._session
        collection = session.collection(collection_id)
        assert collection.children is not None
        above = collection.children.parent
        key = record_id(record_namespace(session.fence.sync_id, above), parent_id)
        async with session.services.db.api.acquire() as conn:
            held = await get_record(conn, [session.fence.stream_id], key)
            place = await conn.fetchrow(PLACE, session.fence.stream_id, key)
        if held is None or place is None:
            if session.collection(above).fetch is None:
                return []  # parents that are not stored bring their children when they change, or are compared
            items = await self._intake.fetcher.fetch_one(above, parent_id, None, Priority.REPAIR)
            fetched = [item for item in items if isinstance(item, Record) and item.collection == above]
            if not fetched:
                return items
            parent = fetched[0]
        else:
            record = held[1]
            parent = Record(above, parent_id, record.data, as_of=record.upstream_updated_at)
            parent.parent, parent.partition = place["parent_id"], place["partition"]
        return await self._intake.fetcher.children(parent, collection, Priority.REPAIR)
