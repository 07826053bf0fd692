"""Which limits count a request: the provider's for the account, and the sync's own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from headrace.control.syncs import RateLimit, Sync
from headrace.engine.access import Access
from headrace.engine.bucket import BucketKey, Charge
from headrace.engine.ledger import WORD, Published
from headrace.http import Request
from headrace.providers.kit import Limit, Remaining
from headrace.settings import Settings

ALL = "all"
SYNC = "sync"
SWEEP = "sweep"
SWEEP_PART = 5
"""All sweeps of a sync together may have the fifth part of its pace."""
_LONGEST_MS = 2**31 - 1
_LONGEST_WORD_S = 86_400.0
_ROLLING_PART = 24
"""A window of a day that rolls is asked about every hour."""


@dataclass(frozen=True, slots=True)
class SyncLimit:
    """A sync's own limit as configured; `rate_limit` None: the provider's default."""

    sync_id: UUID
    rate_limit: RateLimit | None

    @classmethod
    def of(cls, sync: Sync) -> "SyncLimit":
        return cls(sync.id, sync.rate_limit)


@dataclass(frozen=True, slots=True)
class Counted:
    """How a request is counted: its charges, the words that it heeds, and the limits behind the charges.

    `endpoint` is its limit class, `concurrent` the most requests at once by whom it is counted (0: no limit).
    """

    charges: tuple[Charge, ...]
    words: tuple[Charge, ...]
    published: Published
    endpoint: str
    concurrent: tuple[tuple[bytes, str, int], ...]


Override = tuple[Limit, ...] | None
"""What takes the place of the provider's limits for a credential with a `base_url`; None: nothing does."""


def override_of(settings: Settings) -> Override:
    """`HEADRACE_LIMITS_OVERRIDE`: `none`, or requests per second."""
    text = settings.limits_override
    if text is None:
        return None
    return () if text.strip().lower() == "none" else (Limit(float(text), 1.0),)


def counted(
    access: Access, sync: SyncLimit | None, request: Request, override: Override, *, sweeping: bool = False
) -> Counted:
    """The limits that count this request. `sweeping`: it is a sweep's, so that the part of the pace that these may have
    counts it as well.

    A request of a class beside `all` counts as one in `all` and with its cost in its class; the sync's own limit counts
    requests. A credential with a development `base_url` keeps the provider's published limits unless
    `HEADRACE_LIMITS_OVERRIDE` says otherwise; the override takes the place of the sync's default too, not of a
    `rate_limit` that was set.
    """
    overridden = access.base_url is not None and override is not None
    published: dict[BucketKey, tuple[float, float]] = {}
    charges: list[Charge] = []
    for limit in _provider_limits(access, request.limit_class, override):
        key = _key(access.account_hash, limit.limit_class, limit.window_s)
        published[key] = (limit.allowed, limit.window_s)
        charges.append(Charge(key, request.cost if limit.limit_class == request.limit_class else 1.0))
    own = _own_limit(access, sync, overridden)
    if sync is not None and own is not None:
        key = _key(sync.sync_id.bytes, SYNC, own.interval)
        published[key] = (own.allowed_requests, own.interval)
        charges.append(Charge(key, 1.0))
    if sweeping and sync is not None:
        for allowed, window_s in _pace(own, override):
            key = _key(sync.sync_id.bytes, SWEEP, window_s)
            published[key] = (allowed / SWEEP_PART, window_s)
            charges.append(Charge(key, 1.0))
    return Counted(
        tuple(charges),
        tuple(_words(access.account_hash, request, published)),
        published,
        request.limit_class,
        _concurrent(access, sync, own, overridden),
    )


def _words(owner: bytes, request: Request, published: Published) -> Iterator[Charge]:
    """The words that the request heeds: of its class and of all, those about one window and those about none."""
    for name in sorted({ALL, request.limit_class}):
        windows = [key.window_ms for key in published if (key.owner, key.limit_class) == (owner, name)]
        for about in (WORD, *(-window_ms for window_ms in windows)):
            yield Charge(BucketKey(owner, name, about), request.cost if name == request.limit_class else 1.0)


def published_of_class(access: Access, limit_class: str, override: Override) -> Published:
    """The account's windows of one class, as `Ledger.refused` wants them."""
    limits = [limit for limit in _provider_limits(access, limit_class, override) if limit.limit_class == limit_class]
    return {_key(access.account_hash, limit_class, limit.window_s): (limit.allowed, limit.window_s) for limit in limits}


def word_of(access: Access, left: Remaining, override: Override) -> tuple[BucketKey, float] | None:
    """What a word of the headers is about, and for how many seconds it holds; None where it binds no more than our own
    windows do.

    A word that names its reset is about the shortest window that reaches to it. One that names none is about the
    longest, and holds for a part of it: where a limit rolls there is no moment at which all comes back, and the next
    answers tell anew.
    """
    published = published_of_class(access, left.limit_class, override)
    windows = sorted(published, key=lambda key: key.window_ms)
    if left.resets_in_s is None:
        if not windows:
            return None
        about, holds_s = -windows[-1].window_ms, windows[-1].window_ms / 1000 / _ROLLING_PART
    else:
        reaching = (key.window_ms for key in windows if key.window_ms >= 1000 * left.resets_in_s)
        about, holds_s = -next(reaching, WORD), min(max(left.resets_in_s, 0.0), _LONGEST_WORD_S)
    spent = min((n / window_s for n, window_s in published.values()), default=0.0) * holds_s
    if left.remaining >= max(spent, 1.0):
        return None
    return BucketKey(access.account_hash, left.limit_class, about), holds_s


def _provider_limits(access: Access, limit_class: str, override: Override) -> Sequence[Limit]:
    if access.base_url is not None and override is not None:
        return override
    policy = access.provider.limits
    limits = [limit for limit in policy.limits if limit.limit_class in (ALL, limit_class)]
    every = policy.per_endpoint
    if every is not None and limit_class != ALL and not any(limit.limit_class == limit_class for limit in limits):
        limits.append(replace(every, limit_class=limit_class))
    return [limit for limit in limits if limit.mode in (None, access.mode)]


def _own_limit(access: Access, sync: SyncLimit | None, overridden: bool) -> RateLimit | None:
    if sync is None or (sync.rate_limit is None and overridden):
        return None
    return sync.rate_limit or RateLimit(*access.provider.default_rate_limit(access.mode))


def _pace(own: RateLimit | None, override: Override) -> list[tuple[float, float]]:
    """What a sync may ask for in which seconds, as it is configured; where its limit is overridden, what took the place
    of it."""
    if own is not None:
        return [(own.allowed_requests, own.interval)]
    return [(limit.allowed, limit.window_s) for limit in override or ()]


def _concurrent(
    access: Access, sync: SyncLimit | None, own: RateLimit | None, overridden: bool
) -> tuple[tuple[bytes, str, int], ...]:
    found = []
    if access.provider.limits.concurrent and not overridden:
        found.append((access.account_hash, ALL, access.provider.limits.concurrent))
    if sync is not None and own is not None and own.max_concurrent_requests:
        found.append((sync.sync_id.bytes, SYNC, own.max_concurrent_requests))
    return tuple(found)


def _key(owner: bytes, limit_class: str, window_s: float) -> BucketKey:
    return BucketKey(owner, limit_class, min(max(1, round(window_s * 1000)), _LONGEST_MS))
