"""What must be done once after the database was restored from a backup.

What happened after the backup is forgotten, but not by the others: readers hold numbers that the counters have not
reached yet, workers hold ack tokens, the provider deleted records. So the counters jump past any number that can have
been given out, tokens and leases become void, and every sweep is due. The readings need nothing: their checkpoints are
as old as the backup, and they go on from there, or begin a fresh backfill where the provider's feed does not reach back
so far.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson

from headrace.clock import Clock
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.engine.checkpoints import SweepMark, decode, encode
from headrace.errors import HeadraceError

SQL = load(__package__, "after_restore.sql")
_STREAMS, _ADD_HEAD = SQL.streams, SQL.add_head
_LIVING_WORKERS, _FORGET_WORKERS = SQL.living_workers, SQL.forget_workers
_CONSUMERS, _NEW_TOKEN_KEY = SQL.consumers, SQL.new_token_key
_VOID_LEASES, _SWEEPS, _PUT_SWEEP = SQL.void_leases, SQL.sweeps, SQL.put_sweep
_FORGET_SEEN, _FORGET_HELD_DELETES = SQL.forget_seen, SQL.forget_held_deletes

JUMP = 10**12
"""More numbers than a stream gives out in a hundred days at 100 000 a second; 2^53 has room for nine thousand jumps."""
_EPOCHS = 10**6
_TOKEN_KEY_BYTES = 32
_ALIVE = timedelta(seconds=30)


class StillRunning(HeadraceError):
    """A worker is at work on the database."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done: so many streams, consumers and sweeps."""

    streams: int
    consumers: int
    sweeps: int


async def after_restore(conn: Conn, clock: Clock) -> Restored:
    """Make a restored database safe to go on with. All or nothing; doing it twice does no harm.

    Raises StillRunning while a worker is alive: it would go on under what is made void here. Raises NewerForm when a
    newer release wrote a sweep's mark.
    """
    async with conn.transaction():
        if await conn.fetchval(_LIVING_WORKERS, clock.now() - _ALIVE):
            raise StillRunning("A `headrace serve` is running on this database. Stop every one of them first.")
        streams = [row["id"] for row in await conn.fetch(_STREAMS)]
        consumers = sweeps = 0
        for stream_id in streams:
            await conn.execute(_ADD_HEAD, stream_id, JUMP, clock.now())
            await conn.execute(_VOID_LEASES, stream_id, _EPOCHS)
            consumers += await _void_tokens(conn, stream_id)
            sweeps += await _make_sweeps_due(conn, stream_id, clock.now())
            await conn.execute(_FORGET_SEEN, stream_id)
            await conn.execute(_FORGET_HELD_DELETES, stream_id)
        await conn.execute(_FORGET_WORKERS)
    return Restored(len(streams), consumers, sweeps)


async def _void_tokens(conn: Conn, stream_id: UUID) -> int:
    consumers = await conn.fetch(_CONSUMERS, stream_id)
    for row in consumers:
        await conn.execute(_NEW_TOKEN_KEY, stream_id, row["consumer_id"], secrets.token_bytes(_TOKEN_KEY_BYTES))
    return len(consumers)


async def _make_sweeps_due(conn: Conn, stream_id: UUID, now: datetime) -> int:
    rows = await conn.fetch(_SWEEPS, stream_id)
    for row in rows:
        mark = decode(SweepMark, row["form"], row["value"])
        mark.state, mark.due_at, mark.sweep_id = "waiting", now, None
        value = orjson.dumps(encode(mark)).decode()
        await conn.execute(_PUT_SWEEP, stream_id, row["sync_id"], row["scope"], mark.form, value)
    return len(rows)
