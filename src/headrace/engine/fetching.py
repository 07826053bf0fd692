"""Single reads beside the pages: one record by id, the children of one parent. What cannot be read is set aside."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from headrace.db.queries import load
from headrace.engine.pace import Priority
from headrace.engine.paging import CursorGuard
from headrace.engine.session import Session
from headrace.engine.transport import ReadFailed
from headrace.engine.unfit import is_spelled, spelled
from headrace.errors import ImplementationError
from headrace.providers.kit import Collection, Cursor, FaultClass, Hint, Look, Probe
from headrace.stream.fence import fenced
from headrace.stream.items import Item, Mention, Record

log = structlog.get_logger(__name__)

SQL = load(__package__, "intake.sql")
SET_ASIDE, PUT_OFF = SQL.set_aside, SQL.put_off

AT_ONCE = 8
"""Single reads of one sync that are under way side by side; the pace decides when each is sent."""
ASIDE: frozenset[FaultClass] = frozenset({"gone", "bad", "permission", "config"})
"""Faults of one record or child; any other concerns the whole reading."""

WAITS = tuple(min(timedelta(minutes=2**doublings), timedelta(days=1)) for doublings in range(12))
"""Before what was set aside is tried again, the first, second, … time."""

UNTIL_SWEPT = timedelta(days=8)
"""So long a record stays set aside that cannot be fetched by itself: each sweep that meets it sets it aside anew."""

Key = tuple[str, str, str | None]
"""(collection id, upstream id, parent id)"""


class Fetcher:
    """Reads single things for the intake."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._places = asyncio.Semaphore(AT_ONCE)
        self._failed: dict[tuple[str, str, str], datetime] = {}
        """What could not be read although it was tried again, and when: once more, with the provider answering in
        between, and it is the record's own fault."""

    async def fetch(self, keys: Iterable[Key], priority: Priority) -> list[Item]:
        """These records as they are now, with what is embedded in them. One that cannot be had is set aside. Raises
        ReadFailed when it is not the record's own fault."""

        async def one(key: Key) -> list[Item]:
            async with self._places:
                return await self.fetch_one(*key, priority)

        found = await asyncio.gather(*map(one, dict.fromkeys(keys)))
        return [item for items in found for item in items]

    async def fetch_one(
        self, collection_id: str, upstream_id: str, parent: str | None, priority: Priority
    ) -> list[Item]:
        """One record with what is embedded in it; nothing when it had to be set aside. An embedded record that has no
        fetch comes with its parent. Raises ReadFailed."""
        collection = self._session.collection(collection_id)
        if collection.fetch is None:
            above = collection.children
            if collection.embedded and above is not None and parent is not None:
                return await self.fetch_one(above.parent, parent, None, priority)
            raise ImplementationError(
                f"{collection_id} is to be fetched and has no fetch: declare one, or make whole records of it"
            )
        fetch = collection.fetch

        async def read() -> list[Item]:
            page = await self._session.read(fetch.page(self._session.context(), upstream_id, parent), priority)
            if not page.items or isinstance(page.items[0], Mention) or page.next is not None:
                raise ImplementationError(f"the fetch of {collection_id} must give one page with a Record or Delete")
            return page.items

        return await self._or_aside(read, collection_id, "record", upstream_id, parent)

    async def probe(self, probe: Probe, records: Iterable[Record]) -> list[Item]:
        """Of records that a sweep misses, the deletes of those that are gone, as the provider says. One that cannot be
        asked for stays as it is: the next sweep asks again. Raises ReadFailed when it is not the record's own fault."""

        async def one(record: Record) -> list[Item]:
            context = self._session.context(partition=record.partition)
            try:
                async with self._places:
                    return (await self._session.read(probe(context, record), Priority.SWEEP)).items
            except ReadFailed as failed:
                if failed.fault.kind not in ASIDE:
                    raise
                return []

        found = await asyncio.gather(*map(one, records))
        return [item for items in found for item in items]

    async def look(self, look: Look, collection_id: str, upstream_id: str, address: str | None) -> list[Item]:
        """What a webhook named, at its address; nothing when it had to be set aside. Raises ReadFailed."""

        async def read() -> list[Item]:
            hint = Hint(collection_id, upstream_id, address)
            return (await self._session.read(look(self._session.context(), hint), Priority.CHANGES)).items

        return await self._or_aside(read, collection_id, "record", upstream_id, address)

    async def children(self, parent: Record, collection: Collection, priority: Priority) -> list[Item]:
        """The children of one parent; nothing when they had to be set aside. Raises ReadFailed."""
        assert collection.children is not None
        pages = collection.children.page
        assert pages is not None

        async def read() -> list[Item]:
            guard = CursorGuard(f"the children page of {collection.id}")
            items: list[Item] = []
            cursor: Cursor | None = None
            while True:
                page = await self._session.read(pages(self._session.context(), parent, cursor), priority)
                items += page.items
                cursor = guard.check(page)
                if cursor is None:
                    return items
                await self._session.pause(page)

        async with self._places:
            return await self._or_aside(read, collection.id, "children", parent.id, parent.parent)

    async def put_off(
        self, collection_id: str, key: str, parent: str | None, until: datetime, what: str = "record"
    ) -> None:
        """Read the record, or the children of a parent, at `until` (the provider's clock), when the answer can tell
        which picture is the newest. Raises Fenced."""
        session = self._session
        fence, now = session.fence, session.now()
        due = until + (now - session.provider_now())
        named = (spelled(key), None if parent is None else spelled(parent))
        async with fenced(session.services.db, fence) as conn:
            await conn.execute(PUT_OFF, fence.stream_id, fence.sync_id, collection_id, *named, due, now, what)
        self._due(due)

    async def _or_aside(
        self, read: Callable[[], Awaitable[list[Item]]], collection_id: str, what: str, key: str, parent: str | None
    ) -> list[Item]:
        named = (collection_id, what, key)
        try:
            items = await read()
        except ReadFailed as failed:
            if failed.fault.kind not in ASIDE and not self._alone_fails(named, failed):
                raise
            reason = failed.fault.message
        else:
            self._failed.pop(named, None)
            return items
        await self.set_aside(collection_id, what, key, parent, reason)
        return []

    async def set_aside(self, collection_id: str, what: str, key: str, parent: str | None, reason: str) -> None:
        """Note that a record, or the children of one (`what`), could not be read or stored: it is tried again, each
        time after a longer while. Raises Fenced."""
        session, fence, now = self._session, self._session.fence, self._session.now()
        log.warning("set_aside", sync_id=str(fence.sync_id), collection_id=collection_id, what=what, reason=reason)
        key, parent = spelled(key), None if parent is None else spelled(parent)
        again = not is_spelled(key) and (what == "children" or can_fetch(session.collection(collection_id), parent))
        row = (fence.stream_id, fence.sync_id, collection_id, what, key, parent, reason, now)
        waits = [now + wait for wait in (WAITS if again else (UNTIL_SWEPT,))]
        async with fenced(session.services.db, fence) as conn:
            # Of a sync or a collection that is gone nothing would ever take a late row away.
            due = await conn.fetchval(SET_ASIDE, *row, waits)
        self._due(due)

    def _alone_fails(self, named: tuple[str, str, str], failed: ReadFailed) -> bool:
        """Whether a fault that ought to pass stays with this one, while the provider answers otherwise: a page that no
        program can read in the place of a record, an error inside the provider's own store."""
        if failed.fault.kind != "transient":
            return False
        now, answered_at = self._session.now(), self._session.answered_at
        first = self._failed.setdefault(named, now)
        if answered_at is None or answered_at <= first:
            return False
        del self._failed[named]
        return True

    def _due(self, moment: datetime) -> None:
        self._session.aside_at = min(self._session.aside_at or moment, moment)


def can_fetch(collection: Collection, parent: str | None) -> bool:
    """Whether a record of the collection, with this parent, can be asked for by itself or with the parent."""
    return collection.fetch is not None or (collection.embedded and parent is not None)


def keys_of(mentions: Sequence[Mention]) -> list[Key]:
    return [(mention.collection, mention.id, mention.parent) for mention in mentions]
