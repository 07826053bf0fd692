"""Reads an account into a copy as the engine does, in the least code: backfill, catching up, sweep."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import orjson

from headrace.providers.kit import (
    Collection,
    Delete,
    Faulted,
    Item,
    Listing,
    Mention,
    Page,
    PageFunction,
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
        self.copy = Copy({collection.id: collection.canon for collection in driver.provider.collections})

    def collection(self, collection_id: str) -> Collection:
        found = self.driver.provider.collection(collection_id)
        if found is None:
            raise Broken(f"{self.driver.provider.slug} has no collection {collection_id}")
        return found

    def listings(self, of: Iterable[str] | None = None) -> list[tuple[Listing, tuple[str, ...]]]:
        """The listings that lead to these collections, each with those that it carries: its own and embedded ones."""
        asked = frozenset(self.collections if of is None else of)
        found = []
        for collection in self.driver.provider.collections:
            carried = (collection, *self.driver.provider.embedded_in(collection.id))
            wanted = tuple(each.id for each in carried if each.id in asked)
            if collection.listing is not None and wanted:
                found.append((collection.listing, wanted))
        return found

    async def pages(
        self,
        function: PageFunction,
        collections: Iterable[str],
        window: Window = EVERYTHING,
        between: Between = nothing,
    ) -> list[Page]:
        """A window, read to its end. A cursor that died leads to its start again. Raises Broken for a list that goes
        in circles."""
        wanted = tuple(collections)
        read: list[Page] = []
        seen: set[bytes] = set()
        restarts = 0
        page = await self.driver.page(function, wanted, window, None)
        while True:
            read.append(page)
            if page.next is None:
                return read
            place = orjson.dumps(page.next, option=orjson.OPT_SORT_KEYS)
            need(place not in seen and len(read) < _MOST_PAGES, f"the list goes in circles at {page.next!r}")
            seen.add(place)
            between()
            try:
                page = await self.driver.page(function, wanted, window, page.next)
            except Faulted as error:
                restarts += 1
                if error.fault.kind != "restart" or restarts > _MOST_RESTARTS:
                    raise
                seen.clear()
                page = await self.driver.page(function, wanted, window, None)

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
            page = await self.driver.run(page_of.page(self.driver.context([collection_id]), parent, cursor))
            items += page.items
            if page.next is None:
                return items
            cursor = page.next

    async def fetch(self, mention: Mention) -> list[Item]:
        """The record that is mentioned, by its collection's Fetch: its first item is that Record, or its Delete."""
        reading = self.collection(mention.collection).fetch
        if reading is None:
            raise Broken(f"{mention.collection} mentions records, and has no fetch")
        page = await self.driver.run(reading.page(self.driver.context(self.collections), mention.id, mention.parent))
        first = page.items[0] if page.items else None
        need(
            isinstance(first, Record | Delete) and (first.collection, first.id) == (mention.collection, mention.id),
            f"fetching {mention.collection} {mention.id} gave {first!r} first",
        )
        return page.items

    async def backfill(self, between: Between = nothing) -> None:
        """Everything, through the listings."""
        for listing, carried in self.listings():
            for page in await self.pages(listing.page, carried, between=between):
                await self.take(page.items)

    async def catch_up(self, since: datetime) -> None:
        """What changed since: feeds, each collection's own changes, then a sweep where no feed tells of deletes."""
        await self.read_feeds(since)
        for collection_id in self.collections:
            for changes in self.collection(collection_id).changes:
                lo = since if changes.lookback is None else since - changes.lookback
                for page in await self.pages(changes.page, [collection_id], Window(lo, None)):
                    await self.take(page.items)
        await self.sweep([each for each in self.collections if not self.fed(each)])

    async def read_feeds(self, since: datetime, *, backwards: bool = False) -> None:
        """The feeds from then on; `backwards` takes their pages in in the opposite order."""
        for feed in self.driver.provider.feeds:
            covered = [each for each in self.collections if each in feed.covers]
            if covered:
                read = await self.pages(feed.page, covered, Window(since, None))
                for page in reversed(read) if backwards else read:
                    await self.take(page.items)

    def fed(self, collection_id: str) -> bool:
        """Whether a feed tells of all changes of this collection, deletes included."""
        collection = self.collection(collection_id)
        covered = any(collection_id in feed.covers for feed in self.driver.provider.feeds)
        return covered and collection.deletes in ("feed", "never") and not collection.changes

    async def sweep(self, collections: Sequence[str], between: Between = nothing) -> list[tuple[str, str]]:
        """Enumerate these collections and take away what is not there any more: confirmed by a fetch where the
        collection has one, else missed by two whole passes. The ids that were taken away."""
        removed: list[tuple[str, str]] = []
        for listing, carried in self.listings(collections):
            missed = await self._missed(listing, carried, between)
            unsure = [key for key in missed if self.collection(key[0]).fetch is None]
            again = set(await self._missed(listing, carried, between)) if unsure else set()
            for collection_id, record_id in missed:
                held = self.copy.held[collection_id, record_id]
                mention = Mention(collection_id, record_id, self.driver.now(), held.parent)
                if (collection_id, record_id) in unsure:
                    gone: Item = Delete(collection_id, record_id, self.driver.now())
                    if (collection_id, record_id) not in again:
                        continue
                else:
                    gone = (await self.fetch(mention))[0]
                self.copy.apply([gone], settled=True)
                if isinstance(gone, Delete):
                    removed.append((collection_id, record_id))
        return removed

    async def _missed(self, listing: Listing, carried: Sequence[str], between: Between) -> list[tuple[str, str]]:
        """What the copy held before the pass, and no page of it showed."""
        held = [(collection, key) for collection in carried for key in self.copy.alive(collection)]
        seen: set[tuple[str, str]] = set()
        for page in await self.pages(listing.page, carried, between=between):
            seen.update((item.collection, item.id) for item in page.items if isinstance(item, Record | Mention))
            await self.take(page.items)
        return [key for key in held if key not in seen and self.copy.held[key].raw is not None]


def second_before(moment: datetime) -> datetime:
    """Where a feed of whole seconds is read from, so that nothing of this second is missed."""
    return moment - timedelta(seconds=1)
