"""Limits of API tokens: how many requests a minute one may make, over all processes together.

What is left stands in the database (`control.allowances`). A process takes a second's worth at a time and gives back
what it did not use: a limit costs a statement a second, or one a request where it allows fewer than two a second, and
a token without a limit costs nothing.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from headrace.control import allowances
from headrace.control.allowances import MINUTE_S
from headrace.control.tokens import Principal
from headrace.db.pool import Database
from headrace.errors import TooManyRequests

_IN_HAND_S = 1.0
_MOST = 10_000


@dataclass(slots=True)
class _Share:
    """What this process has in hand of a token's limit."""

    left: int = 0
    good_until: float = 0.0
    """After this, what is left goes back before more is taken."""
    none_before: float = 0.0
    """There was nothing left, and will not be before."""
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Allowances:
    """One for a process."""

    def __init__(self, db: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._monotonic = monotonic
        self._shares: dict[UUID, _Share] = {}

    async def spend(self, principal: Principal) -> None:
        """Count a request. Raises TooManyRequests, with the seconds until the next one is allowed, and the database's
        errors."""
        limit = principal.requests_per_minute
        if limit is None:
            return
        share = self._share(principal.token_id)
        if self._use(share):
            return
        async with share.taking:
            if self._use(share):  # of what another request has brought meanwhile
                return
            if self._monotonic() >= share.none_before:
                await self._take(share, principal, max(1, int(limit / MINUTE_S)))
            if not self._use(share):
                raise _too_many(limit, share.none_before - self._monotonic())

    def _share(self, token_id: UUID) -> _Share:
        share = self._shares.get(token_id)
        if share is None:
            if len(self._shares) >= _MOST:
                self._shares.clear()
            share = self._shares[token_id] = _Share()
        return share

    def _use(self, share: _Share) -> bool:
        if share.left == 0 or self._monotonic() >= share.good_until:
            return False
        share.left -= 1
        return True

    async def _take(self, share: _Share, principal: Principal, wanted: int) -> None:
        unused, share.left = share.left, 0
        async with self._db.api.acquire() as conn:
            given, wait_s = await allowances.take(conn, principal, wanted, unused, self._db.clock.now())
        now = self._monotonic()
        share.left, share.good_until, share.none_before = given, now + _IN_HAND_S, now + wait_s


def _too_many(limit: int, wait_s: float) -> TooManyRequests:
    return TooManyRequests(
        f"This token may make {limit} requests a minute. Come again in {max(1, round(wait_s))} s, or ask an "
        "admin for a token with a higher limit.",
        max(0.0, wait_s),
    )
