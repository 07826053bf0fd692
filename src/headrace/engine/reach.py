"""How far the copy of each collection reaches, as its checkpoints prove it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.control.syncs import Sync
from headrace.engine.backfill import listed_in
from headrace.engine.checkpoints import (
    BackfillMark,
    Checkpoint,
    Checkpoints,
    HeadMark,
    SweepMark,
    TokenMark,
    backfill_mark,
)
from headrace.engine.sources import TimeSource, TokenSource, sources_of
from headrace.providers.kit import Provider


@dataclass(frozen=True, slots=True)
class Reach:
    """Of one collection.

    `read_at` is when the last finished read of its changes began (the database's clock), None before its backfill is
    complete. `settled_through` is the moment (the provider's clock) up to which the copy is known to be complete and
    final. `rows` are the checkpoints that it depends on; `sources` the readings of changes that lead to it.
    """

    backfill: BackfillMark
    completed_at: datetime | None
    read_at: datetime | None
    settled_through: datetime | None
    settle: timedelta
    sweep: SweepMark
    rows: list[Checkpoint]
    sources: list[TimeSource | TokenSource]


def reaches(provider: Provider, sync: Sync, checkpoints: Checkpoints) -> dict[str, Reach]:
    """Of each collection of the sync that the provider declares, in the sync's order."""
    wanted = [key for key in sync.collection_ids if provider.collection(key) is not None]
    sources = sources_of(provider, wanted)
    return {key: _reach(provider, key, sources, checkpoints) for key in wanted}


def _reach(
    provider: Provider, key: str, sources: Iterable[TimeSource | TokenSource], checkpoints: Checkpoints
) -> Reach:
    own = _leading_to(provider, key, list(sources))
    listing = listed_in(provider, key).id
    heads = [checkpoints.get(("changes", source.scope)) for source in own]
    settled = [
        checkpoints.get(("settled" if isinstance(source, TimeSource) else "changes", source.scope)) for source in own
    ]
    backfill, sweep = checkpoints.get(("backfill", key)), checkpoints.get(("sweep", listing))
    mark = backfill_mark(checkpoints, key)
    sweep_mark = SweepMark() if sweep is None else sweep.mark(SweepMark)
    completed_at = backfill.completed_at if backfill is not None else None
    read_at = through = None
    if backfill is not None and completed_at is not None:
        if own:
            read_at = _earliest(_read_at(source, row) for source, row in zip(own, heads, strict=True))
            through = _earliest(row.settled_through if row is not None else None for row in settled)
        else:
            read_at = _latest(backfill.started_at, sweep_mark.read_at)
            through = _latest(mark.began, sweep.settled_through if sweep is not None else None)
        if mark.state != "done" and mark.cause not in ("asked", "age"):
            through = mark.since
        if mark.state == "purged":
            read_at = through = None
    rows = [row for row in (backfill, sweep, *heads, *settled) if row is not None]
    settle = max((_settle(source) for source in own), default=timedelta(0))
    return Reach(mark, completed_at, read_at, through, settle, sweep_mark, rows, own)


def _leading_to(
    provider: Provider, key: str, sources: list[TimeSource | TokenSource]
) -> list[TimeSource | TokenSource]:
    """The sources that cover the collection, or else the nearest of its parents that one covers."""
    step: str | None = key
    while step is not None:
        found = [source for source in sources if step in source.covers]
        if found:
            return found
        collection = provider.collection(step)
        step = collection.children.parent if collection is not None and collection.children is not None else None
    return []


def _settle(source: TimeSource | TokenSource) -> timedelta:
    return source.settle if isinstance(source, TimeSource) else source.feed.settle


def _read_at(source: TimeSource | TokenSource, row: Checkpoint | None) -> datetime | None:
    if row is None:
        return None
    return row.mark(HeadMark).read_at if isinstance(source, TimeSource) else row.mark(TokenMark).read_at


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    """None as soon as one is not known."""
    known = list(moments)
    return None if None in known else min(moment for moment in known if moment is not None)


def _latest(*moments: datetime | None) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)
