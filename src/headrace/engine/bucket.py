"""The arithmetic of limits, without I/O: when may the next request go out?

A limit of N in any window W is kept by a bucket that gives out *slots*: moments from which one request may be sent. A
slot that is not used lapses `lateness_s` after it began; a sender whose event loop was late may use it until then. What
is promised counts the moments of sending: no window W holds more than N of them, and a burst is at most
max(1, N/10) + lateness. Slots may lie close together up to `depth`, and are added at `rate` after that; the senders'
lateness is paid from the burst, so `depth` is what is left of it. With slots counted in whole requests,

    floor(depth + rate * (window + lateness)) <= N

which the properties below solve for `depth` (N >= 10) or for `rate` (N < 10, where slots are simply spaced).

A request of a greater cost counts as so many. Up to `depth` it waits until that much is there, and goes. One that costs
more waits for a full bucket, then for as long as the rest takes to come in, and is paid off after: so no window around
it holds more than N either, at the price of half of the limit while it lasts. One above N counts as N.

Times are seconds (Unix, the database's clock).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import NamedTuple

FREE_S = 0.25
"""How long a grant holds where no limit applies: then the provider's word is read again."""
GIVEN_OUT_S = 0.25
"""How far ahead slots are given out, at most; those of a greater cost by the time in which it gathers more."""
_MOST_LATENESS_S = 0.2
_RECOVERY_S = 600.0
_REFUSED = 0.7
_LEAST = 0.05
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Window:
    """At most `allowed` (whole, >= 1) in any `window_s` seconds; `of` makes it from any positive numbers."""

    allowed: int
    window_s: float

    @classmethod
    def of(cls, allowed: float, window_s: float) -> "Window":
        """Half a request a second is one request in two seconds; fractions above one are rounded down."""
        return cls(1, window_s / allowed) if allowed < 1 else cls(floor(allowed), window_s)

    @property
    def spaced(self) -> bool:
        """So few that they are simply spaced evenly."""
        return self.allowed < 10

    @property
    def lateness_s(self) -> float:
        """How long after its moment a slot may still be used."""
        return min(self.window_s / (20 if self.spaced else 10), _MOST_LATENESS_S)

    @property
    def rate(self) -> float:
        """Slots per second in the long run."""
        if self.spaced:
            return self.allowed / (self.window_s + self.lateness_s) / (1 + _EPSILON)
        return 0.9 * self.allowed / self.window_s

    def counts(self, cost: float) -> float:
        """What a request of this cost takes from the bucket."""
        return min(cost, float(self.allowed))

    @property
    def depth(self) -> float:
        """How many slots may begin at one moment."""
        if self.spaced:
            return 1.0
        burst = self.allowed / 10
        return max(1.0, min(burst, burst + 1 - self.rate * self.lateness_s - _EPSILON))


class BucketKey(NamedTuple):
    """A row of `limit_buckets` of one provider. `owner` is the account's hash, or the id of a sync for its own limit;
    `window_ms` 0 is the row of the provider's word (see `Word`)."""

    owner: bytes
    limit_class: str
    window_ms: int


@dataclass(slots=True)
class Bucket:
    """One window of a limit as it stands: `tokens` at the moment `at`, which may lie ahead by what is given out.

    `published` is N as it is configured now; `allowed` is what is used of it: less after a refusal, and back again
    evenly within ten minutes.
    """

    published: float
    window_s: float
    allowed: float
    tokens: float
    at: float

    @classmethod
    def fresh(cls, published: float, window_s: float, now: float) -> "Bucket":
        window = Window.of(published, window_s)
        return cls(published, window_s, published, window.depth, now)

    @property
    def window(self) -> Window:
        return Window.of(self.allowed, self.window_s)

    def advance(self, now: float) -> None:
        """Bring the bucket to `now`; nothing changes when it is ahead already."""
        elapsed = max(0.0, now - self.at)
        self.allowed = min(self.published, self.allowed + self.published * elapsed / _RECOVERY_S)
        window = self.window
        self.tokens = min(window.depth, self.tokens + window.rate * elapsed)
        self.at = max(self.at, now)

    def restart(self, now: float) -> None:
        """The clock jumped, so that nobody knows how much time has passed: count anew, with nothing in hand, from when
        what was given out before has gone or lapsed."""
        self.tokens, self.at = min(self.tokens, 0.0), now + GIVEN_OUT_S

    def earliest(self, cost: float) -> float:
        """The moment from which a request of this cost may go; the bucket is to be advanced to now before."""
        window = self.window
        missing = window.counts(cost) - self.tokens
        return self.at + missing / window.rate if missing > _EPSILON else self.at

    def gathers_s(self, cost: float) -> float:
        """How long what the cost has above one takes to come in: for so long nothing else may be given out."""
        return max(0.0, self.window.counts(cost) - 1) / self.window.rate

    def offer(self, cost: float, begins: float) -> float:
        """The moment of the slot that this bucket gives to a request which other limits let begin at `begins`: its
        earliest, or, so that the slot does not lapse first, half of the lateness before."""
        return max(self.earliest(cost), begins - self.window.lateness_s / 2)

    def take(self, cost: float, slot: float) -> float:
        """Give out the slot of this moment, which is not before `earliest`; returns when it lapses."""
        window = self.window
        self.tokens = min(window.depth, self.tokens + window.rate * (slot - self.at)) - window.counts(cost)
        self.at = slot
        return slot + window.lateness_s

    def refuse(self) -> None:
        """The provider refused although we kept to the limit: somebody else uses it too. Use less of it."""
        self.allowed = max(self.allowed * _REFUSED, self.published * _LEAST)
        self.tokens = min(self.tokens, 0.0)


