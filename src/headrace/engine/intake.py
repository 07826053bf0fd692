"""From the items of a page to what is stored: what is wanted, fetches, children of changed parents.

A page's checkpoints are stored with the last of everything that the page proves. A crash before that repeats the page,
and the repeat changes nothing that was stored.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from headrace.db.queries import load
from headrace.engine import catch
from headrace.engine.fetching import Fetcher, can_fetch, keys_of
from headrace.engine.ingest import Load
from headrace.engine.memory import Memory
from headrace.engine.pace import Priority
from headrace.engine.session import Session
from headrace.engine.sources import embedded_below
from headrace.engine.unfit import as_sent, why_unfit, why_unnamed
from headrace.providers.kit import Collection
from headrace.stream.fence import fenced
from headrace.stream.incoming import identify
from headrace.stream.items import NO_SLACK, CheckpointWrite, ChildSet, Delete, Item, Mention, Record, Unread

SQL = load(__package__, "intake.sql")
HASHES, SEE, SEE_CHILDREN = SQL.hashes, SQL.see, SQL.see_children


DOUBT = timedelta(seconds=3)
"""After this a fetch is newer than anything that was received before, however the estimate of the provider's clock has
moved: the clock is known to within two seconds."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where items come from.

    `priority` is the pace's. `changing`: they were seen changing, so that their age does not count. `follow`: children
    of changed parents are read again. `head`: what was seen to a moment ago is passed over, since a settled re-read
    follows. `sweep` is the one that has seen them.
    """

    priority: Priority
    changing: bool = False
    follow: bool = False
    head: bool = False
    sweep: UUID | None = None


BACKFILL = Origin(Priority.BACKFILL)


@dataclass(slots=True)
class Sorted:
    """Items by kind, without those of collections that are not wanted and without what is too old."""

    records: list[Record] = field(default_factory=list)
    deletes: list[Delete] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    child_sets: list[ChildSet] = field(default_factory=list)
    parents: list[Record] = field(default_factory=list)
    """Records, wanted or not, with children that are read again when they change."""
    aged: list[Record] = field(default_factory=list)
    unfit: list[tuple[Record | Mention, str]] = field(default_factory=list)
    """Records that cannot be stored, or asked for, and why."""
    unread: list[Unread] = field(default_factory=list)

    def add(self, more: "Sorted") -> None:
        self.records += more.records
        self.deletes += more.deletes
        self.mentions += more.mentions
        self.child_sets += more.child_sets
        self.parents += more.parents
        self.aged += more.aged
        self.unfit += more.unfit
        self.unread += more.unread


class Intake:
    """Takes the pages of all readings of one sync."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.fetcher = Fetcher(session)
        self._memory = Memory()
        provider = session.access.provider
        self._dependents: dict[str, list[Collection]] = {}
        for collection in map(session.collection, session.wanted):
            children = collection.children
            if children is not None and children.page is not None and not provider.feeds_of(collection.id):
                self._dependents.setdefault(children.parent, []).append(collection)
        self._telling = {
            key
            for key in session.reads
            if key in session.wanted or key in self._dependents or embedded_below(provider, [key]) & session.wanted
        }
        """Collections of which a mention is fetched: it leads to something that is wanted."""

    async def take(self, items: Sequence[Item], checkpoints: list[CheckpointWrite], *, origin: Origin) -> None:
        """Store everything that the items lead to, and with the last of it the checkpoints.

        Raises Fenced, and ReadFailed when something had to be read for it and could not be; the checkpoints are then
        not stored. A single record that cannot be had, or cannot be stored, is set aside.
        """
        page = self._sort(items, origin)
        asked_at = self._session.provider_now()
        mentions = self._unheeded(page.mentions, origin, asked_at)
        page.add(self._sort(await self._fetched(mentions, origin), origin))
        parents = await self._changed(page.parents) if origin.follow and page.parents else []
        if parents:
            page.add(await self._children_of(parents, origin))
        if origin.changing:
            page.deletes, page.child_sets = await catch.sift(self._session, page.deletes, page.child_sets)
        if origin.sweep is not None and page.aged:
            await self._see(origin.sweep, page.aged)
        await self._put_aside(page, origin)
        await self._store(page, origin, checkpoints)
        self._memory.heed(mentions, asked_at)
        for parent, raw_hash in parents:
            self._memory.follow(parent, raw_hash)

    async def _fetched(self, mentions: Sequence[Mention], origin: Origin) -> list[Item]:
        """What is mentioned, as it is now. A record that tells no time of its change has the mention's."""
        items = await self.fetcher.fetch(keys_of(mentions), origin.priority)
        told = {(mention.collection, mention.id): mention.as_of for mention in mentions} if origin.changing else {}
        for item in items:
            if isinstance(item, Record) and item.updated is None:
                item.updated = told.get((item.collection, item.id))
        return items

    async def _store(self, page: Sorted, origin: Origin, checkpoints: list[CheckpointWrite]) -> None:
        """Append. What is unclear is fetched: the fetch is sent after both pictures were received, so it is newer than
        either. Where the clocks leave doubt all the same, it is fetched again a little later."""
        session, seen = self._session, origin.sweep
        unclear = await session.ingest.store(Load(page.records, page.deletes, page.child_sets, checkpoints, seen=seen))
        if origin.changing:  # what whole listings read would only drive out what is asked for
            self._memory.stored(page.records, page.deletes, unclear)
        if not unclear:
            return
        doubtful = [mention for mention in unclear if self._can_fetch(mention)]
        fetched = self._sort(await self._fetched(doubtful, origin), origin)
        await self._put_aside(fetched, origin)
        again = await session.ingest.store(Load(fetched.records, fetched.deletes, fetched.child_sets, seen=seen))
        self._memory.stored(fetched.records, fetched.deletes, again)
        for mention in again:
            if self._can_fetch(mention):
                until = session.provider_now() + DOUBT
                await self.fetcher.put_off(mention.collection, mention.id, mention.parent, until)
        await session.ingest.store(Load(checkpoints=checkpoints))
        self._memory.doubt([*page.records, *page.deletes], unclear)

    def _can_fetch(self, mention: Mention) -> bool:
        """What cannot be fetched is decided by the next sweep, which reads it whole."""
        return can_fetch(self._session.collection(mention.collection), mention.parent)

    async def _put_aside(self, page: Sorted, origin: Origin) -> None:
        """Note what cannot be stored, before the checkpoints say that it was read. A sweep has seen it all the same."""
        for item, reason in page.unfit:
            await self.fetcher.set_aside(item.collection, "record", item.id, item.parent, reason)
        if origin.sweep is not None and page.unfit:
            await self._see(origin.sweep, [item for item, _ in page.unfit if isinstance(item, Record)])
        for family in page.unread:
            await self.fetcher.set_aside(family.collection, "children", family.parent, None, family.reason)
            if origin.sweep is not None:
                await self._see_children(origin.sweep, family)

    def _sort(self, items: Iterable[Item], origin: Origin) -> Sorted:
        session = self._session
        wanted = session.wanted if origin.changing else session.wanted - session.purged
        cutoff, received = session.cutoff(), session.provider_now()
        page = Sorted()
        for item in items:
            if isinstance(item, Mention):
                self._sort_mention(item, page)
                continue
            if isinstance(item, Unread):
                if item.collection in wanted:
                    page.unread.append(item)
                continue
            if item.slack:
                item.slack = _bounded(item, received)
            if isinstance(item, Record):
                self._sort_record(item, page, origin, wanted, cutoff)
            elif item.collection not in wanted:
                session.collection(item.collection)
            elif isinstance(item, ChildSet):
                page.child_sets.append(item)
            elif not self._passed_over(item, origin) and why_unnamed(item) is None:
                page.deletes.append(item)
        return page

    def _sort_mention(self, mention: Mention, page: Sorted) -> None:
        if mention.collection not in self._telling:
            return
        unfit = why_unnamed(mention)
        if unfit is None:
            page.mentions.append(mention)
        else:
            page.unfit.append((mention, unfit))

    def _sort_record(
        self, record: Record, page: Sorted, origin: Origin, wanted: frozenset[str], cutoff: datetime | None
    ) -> None:
        record.raw = as_sent(record.raw)
        unfit = why_unnamed(record) or why_unfit(record)
        if record.collection in self._dependents and unfit is None:
            page.parents.append(record)
        if record.collection not in wanted:
            self._session.collection(record.collection)
        elif self._passed_over(record, origin):
            return
        elif cutoff is not None and too_old(record, cutoff, changing=origin.changing):
            page.aged.append(record)
        elif unfit is not None:
            page.unfit.append((record, unfit))
        else:
            page.records.append(record)

    def _passed_over(self, item: Record | Delete, origin: Origin) -> bool:
        """Whether a later picture of the record was taken in already, or this one was in doubt and is fetched."""
        if not origin.changing or item.version or not item.slack:
            return False
        return self._memory.superseded(item) or (origin.head and self._memory.doubted(item))

    def _unheeded(self, mentions: Iterable[Mention], origin: Origin, now: datetime) -> list[Mention]:
        """Those that a fetch may still tell something new of, the latest of each record."""
        latest: dict[tuple[str, str], Mention] = {}
        for mention in mentions:
            key = (mention.collection, mention.id)
            if key not in latest or latest[key].as_of < mention.as_of:
                latest[key] = mention
        memory = self._memory
        return [
            mention
            for mention in latest.values()
            if not memory.covers(mention) and not (origin.head and memory.heeded(mention, now))
        ]

    async def _children_of(self, parents: Sequence[tuple[Record, bytes]], origin: Origin) -> Sorted:
        """The children of these parents, and those of the children that changed."""
        found = Sorted()
        families = [(parent, each) for parent, _ in parents for each in self._dependents[parent.collection]]
        asked_at = self._session.provider_now()
        reads = [self.fetcher.children(parent, collection, origin.priority) for parent, collection in families]
        for items in await asyncio.gather(*reads):
            found.add(self._sort(items, origin))
        for parent, collection in families:
            over = _at_rest(parent, collection)
            if over is not None and asked_at < over:
                await self.fetcher.put_off(collection.id, parent.id, parent.parent, over, "children")
        changed = await self._changed(found.parents) if found.parents else []
        if changed:
            found.add(await self._children_of(changed, origin))
        return found

    async def _changed(self, parents: list[Record]) -> list[tuple[Record, bytes]]:
        """Those whose text is not the one held, with its hash. Read before the append, which may come to be repeated: a
        parent is stored only together with its children, so that a crash in between loses none of them."""
        session = self._session
        incoming = identify(session.fence.sync_id, parents)
        ids = [each.record_id for each in incoming]
        rows = await session.services.db.ingest.fetch(HASHES, session.fence.stream_id, ids)
        held = {row["record_id"]: row["raw_hash"] for row in rows}
        return [
            (parent, each.raw_hash)
            for parent, each in zip(parents, incoming, strict=True)
            if held.get(each.record_id) != each.raw_hash and not self._memory.followed(parent, each.raw_hash)
        ]

    async def _see(self, sweep_id: UUID, records: list[Record]) -> None:
        """What is not stored, for its age or as unfit, was seen all the same. Raises Fenced: of a sweep that another
        worker has closed meanwhile, nothing would ever take a late row away."""
        fence = self._session.fence
        ids = [each.record_id for each in identify(fence.sync_id, records)]
        async with fenced(self._session.services.db, fence) as conn:
            await conn.execute(SEE, fence.stream_id, sweep_id, ids, fence.sync_id)

    async def _see_children(self, sweep_id: UUID, family: Unread) -> None:
        """What is held of children that could not be read is not missed. Raises Fenced."""
        fence = self._session.fence
        key = (fence.stream_id, sweep_id, fence.sync_id, family.collection, family.parent)
        async with fenced(self._session.services.db, fence) as conn:
            await conn.execute(SEE_CHILDREN, *key)


def _bounded(item: Record | Delete | ChildSet, received: datetime) -> timedelta:
    """The slack of a picture that was received by then: it cannot speak for a later moment."""
    return min(item.slack, max(received - item.as_of, NO_SLACK))


def _at_rest(parent: Record, collection: Collection) -> datetime | None:
    """When it is sure that a further change of the parent shows in its time (the provider's clock); None: it shows in
    any case."""
    assert collection.children is not None
    grain = collection.children.grain
    return parent.updated + grain + DOUBT if grain and parent.updated is not None else None


def too_old(record: Record, cutoff: datetime, *, changing: bool) -> bool:
    """Age is counted from the later of created and updated. A record that was seen changing is as young as that; one
    with neither time is never too old."""
    times = [moment for moment in (record.created, record.updated) if moment is not None]
    if not times:
        return False
    if changing:
        times.append(record.as_of)
    return max(times) < cutoff
