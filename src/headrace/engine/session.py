"""What the readings of one sync share while one worker holds it under one fence."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from headrace.control.syncs import Sync
from headrace.db.queries import load
from headrace.engine import metrics
from headrace.engine.access import Access
from headrace.engine.ingest import Ingest, Load
from headrace.engine.pace import Priority
from headrace.engine.services import EngineServices
from headrace.engine.transport import ReadFailed
from headrace.engine.waits import Waits, Withdrawn
from headrace.errors import ImplementationError
from headrace.http import Request, Response
from headrace.providers.kit import (
    EVERYTHING,
    Collection,
    Context,
    Cursor,
    Page,
    PageFunction,
    Partitions,
    Steps,
    Window,
)
from headrace.stream.items import Appended, Canon, CheckpointWrite, Fence

R = TypeVar("R")

SQL = load(__package__, "catch.sql")
HELD = SQL.held_collections

SPARE_SLICES = 12
"""How many slices of backfills a sync reads at once beside the first of each collection."""


class Stopped(Exception):
    """The sync was disabled or let go: what was read is stored, and no further request begins."""


@dataclass(slots=True)
class Room:
    """Places that are taken and given back."""

    free: int

    def take(self) -> bool:
        if self.free <= 0:
            return False
        self.free -= 1
        return True

    def give(self) -> None:
        self.free += 1


@dataclass(frozen=True, slots=True)
class Held:
    """So many deletes of a collection of which so many records were held are waiting for a person's word."""

    sweep_id: UUID
    deletes: int
    of: int


