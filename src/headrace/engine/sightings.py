"""What a process remembers of the buckets that it has seen, to tell time that has passed from a clock that has jumped.

A bucket counts by the database's clock, as each process knows it from its heartbeat. Where that clock is set, the
processes learn of it within a second, one after the other. Were the time between two clocks taken for time that has
passed, each of them would find the bucket full again. So a bucket about whose time there is doubt begins anew, empty.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from headrace.engine.bucket import Bucket, BucketKey

_BACKWARDS_S = 0.001
"""A bucket's time never goes back, but when it is restarted; a database keeps microseconds."""
_AHEAD_S = 5.0
_LEARNT_WITHIN_S = 4.0
"""After so long everybody has learned of a jump: what is ahead still was left behind by one who died of it."""
_MOST = 20_000


class Trust(Enum):
    FULL = 0
    RESTARTED = 1
    """Some buckets begin anew: they are to be stored, whatever else comes of them."""
    NONE = 2
    """Somebody counts by a clock far ahead of ours. Ask again in a moment, when one of the two has learned better."""


@dataclass(slots=True)
class _Sighting:
    at: float
    jumps: int
    ahead_since: float | None = None


class Sightings:
    """Of one process. `steady` moments are those of a clock that never jumps."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, BucketKey], _Sighting] = OrderedDict()

    def judge(self, provider: str, buckets: Mapping[BucketKey, Bucket], now: float, steady: float, jumps: int) -> Trust:
        """Whether the buckets just read can be counted with; those that cannot are restarted. `jumps` is how often the
        database's clock was found to have jumped."""
        trust = Trust.FULL
        for key, bucket in buckets.items():
            # One not seen before a jump may have been counted by the clock of before.
            seen = self._seen.get((provider, key)) or _Sighting(bucket.at, 0)
            if bucket.at > now + _AHEAD_S + 2 * bucket.window_s:
                seen.ahead_since = steady if seen.ahead_since is None else seen.ahead_since
                self._see(provider, key, seen)
                if steady - seen.ahead_since < _LEARNT_WITHIN_S:
                    return Trust.NONE
            elif seen.jumps == jumps and bucket.at >= seen.at - _BACKWARDS_S:
                self._see(provider, key, _Sighting(bucket.at, jumps))
                continue
            bucket.restart(now)
            trust = Trust.RESTARTED
        return trust

    def stored(self, provider: str, buckets: Mapping[BucketKey, Bucket], jumps: int) -> None:
        """The buckets stand in the database as they are here."""
        for key, bucket in buckets.items():
            self._see(provider, key, _Sighting(bucket.at, jumps))

    def _see(self, provider: str, key: BucketKey, sighting: _Sighting) -> None:
        self._seen[provider, key] = sighting
        self._seen.move_to_end((provider, key))
        if len(self._seen) > _MOST:
            self._seen.popitem(last=False)
