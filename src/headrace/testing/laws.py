"""The laws that every connector keeps, as functions that a test calls with a driver and the truth.

A law raises `Broken` with what was found. `driver` reads the provider's server through the connector's own page
functions; `truth` is what that server holds. The laws know nothing of any one provider.

    complete           everything that there is comes through the listings, and nothing else: no phantom
    quiet              a record is the same through every reading: listing, feed, changes, fetch, children; and a
                       probe finds it
    resumable          after a crash at any page the reading goes on from its cursor and misses nothing
    converges          read while it changes, then caught up: equal to the account, deletes included
    in order           it does not matter in which order the pages of the changes are taken in
    no phantom delete  what a sweep misses by a fault, or while it reads, is not taken for deleted
    polite             the server saw no more requests in any window than allowed, and refused next to none
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import orjson

from headrace.providers.kit import Listing, Mention, Page, Record
from headrace.testing.copies import Copy, Truth, canonical
from headrace.testing.driver import Driver
from headrace.testing.faults import Fault
from headrace.testing.provider import ProviderServer
from headrace.testing.reader import EVERYTHING, Between, Broken, Reader, need, nothing, second_before
from headrace.testing.requestlog import RequestLog

_BLOCK_S = 0.25
"""docs of the pace: counted at the server, no window of W − 250 ms holds more than N."""
_REFUSED_SHARE = 0.01

HOSTILE: Mapping[str, Fault] = {
    "too many requests": Fault("rate_limited", probability=0.05, options={"reset_s": 0}),
    "server errors": Fault("server_error", probability=0.05),
    "resets": Fault("reset", probability=0.05),
    "cut answers": Fault("truncated_json", probability=0.05),
    "broken answers": Fault("invalid_json", probability=0.05),
    "html": Fault("html", probability=0.05),
    "a clock that is off": Fault("clock", options={"offset_s": -200}),
}
"""What every connector bears, of any provider; a provider's own faults come beside them."""

__all__ = [
    "HOSTILE", "Broken", "complete", "converges", "converges_alive", "in_order", "no_phantom_delete", "polite", "quiet",
    "resumable",
]  # fmt: skip


async def complete(driver: Driver, truth: Truth, collections: Sequence[str]) -> Copy:
    """The listings lead to everything that there is, and to nothing else. The copy that was read is returned."""
    reader = Reader(driver, collections)
    await reader.backfill()
    _need_equal(reader, truth, "read once, the copy is not what the provider holds")
    return reader.copy


def _need_equal(reader: Reader, truth: Truth, message: str) -> None:
    difference = reader.copy.difference(truth, reader.collections)
    need(not difference, f"{message}: {difference}")


async def quiet(driver: Driver, truth: Truth, collections: Sequence[str], since: datetime) -> None:
    """Every record that feed, changes, fetch or the children of a parent carry whole is, canonically, the listing's.

    Nothing may change meanwhile; feeds and changes are read from `since` on. Reading everything again emits nothing.
    """
    reader = Reader(driver, collections)
    await reader.begin()
    await reader.backfill()
    _need_equal(reader, truth, "read once, the copy is not what the provider holds")
    before = reader.copy.emitted
    await reader.backfill()
    need(reader.copy.emitted == before, f"reading everything again emitted {reader.copy.emitted - before} records")
    for feed in driver.provider.feeds:
        _are_quiet(reader, f"the feed {feed.name}", await reader.feed_pages(feed, since))
    for collection_id in reader.collections:
        changed = await reader.changes_pages(reader.collection(collection_id), since)
        _are_quiet(reader, f"the changes of {collection_id}", changed)
        await _fetch_is_quiet(reader, collection_id)
        await _probe_is_quiet(reader, collection_id)
        await _children_are_quiet(reader, collection_id)


def _are_quiet(reader: Reader, name: str, pages: Sequence[Page]) -> None:
    """The latest record of each that the pages carry is the one held."""
    latest: dict[tuple[str, str], Record] = {}
    for page in pages:
        for item in page.items:
            if isinstance(item, Record) and item.collection in reader.collections:
                known = latest.get((item.collection, item.id))
                if known is None or item.as_of > known.as_of:
                    latest[item.collection, item.id] = item
    for record in latest.values():
        _need_same(reader, record, name)


async def _fetch_is_quiet(reader: Reader, collection_id: str) -> None:
    if reader.collection(collection_id).fetch is None:
        return
    for record_id in reader.copy.alive(collection_id):
        held = reader.copy.held[collection_id, record_id]
        first = (await reader.fetch(Mention(collection_id, record_id, held.order[1], held.parent)))[0]
        if not isinstance(first, Record):
            raise Broken(f"fetch says that {collection_id} {record_id} is gone; the listing has it")
        _need_same(reader, first, "fetch")


async def _probe_is_quiet(reader: Reader, collection_id: str) -> None:
    if reader.collection(collection_id).probe is None:
        return
    for record_id in reader.copy.alive(collection_id):
        said = await reader.probe(collection_id, record_id)
        need(not said, f"a probe says that {collection_id} {record_id} is gone; the listing has it")


async def _children_are_quiet(reader: Reader, collection_id: str) -> None:
    children = reader.collection(collection_id).children
    if children is None or children.page is None:
        return
    for parent_id, raw in reader.copy.alive(children.parent).items():
        parent = Record(children.parent, parent_id, raw, reader.copy.held[children.parent, parent_id].order[1])
        for item in await reader.children(collection_id, parent):
            if isinstance(item, Record):
                _need_same(reader, item, f"the children of {parent_id}")


