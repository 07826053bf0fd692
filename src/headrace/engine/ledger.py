"""The ledger of limits: the rows of `limit_buckets`, read and written in short transactions, shared by all processes.

The arithmetic is `bucket.decide`; here the rows are locked in one order, handed to it, and stored. One transaction
answers a batch of asks of one process for one account.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg

from headrace.clock import from_unix
from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.engine.bucket import Ask, Bucket, BucketKey, Later, Slot, Word, decide

SQL = load(__package__, "ledger.sql")
LOCK_ROWS = SQL.lock_rows
LOCK_CLASS = SQL.lock_class
ADD_ROWS = SQL.add_rows
SAVE_ROWS = SQL.save_rows
BLOCK = SQL.block
BELIEVE = SQL.believe
FORGET_IDLE = SQL.forget_idle

WORD = 0
"""`window_ms` of the row that holds the provider's word."""

Published = Mapping[BucketKey, tuple[float, float]]
"""For each bucket the limit as configured: N, and the window in seconds."""


class Ledger:
    """Reads and writes limits. All methods raise the database's errors; nothing was taken then."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def reserve(self, provider: str, published: Published, asks: Sequence[Ask]) -> list[Slot | Later]:
        """Answer the asks in their order, atomically. `published` has every bucket that an ask is charged in.

        Times in the answers are Unix seconds by the database's clock.
        """
        keys = sorted({c.bucket for ask in asks for c in (*ask.charges, *ask.words)})
        while True:
            async with self._db.api.acquire() as connection, connection.transaction():
                buckets, words = _rows(await connection.fetch(LOCK_ROWS, provider, *_columns(keys)), published)
                missing = published.keys() - buckets.keys()
                if not missing:
                    now = self._now()
                    answers = decide(asks, buckets, words, now)
                    if any(isinstance(answer, Slot) for answer in answers):
                        await _save(connection, provider, buckets, words)
                    return answers
            await self._add(provider, sorted(missing), published)

    async def refused(self, provider: str, published: Published, owner: bytes, limit_class: str, until: float) -> None:
        """The provider answered that there were too many requests: nothing of this class before `until`, and less of
        its windows (those in `published`) from then on. Refusals while it is blocked are of the same storm."""
        now = self._now()
        async with self._db.api.acquire() as connection, connection.transaction():
            rows = await connection.fetch(LOCK_CLASS, provider, owner, limit_class)
            await connection.execute(BLOCK, provider, owner, limit_class, from_unix(now), from_unix(until))
            buckets, words = _rows(rows, published)
            if any(word.blocked_until > now for word in words.values()):
                return
            for bucket in buckets.values():
                bucket.advance(now)
                bucket.refuse()
            if buckets:
                await _save(connection, provider, buckets, {})

    async def told(self, provider: str, owner: bytes, limit_class: str, remaining: float, resets_at: float) -> None:
        """The provider's headers say that `remaining` is left until `resets_at`."""
        now, resets = from_unix(self._now()), from_unix(resets_at)
        await self._db.api.execute(BELIEVE, provider, owner, limit_class, now, resets, remaining)

    async def forget_idle(self, now: datetime, idle: timedelta) -> None:
        """Drop rows that nobody used for `idle` (more than a day, the longest window that is dropped)."""
        await self._db.api.execute(FORGET_IDLE, now - idle)

    async def _add(self, provider: str, keys: Sequence[BucketKey], published: Published) -> None:
        now = self._now()
        fresh = [Bucket.fresh(*published[key], now) for key in keys]
        await self._db.api.execute(
            ADD_ROWS,
            provider,
            *_columns(keys),
            [bucket.allowed for bucket in fresh],
            [bucket.tokens for bucket in fresh],
            from_unix(now),
        )

    def _now(self) -> float:
        return self._db.clock.now().timestamp()


def _columns(keys: Iterable[BucketKey]) -> tuple[list[bytes], list[str], list[int]]:
    keys = list(keys)
    return [k.owner for k in keys], [k.limit_class for k in keys], [k.window_ms for k in keys]


def _key(row: asyncpg.Record) -> BucketKey:
    return BucketKey(row["account_hash"], row["limit_class"], row["window_ms"])


def _rows(
    rows: Iterable[asyncpg.Record], published: Published
) -> tuple[dict[BucketKey, Bucket], dict[BucketKey, Word]]:
    buckets: dict[BucketKey, Bucket] = {}
    words: dict[BucketKey, Word] = {}
    for row in rows:
        key, at = _key(row), row["refilled_at"].timestamp()
        if key.window_ms == WORD:
            blocked = row["blocked_until"]
            words[key] = Word(blocked.timestamp() if blocked else 0.0, row["believed_remaining"], at)
        elif key in published:
            limit, window_s = published[key]
            buckets[key] = Bucket(limit, window_s, row["allowed"], row["tokens"], at)
    return buckets, words


async def _save(
    connection: Conn, provider: str, buckets: Mapping[BucketKey, Bucket], words: Mapping[BucketKey, Word]
) -> None:
    spoken = {key: word for key, word in words.items() if word.remaining is not None}
    rows: list[tuple[BucketKey, float, float, float, float | None]] = []
    rows += [(key, b.allowed, b.tokens, b.at, None) for key, b in buckets.items()]
    rows += [(key, 0.0, 0.0, word.resets_at, word.remaining) for key, word in spoken.items()]
    await connection.execute(
        SAVE_ROWS,
        provider,
        *_columns(row[0] for row in rows),
        [row[1] for row in rows],
        [row[2] for row in rows],
        [from_unix(row[3]) for row in rows],
        [row[4] for row in rows],
    )
