"""A provider's own count of requests: exact sliding windows."""

from collections import defaultdict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most `allowed` requests of `key` in any window of `window_s` seconds; `reason` is told on refusal."""

    key: Hashable
    allowed: int
    window_s: float
    reason: str


class Limiter:
    """Counts what was let through; a request that is refused counts nowhere."""

    def __init__(self) -> None:
        self._taken: defaultdict[Hashable, deque[float]] = defaultdict(deque)

    def take(self, allowances: Sequence[Allowance], now: float) -> Allowance | None:
        """Count one request at the moment `now` (seconds, never running backwards), or return the allowance that is
        used up."""
        for allowance in allowances:
            taken = self._taken[allowance.key]
            while taken and now - taken[0] >= allowance.window_s:
                taken.popleft()
            if len(taken) >= allowance.allowed:
                return allowance
        for allowance in allowances:
            self._taken[allowance.key].append(now)
        return None
