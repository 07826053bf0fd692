"""Syncs: configuration only. Owner, epoch, health and progress are rows of the data plane."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.errors import Invalid, NotFound

SQL = load(__package__, "syncs.sql")
INSERT, ONE, LOCK, MANY, BY_ID, UPDATE = (
    SQL.insert_sync, SQL.sync, SQL.lock_sync, SQL.syncs, SQL.syncs_by_id, SQL.update_sync,
)  # fmt: skip
MARK_DELETED, REMOVE = SQL.mark_deleted, SQL.remove
SET_WEBHOOK, OF_WEBHOOK, OF_APP_ACCOUNT = SQL.set_webhook, SQL.sync_of_webhook, SQL.syncs_of_app_account


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`allowed_requests` in any window of `interval` seconds; `max_concurrent_requests` 0: no limit."""

    allowed_requests: int
    interval: int
    max_concurrent_requests: int = 0


@dataclass(frozen=True, slots=True)
class Sync:
    """What a sync is told to do.

    `rate_limit` None: the provider's default. `max_age_days` None: no limit. `max_poll_ms`: the longest pause between
    two reads of changes of a continuous sync. `deleted_retention_days` None: deleted records are kept. `metadata` is
    JSON text, digits as they were sent.
    """

    org_id: UUID
    id: UUID
    stream_id: UUID
    provider: str
    credential_id: UUID
    name: str
    status: str
    collection_ids: tuple[str, ...]
    rate_limit: RateLimit | None
    max_age_days: float | None
    sync_frequency: str
    max_poll_ms: int
    deleted_retention_days: float | None
    external_id: str | None
    metadata: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of syncs is narrowed to; None: not by this. `metadata` is JSON text that must be contained."""

    provider: str | None = None
    stream_id: UUID | None = None
    status: str | None = None
    name: str | None = None
    external_id: str | None = None
    credential_id: UUID | None = None
    metadata: str | None = None


NO_FILTERS = Filters()


def from_row(row: asyncpg.Record) -> Sync:
    """The Sync of a row that has every column of it."""
    limit = row["rate_limit"]
    return Sync(
        **{
            **row,
            "collection_ids": tuple(row["collection_ids"]),
            "rate_limit": None if limit is None else RateLimit(**orjson.loads(limit)),
        }
    )


async def insert(conn: Conn, sync: Sync) -> None:
    """Raises Invalid when stream or credential are not there (any more); the transaction is then lost."""
    try:
        await conn.execute(
            INSERT, sync.org_id, sync.id, sync.stream_id, sync.provider, sync.credential_id, sync.name, sync.status,
            sync.collection_ids, _limit_text(sync), sync.max_age_days, sync.sync_frequency, sync.max_poll_ms,
            sync.deleted_retention_days, sync.external_id, sync.metadata, sync.created_at, sync.updated_at,
        )  # fmt: skip
    except asyncpg.ForeignKeyViolationError as error:
        field = "credential_id" if "credential" in (error.constraint_name or "") else "stream_id"
        raise Invalid({field: ["is not there any more"]}) from None


async def get(conn: Conn, org_id: UUID, sync_id: UUID, *, lock: bool = False) -> Sync:
    """Raises NotFound, for a deleted one too. `lock`: nobody else changes it until the end of the transaction."""
    row = await conn.fetchrow(LOCK if lock else ONE, org_id, sync_id)
    if row is None:
        raise NotFound(f"There is no sync {sync_id}. List those there are with GET /v1/syncs.")
    return from_row(row)


async def list_(
    conn: Conn,
    org_id: UUID,
    filters: Filters = NO_FILTERS,
    *,
    limit: int,
    after: UUID | None = None,
    among_streams: Collection[UUID] | None = None,
) -> list[Sync]:
    """Oldest first, from behind `after`; `among_streams` are the only streams that may be seen, None for all."""
    rows = await conn.fetch(
        MANY, org_id, after, None if among_streams is None else list(among_streams), filters.provider,
        filters.stream_id, filters.status, filters.name, filters.external_id, filters.credential_id,
        filters.metadata, limit,
    )  # fmt: skip
    return [from_row(row) for row in rows]


async def by_ids(conn: Conn, org_id: UUID, sync_ids: Collection[UUID]) -> list[Sync]:
    """Those of `sync_ids` that are there, in no order."""
    return [from_row(row) for row in await conn.fetch(BY_ID, org_id, list(sync_ids))]


async def update(conn: Conn, sync: Sync) -> None:
    """Write every field that may change, `updated_at` included. Raises NotFound when it was deleted meanwhile."""
    done = await conn.execute(
        UPDATE, sync.org_id, sync.id, sync.name, sync.status, sync.collection_ids, _limit_text(sync),
        sync.max_age_days, sync.sync_frequency, sync.max_poll_ms, sync.deleted_retention_days, sync.external_id,
        sync.metadata, sync.updated_at,
    )  # fmt: skip
    _must_hit(done, sync.id)


async def mark_deleted(conn: Conn, org_id: UUID, sync_id: UUID, now: datetime) -> None:
    """Gone for every reader from the commit on. Raises NotFound."""
    _must_hit(await conn.execute(MARK_DELETED, org_id, sync_id, now), sync_id)


async def remove(conn: Conn, org_id: UUID, sync_id: UUID) -> None:
    """Remove the row itself, once the records of a deleted sync are purged. No error when it is gone already."""
    await conn.execute(REMOVE, org_id, sync_id)


async def set_webhook(conn: Conn, org_id: UUID, sync_id: UUID, sealed_secret: bytes, path_hash: bytes) -> None:
    """Keep the provider's signing secret (sealed) and the hash of the address's secret part. Raises NotFound."""
    _must_hit(await conn.execute(SET_WEBHOOK, org_id, sync_id, sealed_secret, path_hash), sync_id)


async def of_webhook(conn: Conn, sync_id: UUID, path_hash: bytes) -> tuple[Sync, bytes] | None:
    """The sync whose webhook's address this is, with its sealed signing secret; None when there is none."""
    row = await conn.fetchrow(OF_WEBHOOK, sync_id, path_hash)
    return None if row is None else (await get(conn, row["org_id"], sync_id), row["webhook_secret"])


async def of_app_account(conn: Conn, org_id: UUID, app_id: UUID, account_id: str) -> list[Sync]:
    """The syncs that read this account, as the provider names it, with what it gave to the OAuth app."""
    rows = await conn.fetch(OF_APP_ACCOUNT, org_id, app_id, account_id)
    return await by_ids(conn, org_id, [row["id"] for row in rows])


def _limit_text(sync: Sync) -> str | None:
    return None if sync.rate_limit is None else orjson.dumps(asdict(sync.rate_limit)).decode()


def _must_hit(done: Any, sync_id: UUID) -> None:
    if done.endswith(" 0"):
        raise NotFound(f"There is no sync {sync_id}. List those there are with GET /v1/syncs.")
