"""The collections that an account was found to have, the ids that they keep for ever, and the state of the search."""

import secrets
import string
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from headrace.db.pool import Conn
from headrace.db.queries import load

SQL = load(__package__, "collections.sql")
START, REFRESH, END = SQL.start_refresh, SQL.refresh, SQL.end_refresh
KNOWN_ID, ADD_ID, PUT, FORGET_UNSEEN = SQL.known_id, SQL.add_id, SQL.put_collection, SQL.forget_unseen
MANY, NAMED, ONE = SQL.collections, SQL.collections_named, SQL.collection

LONGEST_REFRESH = timedelta(minutes=10)
"""A refresh is ended after this; one that is older was left behind by a process that stopped."""

_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 24


@dataclass(frozen=True, slots=True)
class Sighting:
    """A collection as it was met at the provider. `scope` and `upstream_id` are its identity there; `schema` and
    `upstream` are JSON text; `collection_id` None: the provider gives it no lasting name, so an id is made once."""

    scope: str
    upstream_id: str
    name: str
    schema: str
    upstream: str
    collection_id: str | None


@dataclass(frozen=True, slots=True)
class AccountCollection:
    """A collection of an account. `schema` and `upstream_metadata` are JSON text; `upstream_scope` is where at the
    provider it was found (a base), with `upstream_id` its identity there."""

    id: str
    name: str
    upstream_id: str
    schema: str
    upstream_metadata: str | None
    upstream_scope: str


@dataclass(frozen=True, slots=True)
class Refresh:
    """How the search stands. `error` is JSON text; `refused_at` since when the provider refuses it for want of a
    permission, None while it does not."""

    status: Literal["processing", "succeeded", "failed"]
    last_started_at: datetime | None
    last_succeeded_at: datetime | None
    error: str | None
    refused_at: datetime | None = None


async def start(
    conn: Conn, org_id: UUID, credential_id: UUID, now: datetime, *, left_behind: timedelta = LONGEST_REFRESH
) -> bool:
    """Begin a refresh that is known by the moment `now`; False when one is under way that began less than `left_behind`
    ago."""
    return await conn.fetchrow(START, org_id, credential_id, now, now - left_behind) is not None


async def refresh_of(conn: Conn, org_id: UUID, credential_id: UUID, now: datetime) -> Refresh | None:
    """How the last refresh stands; None when there was none. One that its process left behind has failed."""
    row = await conn.fetchrow(REFRESH, org_id, credential_id)
    if row is None:
        return None
    if row["status"] == "processing" and row["last_started_at"] < now - LONGEST_REFRESH:
        left = '{"summary": "The process that refreshed was stopped. Start the refresh again."}'
        return Refresh("failed", row["last_started_at"], row["last_succeeded_at"], left, row["refused_at"])
    return Refresh(**row)


async def succeed(
    conn: Conn,
    org_id: UUID,
    credential_id: UUID,
    provider: str,
    started_at: datetime,
    found: Sequence[Sighting],
    now: datetime,
) -> None:
    """The account has exactly these collections. Call it in a transaction."""
    for sighting in found:
        id_ = sighting.collection_id or await _lasting_id(conn, org_id, provider, sighting)
        await conn.execute(
            PUT,
            org_id,
            credential_id,
            id_,
            sighting.name,
            sighting.upstream_id,
            sighting.schema,
            sighting.upstream,
            now,
            sighting.scope,
        )
    await conn.execute(FORGET_UNSEEN, org_id, credential_id, now)
    await conn.execute(END, org_id, credential_id, started_at, "succeeded", now, None, None)


async def fail(
    conn: Conn, org_id: UUID, credential_id: UUID, started_at: datetime, error: str, refused_at: datetime | None = None
) -> None:
    """The refresh that began then came to nothing; `error` is JSON text, `refused_at` the present where a permission
    was missing. What was known before stays known."""
    await conn.execute(END, org_id, credential_id, started_at, "failed", None, error, refused_at)


async def list_(conn: Conn, org_id: UUID, credential_id: UUID) -> list[AccountCollection]:
    """The account's own collections, by id."""
    return [AccountCollection(**row) for row in await conn.fetch(MANY, org_id, credential_id)]


async def by_ids(
    conn: Conn, org_id: UUID, credential_id: UUID, collection_ids: Collection[str]
) -> list[AccountCollection]:
    """Those of `collection_ids` that the account was found to have, by id."""
    rows = await conn.fetch(NAMED, org_id, credential_id, list(collection_ids))
    return [AccountCollection(**row) for row in rows]


async def get(conn: Conn, org_id: UUID, credential_id: UUID, collection_id: str) -> AccountCollection | None:
    row = await conn.fetchrow(ONE, org_id, credential_id, collection_id)
    return None if row is None else AccountCollection(**row)


async def _lasting_id(conn: Conn, org_id: UUID, provider: str, sighting: Sighting) -> str:
    """The id of this collection of this account, whichever credential it is seen with: made at random the first time,
    then the same for ever."""
    place = (org_id, provider, sighting.scope, sighting.upstream_id)
    while (known := await conn.fetchval(KNOWN_ID, *place)) is None:
        made = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
        await conn.execute(ADD_ID, *place, f"{provider}:{made}")
    return str(known)
