"""Idempotency keys: the first answer to a call, kept for a day, so that its repetition changes nothing.

The row is written in the transaction of the call's effect. It is taken before the effect, and a second call with the
same key waits on it: when the first one commits, its answer is there; when it rolls back, the second call goes on.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from headrace.db.pool import Conn
from headrace.db.queries import load

SQL = load(__package__, "idempotency.sql")
KEPT, DROP_EXPIRED, TAKE, KEEP, SWEEP = SQL.kept, SQL.drop_expired, SQL.take, SQL.keep, SQL.sweep

LIFE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Scope:
    """Within what a key is unique. `route` is the method and the template of the path."""

    org_id: UUID
    token_id: UUID
    route: str
    key: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The first answer: `answer` is sealed; `body_hash` tells whether a repetition asks for the same."""

    body_hash: bytes
    status: int
    answer: bytes


async def find(conn: Conn, scope: Scope, now: datetime) -> Kept | None:
    """The answer that is kept, not older than LIFE."""
    row = await conn.fetchrow(KEPT, scope.org_id, scope.token_id, scope.route, scope.key, now - LIFE)
    return None if row is None else Kept(*row)


async def take(conn: Conn, scope: Scope, body_hash: bytes, now: datetime) -> bool:
    """Take the key in the transaction that is open; False when another call has it and has committed.

    Waits while another transaction holds it.
    """
    identity = (scope.org_id, scope.token_id, scope.route, scope.key)
    await conn.execute(DROP_EXPIRED, *identity, now - LIFE)
    return bool((await conn.execute(TAKE, *identity, body_hash, now)).endswith(" 1"))


async def keep(conn: Conn, scope: Scope, status: int, answer: bytes) -> None:
    """Put the sealed answer to a key that was taken in this transaction."""
    await conn.execute(KEEP, scope.org_id, scope.token_id, scope.route, scope.key, status, answer)


async def sweep(conn: Conn, now: datetime) -> None:
    """Forget the answers that are older than LIFE."""
    await conn.execute(SWEEP, now - LIFE)
