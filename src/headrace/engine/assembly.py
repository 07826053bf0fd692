"""The readings of a sync, put together from its configuration and its checkpoints."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from headrace.engine.aging import Aging
from headrace.engine.aside import Aside
from headrace.engine.backfill import Backfill, listed_in
from headrace.engine.changes import Changes
from headrace.engine.checkpoints import BackfillMark, Checkpoints, backfill_mark
from headrace.engine.discovery import Discovery
from headrace.engine.feed import TokenFeed
from headrace.engine.horizons import Gap, Horizons
from headrace.engine.intake import Intake
from headrace.engine.refused import Refused
from headrace.engine.schedule import Tempo
from headrace.engine.session import Session
from headrace.engine.settled import Settled
from headrace.engine.sources import TimeSource, sources_of
from headrace.engine.sweep import Sweep
from headrace.providers.kit import Provider


class Reading(Protocol):
    """What the runner schedules. It goes on from its checkpoint whenever it is stepped, by whichever process."""

    @property
    def reading(self) -> str: ...

    @property
    def scope(self) -> str: ...

    @property
    def upstream(self) -> bool:
        """Whether it asks anything of the provider."""

    @property
    def collections(self) -> frozenset[str]: ...

    def reload(self, checkpoints: Checkpoints) -> None:
        """Go back to what is stored: after a step that was cut short."""

    def due(self, tempo: Tempo) -> datetime | None:
        """When it wants to be stepped, by the database's clock; None: not until something changes."""

    async def step(self, tempo: Tempo) -> None:
        """Do what is due. Raises ReadFailed, Gap, Stopped, Fenced."""


class Assembly:
    """The readings of one sync under one fence. `sources` are those of changes."""

    def __init__(self, session: Session, checkpoints: Checkpoints) -> None:
        self.session = session
        self.intake = Intake(session)
        self.sources: list[Horizons | TokenFeed] = []
        self.readings: list[Reading] = []
        self.purged: list[str] = []
        self._marks = {key: backfill_mark(checkpoints, key) for key in sorted(session.wanted)}
        for key in session.wanted:
            row = checkpoints.get(("backfill", key))
            session.completed_at[key] = row.completed_at if row is not None else None
        session.purged = frozenset(key for key, mark in self._marks.items() if mark.state == "purged")
        session.unread = {key for key, completed in session.completed_at.items() if completed is None} | session.missing
        self.aside = Aside(session, self.intake)
        self.readings.append(Aging(session))
        if session.access.provider.discovery is not None:
            self.readings.append(Discovery(session))
            if not session.access.may_read:
                return
        self._add_changes(checkpoints)
        self._add_backfills(checkpoints)
        self._add_sweeps(checkpoints)
        self.readings += [self.aside, Refused(session, self.intake)]

    async def establish(self, ids: Iterable[str]) -> None:
        """Store the position of every reading of changes that these collections need, unless it is stored."""
        needed = self.session.access.provider.reads(ids)
        async with self.session.establishing:
            for source in self.sources:
                if source.covers & needed:
                    await source.establish()
        self.session.wake()  # from now on changes are read beside what asked for their position

    def unfollowed(self) -> Gap | None:
        """A source whose position nobody has fixed, although collections that it covers were read to their end: it is
        new in this release, or its collection was gone for a while. What changed since can only be read anew."""
        for source in self.sources:
            marks = [self._marks[key] for key in source.covers & self._marks.keys()]
            began = [mark.began for mark in marks if mark.state == "done" and mark.began is not None]
            if began and not source.established:
                return Gap(source.scope, min(began))
        return None

    def _add_changes(self, checkpoints: Checkpoints) -> None:
        session = self.session
        provider = session.access.provider
        for source in sources_of(provider, session.wanted):
            if isinstance(source, TimeSource):
                horizons = Horizons(session, source, checkpoints)
                self.sources.append(horizons)
                self.readings += [Changes(horizons, self.intake), Settled(horizons, self.intake)]
            else:
                feed = TokenFeed(session, self.intake, source, checkpoints)
                self.sources.append(feed)
                self.readings.append(feed)
        covered = frozenset().union(*(source.covers for source in self.sources))
        session.uncovered = frozenset(key for key in session.wanted if not _follows(provider, key, covered))

    def _add_backfills(self, checkpoints: Checkpoints) -> None:
        session, marks = self.session, self._marks
        riders: dict[str, list[str]] = defaultdict(list)
        for key in marks:
            above = listed_in(session.access.provider, key).id
            if above != key and above in marks and _rides(marks[key], marks[above], above, key):
                riders[above].append(key)
        riding = {key for group in riders.values() for key in group}
        for key, mark in marks.items():
            if mark.state == "purged":
                self.purged.append(key)
            elif mark.state != "done" and key not in riding:
                collection = session.collection(key)
                self.readings.append(Backfill(session, self.intake, collection, riders[key], checkpoints))

    def _add_sweeps(self, checkpoints: Checkpoints) -> None:
        session = self.session
        members: dict[str, list[str]] = defaultdict(list)
        for key, mark in self._marks.items():
            if mark.state != "purged":
                members[listed_in(session.access.provider, key).id].append(key)
        for source, ids in members.items():
            self.readings.append(Sweep(session, self.intake, session.collection(source), ids, checkpoints))


def _rides(mark: BackfillMark, carrier: BackfillMark, above: str, key: str) -> bool:
    """Whether an embedded collection is backfilled in its parent's listing: both are due for the same, or it is on its
    way there."""
    if mark.state == "reading":
        return carrier.state == "reading" and mark.along == above and key in carrier.carries
    return mark.state == carrier.state == "due" and mark.window == carrier.window


def _follows(provider: Provider, collection_id: str, covered: frozenset[str]) -> bool:
    """Whether some reading of changes leads to the collection, by itself or through its parents."""
    while collection_id not in covered:
        collection = provider.collection(collection_id)
        if collection is None or collection.children is None:
            return False
        collection_id = collection.children.parent
    return True
