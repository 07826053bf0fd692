"""A provider and its collections, as data."""

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from headrace.errors import ImplementationError
from headrace.http import Request, Response
from headrace.providers.kit.faults import Fault
from headrace.providers.kit.limits import LimitPolicy
from headrace.providers.kit.readings import (
    ChangedSince,
    Children,
    Context,
    Cursor,
    Deleted,
    Feed,
    Fetch,
    Hook,
    Listing,
    Partitions,
    Probe,
    Write,
)
from headrace.stream.items import Canon
from headrace.vault.kinds import CredentialKind


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection.

    `listing` leads to everything that there is, in one of two ways: of its own, or, for an *embedded* collection
    (`children` with a parent and no page function), inside the parent's: the parent's listing, fetch and feed make the
    items of its embedded collections too, so that reading the parent is reading them. Every other collection has a
    listing of its own; that of children per parent is made by `pagers.nested`.

    `children` says whose children the records are. Where it has a page function, and no feed covers the collection,
    the children of a parent are read again when the parent has changed.

    `changes` are the readings of its own beside the provider's feeds; none, no feed and no parent means full comparison
    by sweep. `deletes` tells how a delete is found: by the `feed`, by a `Deleted` list, by `flag` in the same reading,
    with the `parent` (a ChildSet), by `sweep` only, or `never` (the provider deletes nothing). `fetch` is needed where
    readings mention records without carrying their canonical shape, and to confirm a sweep's candidates; `probe` does
    the latter alone. Where there is neither, two whole passes decide. `schema` is the JSON Schema of the record's data.
    `notice` says in plain words what this account's collection lacks of what the provider could give (a permission for
    its log), and how it is read instead: health tells it.
    """

    id: str
    name: str
    listing: Listing | None = None
    children: Children | None = None
    changes: tuple[ChangedSince, ...] = ()
    deleted: Deleted | None = None
    deletes: Literal["feed", "list", "flag", "parent", "sweep", "never"] = "sweep"
    fetch: Fetch | None = None
    probe: Probe | None = None
    partitions: Partitions | None = None
    write: Write | None = None
    canon: Canon = field(default_factory=Canon)
    schema: Callable[[], Mapping[str, Any]] = dict
    sweep_every: timedelta | None = None
    """None: 6 h without a delete feed, weekly with one."""
    age: Literal["updated", "created"] = "created"
    """The time by which a record's age is told where its own updated time is missing."""
    notice: str = ""

    def __post_init__(self) -> None:
        if self.embedded == (self.listing is not None):
            raise ImplementationError(
                f"collection {self.id} must either have a listing or be embedded in its parent's "
                "(children=Children(parent)), and not both"
            )

    @property
    def embedded(self) -> bool:
        """Its records come along inside the parent's, through every reading of the parent."""
        return self.children is not None and self.children.page is None


@dataclass(frozen=True, slots=True)
class Found:
    """A collection that an account was found to have, or a fixed one with the account's own fields.

    `scope` and `upstream_id` are its identity at the provider (a base and a table). `collection_id` is None where the
    provider gives no lasting name: then an id is made at random once and kept. `upstream` is what the provider tells of
    it, as much as `Discovery.collection` needs to make the Collection again.
    """

    scope: str
    upstream_id: str
    name: str
    schema: Mapping[str, Any]
    upstream: Mapping[str, Any]
    collection_id: str | None = None


Discovered = Generator[Request, Response, tuple[list[Found], Cursor | None]]


@dataclass(frozen=True, slots=True)
class Discovery:
    """Collections that are an account's own (tables, custom objects).

    `page` reads one page of them. `collection(id, found)` makes the Collection anew whenever it is needed. `feeds`
    makes the feeds that cover collections found (a feed of each base) from those that a sync wants, by id.
    """

    page: Callable[[Context, Cursor | None], Discovered]
    collection: Callable[[str, Found], Collection]
    feeds: Callable[[Mapping[str, Found]], tuple[Feed, ...]] = lambda wanted: ()


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider: everything that Headrace knows of it, and no I/O.

    `base_url(properties)` is where requests go; `hosts` are patterns of the hosts that a request, redirect or next link
    may name. `prepare` puts in what every request carries (a pinned version header). `fault(response)` classifies an
    answer that is no success, also one with status 200; None means a success.
    """

    slug: str
    name: str
    base_url: Callable[[Mapping[str, Any]], str]
    hosts: tuple[str, ...]
    kinds: tuple[CredentialKind, ...]
    limits: LimitPolicy
    collections: tuple[Collection, ...]
    fault: Callable[[Response], Fault | None]
    feeds: tuple[Feed, ...] = ()
    hook: Hook | None = None
    prepare: Callable[[Request], Request] = lambda request: request
    discovery: Discovery | None = None
    default_rate_limit: Callable[[str], tuple[int, int]] = lambda mode: (600, 60)
    """mode (`live`/`test`) → (allowed_requests, interval seconds) of a sync that sets none."""
    _by_id: dict[str, Collection] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for collection in self.collections:
            if not collection.id.startswith(f"{self.slug}:"):
                raise ImplementationError(f"collection {collection.id} must begin with '{self.slug}:'")
            if collection.id in self._by_id:
                raise ImplementationError(f"collection {collection.id} is declared twice")
            self._by_id[collection.id] = collection
        for collection in self.collections:
            if collection.children is not None and collection.children.parent not in self._by_id:
                raise ImplementationError(f"the parent {collection.children.parent} of {collection.id} is not declared")
        for feed in self.feeds:
            if strangers := feed.covers - self._by_id.keys():
                raise ImplementationError(f"the feed {feed.name} covers {sorted(strangers)}, which are not declared")

    def collection(self, collection_id: str) -> Collection | None:
        return self._by_id.get(collection_id)

    def of_account(self, found: Mapping[str, Found]) -> "Provider":
        """This provider as one account has it: with the collections that it was found to have, by id, in place of
        fixed ones with the same id, and with the feeds that cover them."""
        if self.discovery is None or not found:
            return self
        own = {key: self.discovery.collection(key, each) for key, each in found.items()}
        for key, collection in own.items():
            if collection.id != key:
                raise ImplementationError(f"the collection made for {key} calls itself {collection.id}")
        fixed = (collection for collection in self.collections if collection.id not in own)
        feeds = (*self.feeds, *self.discovery.feeds(found))
        return replace(self, collections=(*fixed, *own.values()), feeds=feeds, _by_id={})

    def feeds_of(self, collection_id: str) -> tuple[Feed, ...]:
        return tuple(feed for feed in self.feeds if collection_id in feed.covers)

    def reads(self, wanted: Iterable[str]) -> frozenset[str]:
        """`wanted` and the parents above: the collections whose items the readings must make (`Context.collections`),
        so that the wanted ones can be read. What is read of a parent that is not wanted itself is not stored."""
        reads: set[str] = set()
        for collection_id in wanted:
            step: str | None = collection_id
            while step is not None and step not in reads:
                reads.add(step)
                found = self._by_id.get(step)
                step = found.children.parent if found and found.children else None
        return frozenset(reads)

    def embedded_in(self, collection_id: str) -> tuple[Collection, ...]:
        """The collections whose records come along inside this one's."""
        return tuple(
            c for c in self.collections if c.embedded and c.children is not None and c.children.parent == collection_id
        )
