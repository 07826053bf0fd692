"""Streams: the places that syncs write to and consumers read from. Rows of the control plane only."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.errors import Invalid, NotFound

SQL = load(__package__, "streams.sql")
INSERT, ONE, LOCK, MANY, UPDATE = SQL.insert_stream, SQL.stream, SQL.lock_stream, SQL.streams, SQL.update_stream
USERS, FORGET, DELETE = SQL.users_of_stream, SQL.forget_deleted_syncs, SQL.delete_stream


@dataclass(frozen=True, slots=True)
class Stream:
    """`slug` is unique in the organisation. `event_days`: how long events are kept, 0 for none."""

    org_id: UUID
    id: UUID
    slug: str
    event_days: int
    created_at: datetime
    updated_at: datetime


async def insert(conn: Conn, stream: Stream) -> None:
    """Raises Invalid when the slug is taken; the transaction is then lost."""
    await _unique_slug(
        conn, INSERT, stream.org_id, stream.id, stream.slug, stream.event_days, stream.created_at, stream.updated_at
    )


async def get(conn: Conn, org_id: UUID, stream_id: UUID, *, lock: bool = False) -> Stream:
    """Raises NotFound. `lock`: until the end of the transaction nobody else changes it, or adds anything to it."""
    row = await conn.fetchrow(LOCK if lock else ONE, org_id, stream_id)
    if row is None:
        raise NotFound(f"There is no stream {stream_id}. List those there are with GET /v1/streams.")
    return Stream(*row)


async def list_(
    conn: Conn,
    org_id: UUID,
    *,
    limit: int,
    after: UUID | None = None,
    among: Collection[UUID] | None = None,
    slug: str | None = None,
) -> list[Stream]:
    """Oldest first, from behind `after`; `among` are the only ones that may be seen, None for all."""
    rows = await conn.fetch(MANY, org_id, after, None if among is None else list(among), slug, limit)
    return [Stream(*row) for row in rows]


async def update(conn: Conn, stream: Stream) -> None:
    """Write slug, event_days and updated_at. Raises Invalid when the slug is taken."""
    await _unique_slug(conn, UPDATE, stream.org_id, stream.id, stream.slug, stream.event_days, stream.updated_at)


async def check_unused(conn: Conn, org_id: UUID, stream_id: UUID) -> None:
    """Raises Invalid while syncs or consumers belong to the stream. Call it under the stream's lock."""
    users = await conn.fetchrow(USERS, org_id, stream_id)
    assert users is not None
    counted = [(users[f"{kind}s"], kind) for kind in ("sync", "consumer")]
    reasons = [
        f"still has {number} {kind}{'' if number == 1 else 's'}; delete {'it' if number == 1 else 'them'} first"
        for number, kind in counted
        if number
    ]
    if reasons:
        raise Invalid({"id": reasons})


async def delete(conn: Conn, org_id: UUID, stream_id: UUID) -> None:
    """Remove the row, and those of deleted syncs that wait for their purge. Call `check_unused` before."""
    await conn.execute(FORGET, org_id, stream_id)
    await conn.execute(DELETE, org_id, stream_id)


async def _unique_slug(conn: Conn, statement: str, *values: object) -> None:
    try:
        await conn.execute(statement, *values)
    except asyncpg.UniqueViolationError:
        raise Invalid({"slug": ["is taken by another stream of this organisation"]}) from None
