"""What each sync did of late, for people who look: figures by the minute, and its log.

A process counts in memory and adds what it has counted every few seconds; what it had not added when it was killed is
missing from a chart, and from nothing else. The log of a sync is what this process logged about it (`headrace.log`),
kept where the console finds it.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from headrace.clock import Clock
from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.ids import parse_uuid, uuid7
from headrace.providers.kit import Fault
from headrace.stream.consumers import tally
from headrace.stream.items import Appended

SQL = load(__package__, "activity.sql")
_ADD_MINUTES, _ADD_LINES = SQL.add_minutes, SQL.add_lines
_MINUTES, _LINES = SQL.minutes, SQL.lines
_FORGET_MINUTES, _FORGET_LINES = SQL.forget_minutes, SQL.forget_lines

FIGURES = ("requests", "refused", "failed", "created", "updated", "deleted", "unchanged")
MINUTES_KEPT = timedelta(hours=3)
LINES_KEPT = timedelta(days=7)
LEVELS = ("info", "warning", "error", "critical")
_MOST_LINES = 2_000
_MOST_LINES_OF_ONE = 100
_LONGEST_FIELDS = 4_000


@dataclass(frozen=True, slots=True)
class Minute:
    """What one sync did in one minute; the fields are as in `sync_minutes`."""

    minute: datetime
    requests: int
    refused: int
    failed: int
    created: int
    updated: int
    deleted: int
    unchanged: int

    @property
    def changes(self) -> int:
        return self.created + self.updated + self.deleted


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a sync's log."""

    id: UUID
    at: datetime
    level: str
    event: str
    fields: Mapping[str, Any]


class Activity:
    """What this process counted and heard, and has not written yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minutes: defaultdict[tuple[UUID, datetime], Counter[str]] = defaultdict(Counter)
        self._lines: deque[tuple[UUID, Line]] = deque(maxlen=_MOST_LINES)
        self._heard_at = clock.now()

    def tried(self, sync_id: UUID, fault: Fault | None) -> None:
        """A request for the sync was answered, well or not."""
        figures = self._now(sync_id)
        figures["requests"] += 1
        if fault is not None:
            figures["refused" if fault.kind in ("rate", "quota") else "failed"] += 1

    def stored(self, sync_id: UUID, appended: Appended) -> None:
        """An append of the sync is committed."""
        figures = self._now(sync_id)
        for name in ("created", "updated", "deleted", "unchanged"):
            figures[name] += getattr(appended, name)

    def heard(self, event: MutableMapping[str, Any]) -> None:
        """A line was logged; it is kept if it is about a sync."""
        sync_id = parse_uuid(str(event.get("sync_id")))
        level = str(event.get("level"))
        if sync_id is None or level not in LEVELS:
            return
        left_out = ("sync_id", "level", "event", "at", "exc_info")
        fields = {key: value for key, value in event.items() if key not in left_out and value is not None}
        self._heard_at = max(self._clock.now(), self._heard_at + timedelta(microseconds=1))
        self._lines.append((sync_id, Line(uuid7(), self._heard_at, level, str(event.get("event")), fields)))

    async def write(self, db: Database, streams: Mapping[UUID, UUID]) -> None:
        """Add what was counted and heard of the syncs in `streams` (sync → stream); the rest is dropped. What could not
        be written for the database being away is tried again with the next call; a figure may then count twice."""
        minutes, self._minutes = self._minutes, defaultdict(Counter)
        lines, self._lines = self._lines, deque(maxlen=_MOST_LINES)
        try:
            for stream_id, counted in _by_stream(minutes.items(), streams, lambda item: item[0][0]).items():
                columns = [[figures[name] for _, figures in counted] for name in FIGURES]
                keys = [key for key, _ in counted]
                await db.api.execute(
                    _ADD_MINUTES, stream_id, [key[0] for key in keys], [key[1] for key in keys], *columns
                )
            minutes = defaultdict(Counter)
            for stream_id, heard in _by_stream(_fewer(lines), streams, lambda item: item[0]).items():
                await db.api.execute(_ADD_LINES, stream_id, *zip(*map(_row, heard), strict=True))
        except Exception:
            for key, figures in minutes.items():
                self._minutes[key] += figures
            self._lines.extendleft(reversed(lines))
            raise

    def _now(self, sync_id: UUID) -> Counter[str]:
        return self._minutes[sync_id, self._clock.now().replace(second=0, microsecond=0)]


async def forget_old(db: Database, stream_id: UUID, now: datetime) -> None:
    """Remove what is older than it is kept."""
    await db.api.execute(_FORGET_MINUTES, stream_id, now - MINUTES_KEPT)
    await db.api.execute(_FORGET_LINES, stream_id, now - LINES_KEPT)
    await tally.forget_old(db, stream_id, now - MINUTES_KEPT)


async def minutes(
    conn: Conn, stream_ids: Sequence[UUID], sync_ids: Sequence[UUID], since: datetime
) -> dict[UUID, list[Minute]]:
    """By sync, the oldest first; a minute in which a sync did nothing has none."""
    found: dict[UUID, list[Minute]] = defaultdict(list)
    for row in await conn.fetch(_MINUTES, stream_ids, sync_ids, since.replace(second=0, microsecond=0)):
        found[row["sync_id"]].append(Minute(row["minute"], *(row[name] for name in FIGURES)))
    return found


async def lines(conn: Conn, stream_id: UUID, sync_id: UUID, limit: int, levels: Sequence[str] = LEVELS) -> list[Line]:
    """The latest of a sync's log, the newest first."""
    rows = await conn.fetch(_LINES, stream_id, sync_id, levels, limit)
    return [Line(row["id"], row["at"], row["level"], row["event"], orjson.loads(row["fields"])) for row in rows]


def _by_stream(
    items: Iterable[Any], streams: Mapping[UUID, UUID], sync_of: Callable[[Any], UUID]
) -> dict[UUID, list[Any]]:
    found: defaultdict[UUID, list[Any]] = defaultdict(list)
    for item in items:
        if sync_of(item) in streams:
            found[streams[sync_of(item)]].append(item)
    return found


def _fewer(heard: Iterable[tuple[UUID, Line]]) -> list[tuple[UUID, Line]]:
    """At most so many of one sync: the latest of a flood are as good as all."""
    kept: Counter[UUID] = Counter()
    latest: list[tuple[UUID, Line]] = []
    for sync_id, line in reversed(list(heard)):
        kept[sync_id] += 1
        if kept[sync_id] <= _MOST_LINES_OF_ONE:
            latest.append((sync_id, line))
    return latest[::-1]


def _row(heard: tuple[UUID, Line]) -> tuple[UUID, UUID, datetime, str, str, str]:
    sync_id, line = heard
    fields = orjson.dumps(line.fields, default=str, option=orjson.OPT_NON_STR_KEYS)
    if len(fields) > _LONGEST_FIELDS:
        fields = orjson.dumps({"cut": f"{len(fields)} bytes of fields"})
    return sync_id, line.id, line.at, line.level, line.event, fields.decode()
