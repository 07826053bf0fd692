"""Limits of API tokens: how many requests a minute one may make.

Each process counts for itself: a limit keeps a caller who has lost his way from the others, and is no meter. So it
costs no statement, and where there are several processes a token may reach its limit in each.
"""

import time
from collections.abc import Callable
from uuid import UUID

from headrace.control.tokens import Principal
from headrace.errors import TooManyRequests

_MINUTE_S = 60.0
_MOST = 10_000


class Allowances:
    """A bucket for each token that has a limit: a minute's worth deep, refilled evenly."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._left: dict[UUID, tuple[float, float]] = {}

    def spend(self, principal: Principal) -> None:
        """Count a request. Raises TooManyRequests, with the seconds until the next one is allowed."""
        limit = principal.requests_per_minute
        if limit is None:
            return
        now = self._monotonic()
        left, at = self._left.get(principal.token_id, (float(limit), now))
        left = min(float(limit), left + (now - at) * limit / _MINUTE_S)
        if left < 1.0:
            wait_s = (1.0 - left) * _MINUTE_S / limit
            raise TooManyRequests(
                f"This token may make {limit} requests a minute. Come again in {max(1, round(wait_s))} s, or ask an "
                "admin for a token with a higher limit.",
                wait_s,
            )
        if len(self._left) >= _MOST and principal.token_id not in self._left:
            self._left.clear()
        self._left[principal.token_id] = (left - 1.0, now)
