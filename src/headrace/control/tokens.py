"""API tokens: 256 random bits, stored as their hash, with scopes and, on wish, limited to streams."""

import hashlib
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

import asyncpg

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.errors import Invalid, NotFound, Unauthorized
from headrace.ids import uuid7

SQL = load(__package__, "tokens.sql")
INSERT, BY_HASH, TOUCH, ONE, MANY = SQL.insert_token, SQL.token_by_hash, SQL.touch_token, SQL.token, SQL.tokens
LOCK_ORG, OTHER_ADMINS, REVOKE = SQL.lock_org, SQL.other_admins, SQL.revoke_token

Scope = Literal["admin", "read", "consume"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_TOUCHED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling. `stream_ids` None: every stream of the organisation. `instance`: may make organisations.
    `requests_per_minute` None: no limit."""

    org_id: UUID
    token_id: UUID
    token_name: str
    scopes: frozenset[str]
    stream_ids: frozenset[UUID] | None = None
    instance: bool = False
    requests_per_minute: int | None = None

    def may(self, scope: Scope) -> bool:
        """`admin` reaches everything; the other scopes reach only their own routes."""
        return scope in self.scopes or "admin" in self.scopes

    def reaches(self, stream_id: UUID) -> bool:
        return self.stream_ids is None or stream_id in self.stream_ids


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as it may be shown: the secret itself is told once, when it is made."""

    org_id: UUID
    id: UUID
    name: str
    scopes: tuple[str, ...]
    stream_ids: tuple[UUID, ...] | None
    instance: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    requests_per_minute: int | None = None


def hash_of(secret: str) -> bytes:
    """What is stored of a token. A plain hash will do: 256 random bits cannot be guessed from it."""
    return hashlib.sha256(secret.encode()).digest()


async def authenticate(conn: Conn, bearer: str, now: datetime) -> Principal:
    """Whose token this is. Raises Unauthorized when it is unknown, revoked or expired; notes its use once a minute."""
    row = await conn.fetchrow(BY_HASH, hash_of(bearer), now)
    if row is None:
        raise Unauthorized(
            "This API token is not known here: it was mistyped, revoked, or has expired. "
            "Send a valid one as 'Authorization: Bearer <token>'; an admin makes one with POST /v1/api-tokens."
        )
    if row["last_used_at"] is None or row["last_used_at"] < now - _TOUCHED_EVERY:
        await conn.execute(TOUCH, row["org_id"], row["id"], now)
    limited = row["stream_ids"]
    return Principal(
        org_id=row["org_id"],
        token_id=row["id"],
        token_name=row["name"],
        scopes=frozenset(row["scopes"]),
        stream_ids=None if limited is None else frozenset(limited),
        instance=row["instance"],
        requests_per_minute=row["requests_per_minute"],
    )


async def create(
    conn: Conn,
    org_id: UUID,
    name: str,
    scopes: Iterable[str],
    now: datetime,
    *,
    stream_ids: Collection[UUID] | None = None,
    expires_at: datetime | None = None,
    instance: bool = False,
    secret: str | None = None,
    requests_per_minute: int | None = None,
) -> tuple[ApiToken, str]:
    """Make a token; returns it with its secret, which is not kept. `secret` sets it instead of a random one."""
    secret = secret or f"hr_{secrets.token_urlsafe(32)}"
    token = ApiToken(
        org_id=org_id,
        id=uuid7(),
        name=name,
        scopes=tuple(sorted(set(scopes))),
        stream_ids=None if stream_ids is None else tuple(stream_ids),
        instance=instance,
        expires_at=expires_at,
        last_used_at=None,
        created_at=now,
        requests_per_minute=requests_per_minute,
    )
    await conn.execute(
        INSERT, org_id, token.id, name, hash_of(secret), token.scopes, token.stream_ids, instance, expires_at, now,
        requests_per_minute,
    )  # fmt: skip
    return token, secret


async def get(conn: Conn, org_id: UUID, token_id: UUID) -> ApiToken:
    """Raises NotFound, for a revoked one too."""
    row = await conn.fetchrow(ONE, org_id, token_id)
    if row is None:
        raise NotFound(f"There is no API token {token_id}. List those there are with GET /v1/api-tokens.")
    return _from_row(row)


async def list_(conn: Conn, org_id: UUID, *, limit: int, after: UUID | None = None) -> list[ApiToken]:
    """Tokens that are not revoked, oldest first, from behind `after`; expired ones are shown."""
    return [_from_row(row) for row in await conn.fetch(MANY, org_id, after, limit)]


async def revoke(conn: Conn, org_id: UUID, token_id: UUID, now: datetime) -> None:
    """Make a token worthless, for good. Needs a transaction.

    Raises NotFound; and Invalid for the organisation's last admin token, since nobody could make another.
    """
    await conn.execute(LOCK_ORG, org_id)
    token = await get(conn, org_id, token_id)
    if "admin" in token.scopes and not await conn.fetchval(OTHER_ADMINS, org_id, token_id, now):
        raise Invalid({"id": ["is the organisation's last admin token; make another one first"]})
    await conn.execute(REVOKE, org_id, token_id, now)


def _from_row(row: asyncpg.Record) -> ApiToken:
    stream_ids = row["stream_ids"]
    limited = None if stream_ids is None else tuple(stream_ids)
    return ApiToken(**{**row, "scopes": tuple(row["scopes"]), "stream_ids": limited})
