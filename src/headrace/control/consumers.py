"""HTTP consumers: configuration only. Position and deliveries are rows of the data plane."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
import orjson

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.errors import Invalid, NotFound

SQL = load(__package__, "consumers.sql")
INSERT, ONE, LOCK, MANY = SQL.insert_consumer, SQL.consumer, SQL.lock_consumer, SQL.consumers
UPDATE, DELETE, OF_EVENTS = SQL.update_consumer, SQL.delete_consumer, SQL.consumers_of_events

DeliverPolicy = Literal["all", "new", "last", "1h"]

FILTERS = ("provider", "sync_id", "collection_id")


@dataclass(frozen=True, slots=True)
class Consumer:
    """`filters` maps each name of FILTERS to "*", a value, or a list of values, as it was given.

    `max_deliver` -1: without end. `metadata` is JSON text.
    """

    org_id: UUID
    id: UUID
    stream_id: UUID
    name: str
    kind: str
    deliver_policy: DeliverPolicy
    ack_wait_ms: int
    max_deliver: int
    max_ack_pending: int
    filters: Mapping[str, Any]
    metadata: str
    created_at: datetime
    updated_at: datetime


async def insert(conn: Conn, consumer: Consumer) -> None:
    """Raises Invalid when the stream is not there (any more); the transaction is then lost."""
    try:
        await conn.execute(
            INSERT, consumer.org_id, consumer.id, consumer.stream_id, consumer.name, consumer.kind,
            consumer.deliver_policy, consumer.ack_wait_ms, consumer.max_deliver, consumer.max_ack_pending,
            _text(consumer.filters), consumer.metadata, consumer.created_at, consumer.updated_at,
        )  # fmt: skip
    except asyncpg.ForeignKeyViolationError:
        raise Invalid({"stream_id": ["is not there any more"]}) from None


async def get(conn: Conn, org_id: UUID, consumer_id: UUID, *, lock: bool = False) -> Consumer:
    """Raises NotFound. `lock`: nobody else changes it until the end of the transaction."""
    row = await conn.fetchrow(LOCK if lock else ONE, org_id, consumer_id)
    if row is None:
        raise NotFound(f"There is no consumer {consumer_id}. List those there are with GET /v1/http-consumers.")
    return _from_row(row)


async def list_(
    conn: Conn,
    org_id: UUID,
    *,
    limit: int,
    after: UUID | None = None,
    among_streams: Collection[UUID] | None = None,
    stream_id: UUID | None = None,
    name: str | None = None,
    metadata: str | None = None,
) -> list[Consumer]:
    """Oldest first, from behind `after`; `among_streams` are the only streams that may be seen, None for all."""
    among = None if among_streams is None else list(among_streams)
    return [_from_row(row) for row in await conn.fetch(MANY, org_id, after, among, stream_id, name, metadata, limit)]


async def update(conn: Conn, consumer: Consumer) -> None:
    """Write every field that may change, `updated_at` included."""
    await conn.execute(
        UPDATE, consumer.org_id, consumer.id, consumer.name, consumer.deliver_policy, consumer.ack_wait_ms,
        consumer.max_deliver, consumer.max_ack_pending, _text(consumer.filters), consumer.metadata,
        consumer.updated_at, consumer.kind,
    )  # fmt: skip


async def check_no_events(conn: Conn, org_id: UUID, stream_id: UUID) -> None:
    """Raises Invalid while the stream has consumers of events. Call it under the stream's lock."""
    if names := [row["name"] for row in await conn.fetch(OF_EVENTS, org_id, stream_id)]:
        raise Invalid({"event_days": [f"cannot be 0 while there are consumers of events: {', '.join(names)}"]})


async def delete(conn: Conn, org_id: UUID, consumer_id: UUID) -> None:
    """No error when it is gone already."""
    await conn.execute(DELETE, org_id, consumer_id)


def _text(filters: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(filters)).decode()


def _from_row(row: asyncpg.Record) -> Consumer:
    return Consumer(**{**row, "filters": orjson.loads(row["filters"])})
