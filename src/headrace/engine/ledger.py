"""The ledger of limits: the rows of `limit_buckets`, shared by all processes.

The arithmetic is `bucket.decide`; here the rows are read, handed to it, and put in place of those that were read if no
other process was faster: two statements for a batch of asks of one process for one account, and no lock between them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from headrace.clock import from_unix
from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.engine.bucket import Ask, Bucket, BucketKey, Later, Slot, Word, decide
from headrace.engine.shares import Share
from headrace.engine.sightings import Sightings, Trust

SQL = load(__package__, "ledger.sql")
READ_ROWS, SWAP_ROWS, ADD_ROWS = SQL.read_rows, SQL.swap_rows, SQL.add_rows
LOCK_CLASS, SAVE_ALLOWED = SQL.lock_class, SQL.save_allowed
BLOCK, BELIEVE, FORGET_IDLE = SQL.block, SQL.believe, SQL.forget_idle
TELL_SHARE, OTHERS_SHARES, FORGET_SHARES = SQL.tell_share, SQL.others_shares, SQL.forget_shares

WORD = 0
"""`window_ms` of the row that holds the provider's word about a class. What it says is left of one window of the class
stands in a row of its own, under the negative of that window: what is left of ten seconds is not what is left of a
day."""

_DOUBTED_S = 0.5

Published = Mapping[BucketKey, tuple[float, float]]
"""For each bucket the limit as configured: N, and the window in seconds."""


class Ledger:
    """Reads and writes limits. All methods raise the database's errors; nothing was taken then."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._sightings = Sightings()

    async def reserve(self, provider: str, published: Published, asks: Sequence[Ask]) -> list[Slot | Later]:
        """Answer the asks in their order, atomically. `published` has every bucket that an ask is charged in.

        Times in the answers are Unix seconds by the database's clock.
        """
        keys = sorted({c.bucket for ask in asks for c in (*ask.charges, *ask.words)})
        clock = self._db.clock
        async with self._db.api.acquire() as connection:
            while True:
                rows = await connection.fetch(READ_ROWS, provider, *_columns(keys))
                buckets, words = _rows(rows, published)
                if missing := published.keys() - buckets.keys():
                    await self._add(connection, provider, sorted(missing), published)
                    continue
                now, jumps = self._now(), clock.jumps
                trust = self._sightings.judge(provider, buckets, now, clock.monotonic(), jumps)
                if trust is Trust.NONE:
                    return [Later(now + _DOUBTED_S)] * len(asks)
                answers = decide(asks, buckets, words, now)
                if trust is Trust.FULL and not any(isinstance(answer, Slot) for answer in answers):
                    return answers
                if await _swap(connection, provider, rows, buckets, words):
                    self._sightings.stored(provider, buckets, jumps)
                    return answers

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
            await connection.execute(
                SAVE_ALLOWED,
                provider,
                *_columns(buckets),
                [bucket.allowed for bucket in buckets.values()],
                [bucket.tokens for bucket in buckets.values()],
                [from_unix(bucket.at) for bucket in buckets.values()],
            )

    async def told(self, provider: str, word: BucketKey, remaining: float, resets_at: float) -> None:
        """The provider's headers say that `remaining` is left until `resets_at` of what `word` is about."""
        now, resets = from_unix(self._now()), from_unix(resets_at)
        await self._db.api.execute(BELIEVE, provider, *word, now, resets, remaining)

    async def share(self, provider: str, owner: bytes, worker_id: UUID, own: Share, fresh: timedelta) -> list[Share]:
        """Tell the other processes what this one's syncs of the account have had; what those say who spoke within
        `fresh`."""
        now = self._db.clock.now()
        async with self._db.api.acquire() as connection:
            await connection.execute(TELL_SHARE, provider, owner, worker_id, own.waiting, own.turns, now)
            rows = await connection.fetch(OTHERS_SHARES, provider, owner, worker_id, now - fresh)
        return [Share(row["waiting"], row["turns"]) for row in rows]

    async def forget_idle(self, now: datetime, idle: timedelta) -> None:
        """Drop rows that nobody used for `idle` (more than a day, the longest window that is dropped)."""
        await self._db.api.execute(FORGET_IDLE, now - idle)
        await self._db.api.execute(FORGET_SHARES, now - idle)

    async def _add(self, connection: Conn, provider: str, keys: Sequence[BucketKey], published: Published) -> None:
        now = self._now()
        fresh = [Bucket.fresh(*published[key], now) for key in keys]
        await connection.execute(
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
        if key.window_ms <= WORD:
            blocked = row["blocked_until"]
            words[key] = Word(blocked.timestamp() if blocked else 0.0, row["believed_remaining"], at)
        elif key in published:
            limit, window_s = published[key]
            buckets[key] = Bucket(limit, window_s, row["allowed"], row["tokens"], at)
    return buckets, words


async def _swap(
    connection: Conn,
    provider: str,
    read: Sequence[asyncpg.Record],
    buckets: Mapping[BucketKey, Bucket],
    words: Mapping[BucketKey, Word],
) -> bool:
    """Put the buckets and words in place of the rows read; False, and nothing is written, when one was changed."""
    if not read:
        return True
    keys = [_key(row) for row in read]
    new = [_new(row, buckets.get(key), words.get(key)) for row, key in zip(read, keys, strict=True)]
    old = [(row["allowed"], row["tokens"], row["refilled_at"], row["believed_remaining"]) for row in read]
    done = await connection.fetch(SWAP_ROWS, provider, *_columns(keys), *_transposed(old), *_transposed(new))
    return len(done) == len(read)


_State = tuple[float, float, datetime, float | None]


def _new(row: asyncpg.Record, bucket: Bucket | None, word: Word | None) -> _State:
    """allowed, tokens, refilled_at and believed_remaining as they shall be."""
    if bucket is not None:
        return (bucket.allowed, bucket.tokens, from_unix(bucket.at), None)
    return (row["allowed"], row["tokens"], row["refilled_at"], None if word is None else word.remaining)


def _transposed(states: Sequence[_State]) -> list[list[Any]]:
    return [list(column) for column in zip(*states, strict=True)]
