"""Who did what: a row for each call that changes something or takes secrets out, refused ones included."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.control.tokens import Principal
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.ids import uuid7

SQL = load(__package__, "audit.sql")
INSERT, MANY = SQL.insert_audit, SQL.audit


@dataclass(frozen=True, slots=True)
class Entry:
    """`route` is the template of the path; `status` the HTTP status that was answered; `detail` JSON text or None."""

    id: UUID
    token_id: UUID | None
    token_name: str | None
    method: str
    route: str
    object_id: str | None
    status: int
    detail: str | None
    at: datetime


async def write(
    conn: Conn,
    principal: Principal,
    *,
    method: str,
    route: str,
    status: int,
    now: datetime,
    object_id: str | None = None,
    detail: str | None = None,
) -> None:
    """Note a call; for one that succeeded in the transaction of its effect. `detail` is JSON text without secrets."""
    await conn.execute(
        INSERT, principal.org_id, uuid7(now.timestamp()), principal.token_id, principal.token_name, method, route,
        object_id, status, detail, now,
    )  # fmt: skip


async def list_(
    conn: Conn,
    org_id: UUID,
    *,
    limit: int,
    before: UUID | None = None,
    token_id: UUID | None = None,
    object_id: str | None = None,
    route: str | None = None,
) -> list[Entry]:
    """Newest first, from before `before`."""
    return [Entry(**row) for row in await conn.fetch(MANY, org_id, before, token_id, object_id, route, limit)]
