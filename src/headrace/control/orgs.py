"""Organisations: everything else belongs to one, and sees nothing of another."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.errors import NotFound
from headrace.ids import uuid7

SQL = load(__package__, "orgs.sql")
INSERT, ONE, MANY = SQL.insert_org, SQL.org, SQL.orgs


@dataclass(frozen=True, slots=True)
class Org:
    org_id: UUID
    name: str
    created_at: datetime


async def create(conn: Conn, name: str, now: datetime) -> Org:
    """Make an organisation; `name` has 1–255 characters. Its first token is made apart (`tokens.create`)."""
    org = Org(uuid7(), name, now)
    await conn.execute(INSERT, org.org_id, org.name, org.created_at)
    return org


async def get(conn: Conn, org_id: UUID) -> Org:
    """Raises NotFound."""
    row = await conn.fetchrow(ONE, org_id)
    if row is None:
        raise NotFound("There is no such organisation. List those there are with GET /v1/orgs.")
    return Org(*row)


async def list_(conn: Conn, *, limit: int, after: UUID | None = None) -> list[Org]:
    """All organisations of the installation, oldest first, from behind `after`: for the instance token only."""
    return [Org(*row) for row in await conn.fetch(MANY, after, limit)]
