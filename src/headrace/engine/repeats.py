"""A log that stays readable while the same thing goes wrong again and again."""

from collections.abc import Hashable

from headrace.clock import Clock

_KEPT = 1_000


class Repeats:
    """Which of many like events are worth a line: the first, and one each `every_s` seconds with their number."""

    def __init__(self, clock: Clock, every_s: float = 60.0) -> None:
        self._clock = clock
        self._every_s = every_s
        self._seen: dict[Hashable, tuple[float, int]] = {}

    def worth(self, key: Hashable) -> int:
        """How many events of this kind a line would stand for, this one included; 0: write none now."""
        now = self._clock.monotonic()
        written_at, passed = self._seen.pop(key, (None, 0))
        if written_at is not None and now - written_at < self._every_s:
            self._seen[key] = (written_at, passed + 1)
            return 0
        self._seen[key] = (now, 0)
        while len(self._seen) > _KEPT:
            del self._seen[next(iter(self._seen))]
        return passed + 1
