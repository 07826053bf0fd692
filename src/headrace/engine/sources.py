"""The readings of changes that a sync needs, whichever type of the kit declares them, as one value each."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from headrace.providers.kit import ChangedSince, Collection, Feed, PageFunction, Partitions, Provider

HALF_SECOND = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class TimeSource:
    """A reading of changes by windows of time.

    `scope` names its checkpoints. `covers` are the collections that it keeps up to date. `seen_changing`: what it gives
    has changed in the window (a window of births gives whatever was born then). `lookback`: the span before the present
    that the settled re-read covers anew each `every`. `retention` None: it reaches back for ever. `leads`: it is
    the first of its collection, and looks out for new partitions.
    """

    scope: str
    covers: frozenset[str]
    page: PageFunction
    resolution: timedelta
    settle: timedelta
    least: timedelta
    retention: timedelta | None = None
    cap: int | None = None
    floor: timedelta = timedelta(seconds=1)
    lookback: timedelta | None = None
    every: timedelta | None = None
    seen_changing: bool = True
    partitions: Partitions | None = None
    collection_id: str | None = None
    leads: bool = False

    @property
    def settled_every(self) -> timedelta:
        """How far the settled horizon may fall behind the moment that can be settled."""
        return self.every if self.every is not None else max(self.settle / 2, timedelta(seconds=5))


@dataclass(frozen=True, slots=True)
class TokenSource:
    """A feed whose place is told by the provider's own cursor."""

    scope: str
    covers: frozenset[str]
    feed: Feed


def sources_of(provider: Provider, wanted: Iterable[str]) -> list[TimeSource | TokenSource]:
    """The readings of changes that keep the wanted collections up to date, those of their parents included.

    Those of single collections take turns, so that all of them together ask no more often than a feed would.
    """
    reads = provider.reads(wanted)
    found: list[TimeSource | TokenSource] = []
    for feed in provider.feeds:
        covers = feed.covers & reads
        if covers:
            covers |= embedded_below(provider, covers) & reads
            found.append(_of_feed(feed, covers))
    for collection_id in sorted(reads):
        collection = provider.collection(collection_id)
        if collection is not None:
            covers = frozenset({collection_id}) | _followers(provider, collection_id, reads)
            found += [_of_changes(collection, n, changes, covers) for n, changes in enumerate(collection.changes)]
            if collection.deleted is not None:
                found.append(_of_deleted(collection))
    apart = sum(isinstance(source, TimeSource) and source.collection_id is not None for source in found)
    return [
        replace(source, least=max(source.least, HALF_SECOND * apart))
        if isinstance(source, TimeSource) and source.collection_id is not None
        else source
        for source in found
    ]


def feed_scope(name: str) -> str:
    return f"feed:{name}"


def embedded_below(provider: Provider, ids: Iterable[str]) -> frozenset[str]:
    """The collections that come along inside these, and inside those, and so on."""
    found: set[str] = set()
    steps = list(ids)
    while steps:
        for child in provider.embedded_in(steps.pop()):
            if child.id not in found:
                found.add(child.id)
                steps.append(child.id)
    return frozenset(found)


def _followers(provider: Provider, collection_id: str, reads: frozenset[str]) -> frozenset[str]:
    """What is kept up to date by reading this collection: what is embedded in it."""
    return embedded_below(provider, [collection_id]) & reads


def _of_feed(feed: Feed, covers: frozenset[str]) -> TimeSource | TokenSource:
    if feed.position == "token":
        return TokenSource(feed_scope(feed.name), covers, feed)
    return TimeSource(
        scope=feed_scope(feed.name),
        covers=covers,
        page=feed.page,
        resolution=feed.resolution,
        settle=feed.settle,
        least=feed.every,
        retention=feed.retention,
    )


def _of_changes(collection: Collection, number: int, changes: ChangedSince, covers: frozenset[str]) -> TimeSource:
    return TimeSource(
        scope=collection.id if number == 0 else f"{collection.id}#{number}",
        covers=covers,
        page=changes.page,
        resolution=changes.resolution,
        settle=changes.settle,
        least=changes.least,
        cap=changes.cap,
        floor=changes.floor,
        lookback=changes.lookback,
        every=changes.every if changes.lookback is not None else None,
        seen_changing=changes.field == "updated",
        partitions=collection.partitions,
        collection_id=collection.id,
        leads=number == 0,
    )


def _of_deleted(collection: Collection) -> TimeSource:
    assert collection.deleted is not None
    deleted = collection.deleted
    return TimeSource(
        scope=f"{collection.id}#deleted",
        covers=frozenset({collection.id}),
        page=deleted.page,
        resolution=timedelta(seconds=1),
        settle=deleted.settle,
        least=deleted.every,
        retention=deleted.retention,
        partitions=collection.partitions,
        collection_id=collection.id,
    )
