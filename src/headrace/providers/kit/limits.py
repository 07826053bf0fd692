"""How often a provider lets itself be asked, and what its refusals look like: data for the engine's pace."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from headrace.http import Response


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `allowed` (requests, or points of cost) in any window of `window_s` seconds.

    `limit_class` is the endpoint class that it counts; `all` counts every request. `mode` narrows it to `live` or
    `test` accounts, None to both.
    """

    allowed: float
    window_s: float
    limit_class: str = "all"
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class TooMany:
    """A refusal for too many requests: wait `retry_after_s` (None: unknown, back off), for which class (None: that of
    the request refused), and whether it is a daily quota that comes back only at `until`."""

    retry_after_s: float | None = None
    limit_class: str | None = "all"
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Remaining:
    """What an answer's headers say is left of a limit of this class: believed when lower than our own count.

    `resets_in_s`: all of it is back so many seconds from now; it also tells which of several windows is meant, since a
    limit resets within its window. None: the limit rolls, or the provider does not say; the longest window is meant.
    """

    remaining: float
    limit_class: str = "all"
    resets_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """The provider's limits for one account.

    `per_endpoint` applies to each `Request.limit_class` beside `all` that has no limit of its own among `limits`: a
    window for each endpoint, base or search. `concurrent` is the most requests at once, 0 for no limit.
    """

    limits: tuple[Limit, ...]
    per_endpoint: Limit | None = None
    concurrent: int = 0
    too_many: Callable[[Response], TooMany | None] = lambda response: (
        TooMany(retry_after_s(response)) if response.status == 429 else None
    )
    remaining: Callable[[Response], tuple[Remaining, ...]] = lambda response: ()


def retry_after_s(response: Response) -> float | None:
    """Retry-After in seconds or as an HTTP date (RFC 9110 §10.2.3), counted from when the request was sent; None when
    absent or unreadable. Zero and times past are given as 0.0: the caller decides the least wait."""

    value = response.headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - response.sent_at).total_seconds())
    except (TypeError, ValueError):
        return None
