"""A provider and its collections, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from headrace.http import Request, Response
from headrace.providers.kit.limits import LimitPolicy
from headrace.providers.kit.readings import (
    ChangedSince,
    Children,
    Context,
    Deleted,
    Feed,
    Fetch,
    Hook,
    Listing,
    Partitions,
    Steps,
    Write,
)
from headrace.stream.items import Canon
from headrace.vault.kinds import CredentialKind

FaultClass = Literal[
    "auth", "permission", "gone", "rate", "quota", "transient", "split", "restart", "expired", "config", "bad"
]
"""What one does about an answer that is no success:

`auth` refresh the token once, then `error` · `permission` a person must grant it · `gone` this record or child is not
there · `rate`, `quota` wait · `transient` try again with back-off · `split` ask for a smaller window · `restart` the
page cursor died: read this window from its start · `expired` the feed no longer reaches back so far: fresh backfill
with sweep · `config` a person must put it right · `bad` this one record or child is set aside."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that is no success. `message` is the provider's own words, with secrets taken out by the engine."""

    kind: FaultClass
    message: str


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection.

    Exactly one of `listing` or `children` leads to everything that there is; a collection with `children` is backfilled
    and swept along with its parents' listing, and may have a `listing` of its own as well. `embedded` says that its
    records come along inside the parent's, so that reading the parent is reading it.

    `changes` are the readings of its own beside the provider's feeds; none and no feed means full comparison by sweep.
    `deletes` tells how a delete is found: by the `feed`, by a `Deleted` list, by `flag` in the same reading, by `sweep`
    only, or `never` (the provider deletes nothing). `fetch` is needed where readings mention records without carrying
    their canonical shape, and to confirm a sweep's candidates. `schema` is the JSON Schema of the record's data.
    """

    id: str
    name: str
    listing: Listing | None = None
    children: Children | None = None
    embedded: bool = False
    changes: tuple[ChangedSince, ...] = ()
    deleted: Deleted | None = None
    deletes: Literal["feed", "list", "flag", "sweep", "never"] = "sweep"
    fetch: Fetch | None = None
    partitions: Partitions | None = None
    write: Write | None = None
    canon: Canon = Canon()
    schema: Callable[[], Mapping[str, Any]] = dict
    sweep_every: timedelta | None = None
    """None: 6 h without a delete feed, weekly with one."""
    age: Literal["updated", "created"] = "created"
    """The time by which a record's age is told where its own updated time is missing."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """Collections that are an account's own (tables, custom objects): a page of found collections."""

    page: Callable[[Context, dict[str, Any] | None], Steps]
    collection: Callable[[str, Mapping[str, Any]], Collection]
    """(collection id, what was found) → the Collection, made anew whenever it is needed."""


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
                raise ValueError(f"Implementation error: collection {collection.id} must begin with '{self.slug}:'")
            if collection.id in self._by_id:
                raise ValueError(f"Implementation error: collection {collection.id} is declared twice")
            self._by_id[collection.id] = collection

    def collection(self, collection_id: str) -> Collection | None:
        return self._by_id.get(collection_id)

    def feeds_of(self, collection_id: str) -> tuple[Feed, ...]:
        return tuple(feed for feed in self.feeds if collection_id in feed.covers)
