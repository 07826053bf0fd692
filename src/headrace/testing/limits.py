"""A provider's own count of requests: exact sliding windows."""

from collections import defaultdict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most `allowed` (requests, or points of `cost`) of `key` in any window of `window_s` seconds; `reason` is told
    on refusal."""

    key: Hashable
    allowed: float
    window_s: float
    reason: str
    cost: float = 1


class Limiter:
    """Counts what was let through; a request that is refused counts nowhere."""

    def __init__(self) -> None:
        self._taken: defaultdict[Hashable, deque[tuple[float, float]]] = defaultdict(deque)
        self._used: defaultdict[Hashable, float] = defaultdict(float)

    def take(self, allowances: Sequence[Allowance], now: float, late_s: float = 0.0) -> Allowance | None:
        """Count a request at the moment `now` (seconds, never running backwards), or return the allowance that is
        used up. It may have come `late_s` earlier, and is let go so much earlier."""
        for allowance in allowances:
            if self.used(allowance, now) + allowance.cost > allowance.allowed:
                return allowance
        for allowance in allowances:
            self._taken[allowance.key].append((now - late_s, allowance.cost))
            self._used[allowance.key] += allowance.cost
        return None

    def used(self, allowance: Allowance, now: float) -> float:
        """How much of it is used up at the moment `now`: what a provider tells in its headers."""
        taken = self._taken[allowance.key]
        while taken and now - taken[0][0] >= allowance.window_s:
            self._used[allowance.key] -= taken.popleft()[1]
        return self._used[allowance.key]
