"""What the first start of an installation makes: one organisation and its admin token."""

from dataclasses import dataclass
from uuid import UUID

from pydantic import SecretStr

from headrace.control import orgs, tokens
from headrace.db.pool import Database
from headrace.db.queries import load

SQL = load(__package__, "first_start.sql")
_TAKE, _LOCK, _SET, _TOKEN_IS_KNOWN = SQL.take_first_start, SQL.lock_first_org, SQL.set_first_org, SQL.token_is_known

ORG_NAME = "default"
TOKEN_NAME = "first admin token"  # noqa: S105 - its name, not its value


@dataclass(frozen=True, slots=True)
class FirstStart:
    """`made_token` is the token that this start made, shown now and never again; None: there was one before."""

    org_id: UUID
    made_token: str | None


async def ensure(db: Database, api_token: SecretStr | None) -> FirstStart:
    """Make the first organisation if there is none, and its first token.

    `api_token` is that token, and the instance token; one that is new to the database is added to the first
    organisation on any later start as well. Without it a token is made at the first start only. Any number of
    processes may call this at once.
    """
    now = db.clock.now()
    async with db.transaction() as conn:
        is_first = await conn.execute(_TAKE) == "INSERT 0 1"
        held = await conn.fetchval(_LOCK)
        if is_first:
            org_id = (await orgs.create(conn, ORG_NAME, now)).org_id
            await conn.execute(_SET, org_id.bytes)
        else:
            org_id = UUID(bytes=held)
        if api_token is not None:
            secret = api_token.get_secret_value()
            if not await conn.fetchval(_TOKEN_IS_KNOWN, tokens.hash_of(secret)):
                await tokens.create(conn, org_id, TOKEN_NAME, ["admin"], now, instance=True, secret=secret)
            return FirstStart(org_id, None)
        if not is_first:
            return FirstStart(org_id, None)
        _, made = await tokens.create(conn, org_id, TOKEN_NAME, ["admin"], now, instance=True)
        return FirstStart(org_id, made)