@dataclass(slots=True)
class Session:
    """One sync, held: its configuration, the credential, the writer, and what the readings tell one another.

    `sync` is replaced when a PATCH changes what needs no new fence (pace, frequency, status). `proceed()` tells whether
    a request may begin. `establish(ids)` makes sure that the position of every reading of changes of these collections
    is stored.
    """

    services: EngineServices
    sync: Sync
    fence: Fence
    access: Access
    proceed: Callable[[], bool]
    wake: Callable[[], None] = lambda: None
    """Called when a reading has become due that was not: the runner looks again."""
    establish: Callable[[Iterable[str]], Awaitable[None]] = field(init=False)
    ingest: Ingest = field(init=False)
    waits: Waits = field(init=False)
    """What its requests wait for before they are sent; `waits.end()` when `proceed` says no from now on."""
    wanted: frozenset[str] = field(init=False)
    missing: frozenset[str] = field(init=False)
    """Collections of the sync that the account was not found to have, or the connector not to know."""
    reads: frozenset[str] = field(init=False)
    answered_at: datetime | None = None
    """When the provider last answered as it should."""
    establishing: asyncio.Lock = field(default_factory=asyncio.Lock)
    completed_at: dict[str, datetime | None] = field(default_factory=dict)
    """When each wanted collection was last backfilled to the end."""
    spare: Room = field(default_factory=lambda: Room(SPARE_SLICES))
    unread: set[str] = field(default_factory=set)
    """Wanted collections that no backfill has completed yet."""
    purged: frozenset[str] = frozenset()
    """Wanted collections that were emptied and wait for a backfill to be asked for: only what changes is stored."""
    uncovered: frozenset[str] = frozenset()
    """Wanted collections that no reading of changes covers: a sweep is their only reading after the backfill."""
    changed_at: datetime | None = None
    held: dict[str, Held] = field(default_factory=dict)
    """Deletes that the safety catch holds back, by collection."""
    aside_at: datetime | None = None
    """When something that was set aside is due to be tried again."""
    partitions: dict[Partitions, tuple[datetime, list[str | None]]] = field(default_factory=dict)
    """The partitions as they were last read, and when."""
    refused: dict[str, dict[str, str]] = field(default_factory=dict)
    """Partitions that the provider lists and refuses, by collection, with the reason: they are left out."""
    refused_until: datetime | None = None
    """When the first of them is tried again."""
    windowless: set[str] = field(default_factory=set)
    """What is read whole since the provider refused a window of it: an emulator, an older server."""

    def __post_init__(self) -> None:
        provider = self.access.provider
        known = [found for found in map(provider.collection, self.sync.collection_ids) if found is not None]
        self.missing = frozenset(self.sync.collection_ids if self.access.may_read else ()) - {each.id for each in known}
        self.wanted = frozenset(collection.id for collection in known)
        self.reads = provider.reads(self.wanted)
        canons: dict[str, Canon] = {collection.id: collection.canon for collection in known}
        self.waits = Waits(self.proceed)
        self.ingest = Ingest(self.services.db, self.fence, canons, self.services.clock, self._stored, self.wake)

    def _stored(self, appended: Appended) -> None:
        metrics.count_appended(self.access.provider.slug, appended)
        self.services.activity.stored(self.fence.sync_id, appended)
        if appended.created or appended.updated or appended.deleted:
            self.changed_at = self.now()
            self.services.wakeups.appended(self.fence.stream_id)

    def collection(self, collection_id: str) -> Collection:
        found = self.access.provider.collection(collection_id)
        if found is None:
            raise ImplementationError(
                f"a reading of {self.access.provider.slug} gave an item of {collection_id}, which is not declared"
            )
        return found

    def now(self) -> datetime:
        """The present by the database's clock."""
        return self.services.clock.now()

    def provider_now(self) -> datetime:
        """The present by the provider's clock."""
        return self.services.transport.provider_now(self.access)

    def cutoff(self) -> datetime | None:
        """Records older than this (the provider's clock) are neither read nor stored; None: no age limit."""
        days = self.sync.max_age_days
        return None if days is None else self.provider_now() - timedelta(days=days)

    def context(self, reads: frozenset[str] | None = None, partition: str | None = None) -> Context:
        return Context(
            properties=self.access.public_properties(),
            now=self.provider_now(),
            collections=self.reads if reads is None else reads,
            partition=partition,
        )

    async def load_held(self) -> None:
        """Learn what the safety catch holds back."""
        rows = await self.services.db.ingest.fetch(HELD, self.fence.stream_id, self.fence.sync_id)
        self.held = {row["collection_id"]: Held(row["sweep_id"], row["count"], row["held"]) for row in rows}

    async def run(self, steps: Generator[Request, Response, R], priority: Priority) -> R:
        """What the steps return. Raises Stopped when no request may begin, ReadFailed when it cannot be had."""
        if not self.proceed():
            raise Stopped
        try:
            result = await self.services.transport.run(self.access, self.sync, steps, priority, waits=self.waits)
        except Withdrawn:
            raise Stopped from None
        self.answered_at = self.now()
        return result

    async def read(self, steps: Steps, priority: Priority) -> Page:
        """One page; see `run`."""
        return await self.run(steps, priority)

    async def read_window(
        self,
        what: str,
        page: PageFunction,
        context: Context,
        window: Window,
        cursor: Cursor | None,
        priority: Priority,
    ) -> Page:
        """One page of a window of `what`; of everything where the provider refuses the window as a bad request, which
        costs requests and loses nothing. It is not tried again in this session."""
        if what not in self.windowless:
            try:
                return await self.read(page(context, window, cursor), priority)
            except ReadFailed as failed:
                if failed.fault.kind != "bad" or window == EVERYTHING:
                    raise
        found = await self.read(page(context, EVERYTHING, cursor), priority)
        self.windowless.add(what)
        return found

    async def pause(self, page: Page) -> None:
        """The wait that a page asks for before the next. Raises Stopped when no request may begin."""
        if page.wait:
            try:
                async with self.waits.wait():
                    await self.services.clock.sleep(page.wait.total_seconds())
            except Withdrawn:
                raise Stopped from None

    async def note(self, *writes: CheckpointWrite) -> None:
        """Store checkpoints that prove no record."""
        await self.ingest.store(Load(checkpoints=list(writes)))