def _need_same(reader: Reader, record: Record, reading: str) -> None:
    held = reader.copy.alive(record.collection).get(record.id)
    if held is None:
        raise Broken(f"{reading} has {record.collection} {record.id}; the listing has not")
    canon = reader.collection(record.collection).canon
    if canonical(held, canon) != canonical(record.raw, canon):
        mine, other = orjson.loads(held), orjson.loads(record.raw)
        fields = sorted(name for name in {**mine, **other} if mine.get(name) != other.get(name))
        raise Broken(f"{record.collection} {record.id} differs through {reading} in {fields}")


async def resumable(driver: Driver, truth: Truth, collections: Sequence[str]) -> None:
    """What was read before a crash at any page, and what its cursor then leads to, are everything.

    A page depends on window and cursor alone, so it is enough that each page, asked for again with its cursor gone
    through JSON, is the same page, and that what the next one of this second reading leads to is the rest; nothing may
    change meanwhile. (That next one may be spelled otherwise: some providers begin a list by making a cursor.)
    """
    reader = Reader(driver, collections)
    for listing, carried, partitions in reader.listings():
        for partition in await driver.partitions(partitions):
            await _resume_at_every_page(reader, listing, carried, partition)
    _need_equal(reader, truth, "resumed at every page, the copy is not what the provider holds")


async def _resume_at_every_page(
    reader: Reader, listing: Listing, carried: Sequence[str], partition: str | None
) -> None:
    cursor = None
    while True:
        page = await reader.driver.page(listing.page, carried, EVERYTHING, cursor, partition)
        again = await reader.driver.page(listing.page, carried, EVERYTHING, cursor, partition)
        same = _said(reader, again) == _said(reader, page) and (again.next is None) == (page.next is None)
        need(same, f"the page at {cursor!r} is another when it is asked for again")
        await reader.take(page.items)
        if again.next is None:
            return
        cursor = orjson.loads(orjson.dumps(again.next))


def _said(reader: Reader, page: Page) -> list[tuple[str, str, str]]:
    records = [item for item in page.items if isinstance(item, Record)]
    return [
        (each.collection, each.id, canonical(each.raw, reader.collection(each.collection).canon)) for each in records
    ]


async def converges(
    driver: Driver,
    truth: Truth,
    collections: Sequence[str],
    disturb: Between,
    *,
    rest: Callable[[], Awaitable[None]] | None = None,
) -> Copy:
    """Read while `disturb` changes the account between pages; then it rests, and feeds, changes and, where nothing
    tells of deletes, a sweep catch up: the copy equals the account. `rest` waits until late events are to be seen."""
    await driver.verify()
    since = second_before(driver.now())
    reader = Reader(driver, collections)
    await reader.begin()
    await reader.backfill(disturb)
    if rest is not None:
        await rest()
    await reader.catch_up(since)
    _need_equal(reader, truth, "caught up, the copy is not what the provider holds")
    return reader.copy


async def converges_alive(
    server: ProviderServer, driver: Driver, truth: Truth, collections: Sequence[str], *, per_answer: int = 1
) -> Copy:
    """`converges`, the server's mutator making so many changes before each answer while everything is read first."""
    mutator = server.mutator
    if mutator is None:
        raise ValueError("this server has no mutator: nothing changes by itself")

    async def rest() -> None:
        mutator.per_answer = 0
        for kind in ("insert_while_paging", "update_while_paging", "delete_while_paging"):
            server.faults.clear(kind)

    mutator.per_answer = per_answer
    return await converges(driver, truth, collections, nothing, rest=rest)


async def in_order(driver: Driver, truth: Truth, collections: Sequence[str], change: Between) -> None:
    """Whichever way the pages of feeds, changes and lists of deletions are taken in, the latest state of each record is
    what remains: of those of the collections whose changes they tell completely."""
    await driver.verify()
    since = second_before(driver.now())
    told = [each for each in collections if Reader(driver, collections).told(each)]
    readers = [Reader(driver, told), Reader(driver, told)]
    for reader in readers:
        await reader.begin()
        await reader.backfill()
    change()
    for reader in readers:
        await reader.read_changes(since, backwards=reader is readers[1])
        way = "backwards" if reader is readers[1] else "as they came"
        _need_equal(reader, truth, f"with the pages of changes taken in {way}, the copy is not what the provider holds")


async def no_phantom_delete(
    driver: Driver, truth: Truth, collections: Sequence[str], between: Between = nothing
) -> None:
    """A sweep takes away nothing that the provider still holds, whatever its pages miss and whatever changes meanwhile
    (`between` runs between pages; it may delete too)."""
    reader = Reader(driver, collections)
    await reader.backfill()
    removed = await reader.sweep(reader.collections, between)
    for collection_id in reader.collections:
        there = {record_id for record_id, _ in truth(collection_id)}
        wrong = sorted(key for collection, key in removed if collection == collection_id and key in there)
        need(not wrong, f"the sweep took away {len(wrong)} of {collection_id} that are there: {wrong[:5]}")


def polite(log: RequestLog, allowed: int, window_s: float, path: str = "*") -> None:
    """No window of `window_s` less a quarter of a second held more than `allowed` requests, counted where they arrive,
    and the provider refused less than one in a hundred."""
    most = log.most_in(window_s - _BLOCK_S, path)
    need(most <= allowed, f"{most} requests within {window_s - _BLOCK_S} s; {allowed} are allowed")
    asked = log.find(path)
    refused = sum(entry.refused for entry in asked)
    need(refused <= len(asked) * _REFUSED_SHARE, f"{refused} of {len(asked)} requests were refused as too many")
