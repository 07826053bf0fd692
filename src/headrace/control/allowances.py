"""What is left of the limits of API tokens, over all processes: a bucket for each, a minute's worth deep, refilled
evenly."""

from datetime import datetime

from headrace.control.tokens import Principal
from headrace.db.pool import Conn
from headrace.db.queries import load

TAKE = load(__package__, "allowances.sql").take

MINUTE_S = 60.0


async def take(conn: Conn, principal: Principal, wanted: int, unused: int, now: datetime) -> tuple[int, float]:
    """Take up to `wanted` requests of the token's limit (it must have one), atomically; `unused` ones go back first.

    Returns how many were given, and the seconds until there is one again where none was (else 0).
    """
    limit = principal.requests_per_minute
    assert limit is not None
    row = await conn.fetchrow(TAKE, principal.org_id, principal.token_id, limit, wanted, unused, now)
    assert row is not None
    given: int = row["given"]
    return given, 0.0 if given else (1.0 - row["remaining"]) * MINUTE_S / limit
