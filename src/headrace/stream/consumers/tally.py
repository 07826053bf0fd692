"""How much each consumer was given and acked, by the minute: for people who look, and for nothing else.

A process counts in memory; `write` adds what it has counted. What a killed process had not written is missing from a
chart.
"""

from collections import Counter, defaultdict
from datetime import datetime
from uuid import UUID

from headrace.clock import Clock
from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.stream.consumers.storage import Key

_SQL = load(__package__, "tally.sql")
_ADD, _MINUTES, _FORGET = _SQL.add, _SQL.minutes, _SQL.forget


class Tally:
    """What this process counted and has not written yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counted: defaultdict[tuple[Key, datetime], Counter[str]] = defaultdict(Counter)

    def delivered(self, key: Key, messages: int) -> None:
        if messages:
            self._now(key)["delivered"] += messages

    def acked(self, key: Key, tokens: int) -> None:
        """Of tokens, each once, though one that stood no more counts as well."""
        self._now(key)["acked"] += tokens

    async def write(self, db: Database) -> None:
        """Add what was counted. After an error of the database it is kept for the next call, and may count twice."""
        counted, self._counted = self._counted, defaultdict(Counter)
        streams: defaultdict[UUID, list[tuple[UUID, datetime, int, int]]] = defaultdict(list)
        for (key, minute), figures in counted.items():
            streams[key.stream_id].append((key.consumer_id, minute, figures["delivered"], figures["acked"]))
        try:
            for stream_id, rows in streams.items():
                await db.api.execute(_ADD, stream_id, *map(list, zip(*rows, strict=True)))
        except Exception:
            for place, figures in counted.items():
                self._counted[place] += figures
            raise

    def _now(self, key: Key) -> Counter[str]:
        return self._counted[key, self._clock.now().replace(second=0, microsecond=0)]


async def minutes(conn: Conn, key: Key, since: datetime) -> dict[datetime, tuple[int, int]]:
    """(delivered, acked) by minute, the oldest first; a minute without either has none."""
    rows = await conn.fetch(_MINUTES, key.stream_id, key.consumer_id, since.replace(second=0, microsecond=0))
    return {row["minute"]: (row["delivered"], row["acked"]) for row in rows}


async def forget_old(db: Database, stream_id: UUID, before: datetime) -> None:
    await db.api.execute(_FORGET, stream_id, before)
