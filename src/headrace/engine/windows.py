"""Stretches of time: rounded to a provider's grain, halved at a cap, shared among slices. Pure.

A window is closed: `lo` included, `hi` not (`Window` of the kit). All moments are in the provider's clock.
"""

from datetime import UTC, datetime, timedelta

from headrace.providers.kit import Window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def floor_to(moment: datetime, grain: timedelta) -> datetime:
    """The last multiple of `grain` (counted from 1970) that is not later than `moment`."""
    return moment - (moment - EPOCH) % grain


def ceil_to(moment: datetime, grain: timedelta) -> datetime:
    """The first multiple of `grain` that is not earlier than `moment`."""
    return moment + (EPOCH - moment) % grain


def halves(window: Window, floor: timedelta) -> tuple[Window, Window] | None:
    """The window cut in the middle, on a multiple of `floor`; None when it is open or no longer than `floor`."""
    if window.lo is None or window.hi is None or window.hi - window.lo <= floor:
        return None
    middle = floor_to(window.lo + (window.hi - window.lo) / 2, floor)
    if middle <= window.lo:
        middle = ceil_to(window.lo + floor / 2, floor)
    if not window.lo < middle < window.hi:
        return None
    return Window(window.lo, middle), Window(middle, window.hi)


def share_older(window: Window, at: datetime, newest: datetime) -> datetime | None:
    """Where a reading that goes from new to old, and stands at `at`, gives away its older part: [lo, m) goes, [m, hi)
    stays. None when what is left is too short to share.

    With an open lower end nobody knows how far there is to go: the part that stays is as long as all that was read
    since `newest`, so that the spans double and the end is reached in a few steps.
    """
    if window.lo is None:
        return floor_to(at - max(newest - at, SECOND), SECOND)
    middle = floor_to(window.lo + (at - window.lo) / 2, SECOND)
    return middle if window.lo < middle < at else None


def share_newer(window: Window, at: datetime, newest: datetime) -> datetime | None:
    """The same for a reading that goes from old to new: [lo, m) stays, [m, hi) goes; `newest` is an open end."""
    hi = newest if window.hi is None else window.hi
    middle = ceil_to(at + (hi - at) / 2, SECOND)
    return middle if at < middle < hi else None
