"""Reads an account into a copy as the engine does, in the least code: backfill, catching up, sweep."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import orjson

from headrace.providers.kit import (
    Collection,
    Cursor,
    Delete,
    Faulted,
    Feed,
    Item,
    Listing,
    Mention,
    Page,
    PageFunction,
    Partitions,
    Record,
    Window,
)
from headrace.testing.copies import Copy
from headrace.testing.driver import Driver

Between = Callable[[], None]
"""Called between pages: a test changes the account there."""

EVERYTHING = Window()
_MOST_PAGES = 100_000
_MOST_RESTARTS = 100


class Broken(AssertionError):
    """A law of connectors does not hold; the message says of what, and how it was seen."""


def need(holds: object, message: str) -> None:
    """Raise Broken with this message unless it holds."""
    if not holds:
        raise Broken(message)


def nothing() -> None:
    """The account rests."""


class Reader:
    """Reads these collections of the driver's account into `copy`."""

    def __init__(self, driver: Driver, collections: Sequence[str]) -> None:
        self.driver = driver
        self.collections = tuple(collections)
        self._tokens: dict[str, Cursor | None] = {}
        self.copy = Copy({collection.id: collection.canon for collection in driver.provider.collections})

    def collection(self, collection_id: str) -> Collection:
        found = self.driver.provider.collection(collection_id)
        if found is None:
            raise Broken(f"{self.driver.provider.slug} has no collection {collection_id}")
        return found

    def listings(self, of: Iterable[str] | None = None) -> list[tuple[Listing, tuple[str, ...], Partitions | None]]:
        """The listings that lead to these collections, each with those that it carries (its own and embedded ones) and
        with the partitions over which it is read."""
        asked = frozenset(self.collections if of is None else of)
        found = []
        for collection in self.driver.provider.collections:
            carried = (collection, *self.driver.provider.embedded_in(collection.id))
            wanted = tuple(each.id for each in carried if each.id in asked)
            if collection.listing is not None and wanted:
                found.append((collection.listing, wanted, collection.partitions))
        return found

    async def pages(
        self,
        function: PageFunction,
        collections: Iterable[str],
        window: Window = EVERYTHING,
        between: Between = nothing,
        partitions: Partitions | None = None,
    ) -> list[Page]:
        """A window, read to its end in each partition. A cursor that died leads to its start again. Raises Broken for
        a list that goes in circles."""
        wanted = tuple(collections)
        read: list[Page] = []
        for partition in await self.driver.partitions(partitions):
            read += await self._pages(function, wanted, window, between, partition)
        return read

    async def _pages(
        self, function: PageFunction, wanted: tuple[str, ...], window: Window, between: Between, partition: str | None
    ) -> list[Page]:
        read: list[Page] = []
        seen: set[bytes] = set()
        restarts = 0
        page = await self.driver.page(function, wanted, window, None, partition)
        while True:
            read.append(page)
            if page.next is None:
                return read
            place = orjson.dumps(page.next, option=orjson.OPT_SORT_KEYS)
            need(place not in seen and len(read) < _MOST_PAGES, f"the list goes in circles at {page.next!r}")
            seen.add(place)
            between()
            try:
                page = await self.driver.page(function, wanted, window, page.next, partition)
            except Faulted as error:
                restarts += 1
                if error.fault.kind != "restart" or restarts > _MOST_RESTARTS:
                    raise
                seen.clear()
                page = await self.driver.page(function, wanted, window, None, partition)

    async def take(self, items: Iterable[Item]) -> None:
        """Take the items of wanted collections into the copy, and fetch what must be fetched."""
        for mention in self.copy.apply(item for item in items if item.collection in self.collections):
            fetched = await self._read_again(mention)
            self.copy.apply((item for item in fetched if item.collection in self.collections), settled=True)

    async def _read_again(self, mention: Mention) -> list[Item]:
        """What is mentioned: fetched, or where its collection has no fetch, with all the children of its parent."""
        collection = self.collection(mention.collection)
        children = collection.children
        if collection.fetch is not None or children is None or children.page is None or mention.parent is None:
            return await self.fetch(mention)
        held = self.copy.held.get((children.parent, mention.parent))
        if held is None or held.raw is None:
            return [Delete(mention.collection, mention.id, self.driver.now(), parent=mention.parent)]
        parent = Record(children.parent, mention.parent, held.raw, held.order[1])
        return await self.children(mention.collection, parent)

    async def children(self, collection_id: str, parent: Record) -> list[Item]:
        """The children of one parent, as its collection reads them anew."""
        page_of = self.collection(collection_id).children
        if page_of is None or page_of.page is None:
            raise Broken(f"{collection_id} has no reading of one parent's children")
        items: list[Item] = []
        cursor = None
        while True:
            read, context, at = page_of.page, self.driver.context([collection_id]), cursor
            page = await self.driver.again(lambda read=read, ctx=context, at=at: read(ctx, parent, at))  # type: ignore[misc]
            items += page.items
            if page.next is None:
                return items
            cursor = page.next

    async def fetch(self, mention: Mention) -> list[Item]:
        """The record that is mentioned, by its collection's Fetch: its first item is that Record, or its Delete."""
        reading = self.collection(mention.collection).fetch
        if reading is None:
            raise Broken(f"{mention.collection} mentions records, and has no fetch")
        context = self.driver.context(self.collections)
        page = await self.driver.again(lambda: reading.page(context, mention.id, mention.parent))
        first = page.items[0] if page.items else None
        need(
            isinstance(first, Record | Delete) and (first.collection, first.id) == (mention.collection, mention.id),
            f"fetching {mention.collection} {mention.id} gave {first!r} first",
        )
        return page.items

    async def probe(self, collection_id: str, record_id: str) -> list[Item]:
        """What its collection's Probe says of a record that the copy holds: its Delete, or nothing."""
        probe, held = self.collection(collection_id).probe, self.copy.held[collection_id, record_id]
        assert probe is not None
        assert held.raw is not None
        version, as_of = held.order
        record = Record(collection_id, record_id, held.raw, as_of, version=version, parent=held.parent)
        record.partition = held.partition
        context = self.driver.context(self.collections, held.partition)
        page = await self.driver.again(lambda: probe(context, record))
        need(
            all(isinstance(item, Delete) and item.id == record_id for item in page.items),
            f"probing {collection_id} {record_id} gave {page.items!r}",
        )
        return page.items

    async def begin(self) -> None:
        """Take the present token of each feed of tokens: what a backfill that follows cannot lose."""
        for feed in self.driver.provider.feeds:
            if feed.start is not None and any(each in feed.covers for each in self.collections):
                start, context = feed.start, self.driver.context(self.collections)
                page = await self.driver.again(lambda start=start, ctx=context: start(ctx))  # type: ignore[misc]
                need(page.next is not None, f"the start of the feed {feed.name} gives no token")
                self._tokens[feed.name] = page.next

    async def backfill(self, between: Between = nothing) -> None:
        """Everything, through the listings."""
        for listing, carried, partitions in self.listings():
            for page in await self.pages(listing.page, carried, between=between, partitions=partitions):
                await self.take(page.items)
            between()

    async def catch_up(self, since: datetime) -> None:
        """What changed since: every reading of changes, then a sweep of what they do not tell completely."""
        await self.read_changes(since)
        await self.sweep([each for each in self.collections if not self.told(each)])

    async def read_changes(self, since: datetime, *, backwards: bool = False) -> None:
        """The feeds, each collection's own changes and lists of deletions, from then on (a feed of tokens: from its
        token on); `backwards` takes all pages in in the opposite order."""
        read: list[Page] = []
        for feed in self.driver.provider.feeds:
            read += await self.feed_pages(feed, since)
        for collection in map(self.collection, self.collections):
            read += await self.changes_pages(collection, since)
            if (deleted := collection.deleted) is not None:
                window = Window(since, None)
                read += await self.pages(deleted.page, [collection.id], window, partitions=collection.partitions)
        for page in reversed(read) if backwards else read:
            await self.take(page.items)

    async def changes_pages(self, collection: Collection, since: datetime) -> list[Page]:
        """What the collection's own readings of changes give from then on."""
        read: list[Page] = []
        for changes in collection.changes:
            window = Window(since if changes.lookback is None else since - changes.lookback, None)
            read += await self.pages(changes.page, [collection.id], window, partitions=collection.partitions)
        return read

    async def feed_pages(self, feed: Feed, since: datetime) -> list[Page]:
        """What the feed tells of these collections from then on, or from its token on."""
        covered = [each for each in self.collections if each in feed.covers]
        if not covered:
            return []
        if feed.position == "time":
            return await self.pages(feed.page, covered, Window(since, None))
        read: list[Page] = []
        token, more = self._tokens.get(feed.name), True
        need(token is not None, f"the feed {feed.name} is read before `begin` took its token")
        while more:
            page = await self.driver.page(feed.page, covered, EVERYTHING, token)
            need(page.next is not None, f"the feed {feed.name} gives no token with its page")
            need(not page.more or page.next != token, f"the feed {feed.name} goes in circles at {token!r}")
            token, more = page.next, page.more
            read.append(page)
        self._tokens[feed.name] = token
        return read

    def told(self, collection_id: str) -> bool:
        """Whether the readings of changes tell all that happens to this collection, deletes included."""
        collection = self.collection(collection_id)
        if collection.deletes not in ("feed", "list", "flag", "never"):
            return False
        if any(changes.field == "created" for changes in collection.changes):
            return False
        return bool(collection.changes) or any(collection_id in feed.covers for feed in self.driver.provider.feeds)

    async def sweep(self, collections: Sequence[str], between: Between = nothing) -> list[tuple[str, str]]:
        """Enumerate these collections and take away what is not there any more: where the provider can be asked for it
        by itself, what it says is gone, else what two whole passes missed. The ids that were taken away."""
        removed: list[tuple[str, str]] = []
        for listing, carried, partitions in self.listings(collections):
            missed = await self._missed(listing, carried, partitions, between)
            listed = await self.driver.partitions(partitions) if missed else []
            unsure = [key for key in missed if not self._asked(key, listed)]
            again = set(await self._missed(listing, carried, partitions, between)) if unsure else set()
            for key in missed:
                if key not in unsure:
                    said = await self._said(*key)
                elif key in again:
                    said = [Delete(*key, self.driver.now())]
                else:
                    continue
                self.copy.apply(said, settled=True)
                if any(isinstance(item, Delete) for item in said):
                    removed.append(key)
        return removed

    def _asked(self, key: tuple[str, str], listed: Sequence[str | None]) -> bool:
        """Whether the provider can be asked for a record by itself: not in a partition that it does not list."""
        collection, partition = self.collection(key[0]), self.copy.held[key].partition
        return (collection.fetch or collection.probe) is not None and (partition is None or partition in listed)

    async def _said(self, collection_id: str, record_id: str) -> list[Item]:
        """What the provider says of one record: as it is, gone, or nothing."""
        if self.collection(collection_id).fetch is None:
            return await self.probe(collection_id, record_id)
        held = self.copy.held[collection_id, record_id]
        mention = Mention(collection_id, record_id, self.driver.now(), held.parent)
        return (await self.fetch(mention))[:1]

    async def _missed(
        self, listing: Listing, carried: Sequence[str], partitions: Partitions | None, between: Between
    ) -> list[tuple[str, str]]:
        """What the copy held before the pass, and no page of it showed."""
        held = [(collection, key) for collection in carried for key in self.copy.alive(collection)]
        seen: set[tuple[str, str]] = set()
        for page in await self.pages(listing.page, carried, between=between, partitions=partitions):
            seen.update((item.collection, item.id) for item in page.items if isinstance(item, Record | Mention))
            await self.take(page.items)
        return [key for key in held if key not in seen and self.copy.held[key].raw is not None]


def second_before(moment: datetime) -> datetime:
    """Where a feed of whole seconds is read from, so that nothing of this second is missed."""
    return moment - timedelta(seconds=1)