@dataclass(slots=True)
class Word:
    """What the provider said: nothing before `blocked_until`, and at most `remaining` before `resets_at`."""

    blocked_until: float = 0.0
    remaining: float | None = None
    resets_at: float = 0.0

    def earliest(self, now: float, cost: float) -> float:
        out = self.remaining is not None and now < self.resets_at and self.remaining < cost
        return max(now, self.blocked_until, self.resets_at if out else 0.0)

    def take(self, slot: float, cost: float) -> None:
        if self.remaining is not None:
            self.remaining = self.remaining - cost if slot < self.resets_at else None


class Charge(NamedTuple):
    """What a request costs in one bucket."""

    bucket: BucketKey
    cost: float


class Ask(NamedTuple):
    """A request that wants to go out: its charges, the words that it must heed, and how far ahead of now its slot may
    lie. A greater horizon is a higher precedence: the others are told to come back later."""

    charges: tuple[Charge, ...]
    words: tuple[Charge, ...]
    horizon_s: float


class Slot(NamedTuple):
    """Granted: the request may be sent from `begins` until `ends`. `open`: no limit counts it, so that any number of
    requests like it may be sent. `following`: for each charge, when its bucket could give the next slot."""

    begins: float
    ends: float
    open: bool = False
    following: tuple[float, ...] = ()


class Later(NamedTuple):
    """Not granted, nothing taken: ask again at `at`. `blocked` says that the provider's word is the reason."""

    at: float
    blocked: bool = False


def decide(
    asks: Sequence[Ask], buckets: Mapping[BucketKey, Bucket], words: Mapping[BucketKey, Word], now: float
) -> list[Slot | Later]:
    """Answer the asks in their order, changing buckets and words. A word that is not in `words` was not spoken.

    Every bucket of an ask gives a slot of its own; the grant begins with the latest of them and ends when the first of
    them lapses. An ask that lies beyond its horizon is put off until half of the horizon is free again, so that it is
    worth the asking. A greater cost reaches farther, by the time in which it gathers: else those of cost one that
    always want would never leave as much.
    """
    for bucket in buckets.values():
        bucket.advance(now)
    return [_answer(ask, buckets, words, now) for ask in asks]


def _answer(ask: Ask, buckets: Mapping[BucketKey, Bucket], words: Mapping[BucketKey, Word], now: float) -> Slot | Later:
    heeded = [(words[key], cost) for key, cost in ask.words if key in words]
    charged = [(buckets[key], cost) for key, cost in ask.charges]
    begins = max((bucket.earliest(cost) for bucket, cost in charged), default=now)
    told = max((word.earliest(now, cost) for word, cost in heeded), default=now)
    if told > begins:
        return Later(told, blocked=True)
    reach_s = max((bucket.gathers_s(cost) for bucket, cost in charged), default=0.0)
    if begins > now + reach_s + ask.horizon_s + _EPSILON:
        return Later(begins - reach_s - ask.horizon_s / 2)
    lapses = [bucket.take(cost, bucket.offer(cost, begins)) for bucket, cost in charged]
    for word, cost in heeded:
        word.take(begins, cost)
    free = not charged and all(word.remaining is None for word, _ in heeded)
    return Slot(
        begins, min(lapses, default=now + FREE_S), free, tuple(bucket.earliest(cost) for bucket, cost in charged)
    )
