"""Windows: cut without a gap or an overlap, rounded outwards or inwards as told, shared so that nothing is left out."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.windows import ceil_to, floor_to, halves, share_newer, share_older
from headrace.providers.kit import Window

moments = st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1), timezones=st.just(UTC))
grains = st.sampled_from([timedelta(microseconds=1), timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)])


@given(moments, grains)
def test_rounding_moves_by_less_than_a_grain_and_stays_when_repeated(moment: datetime, grain: timedelta) -> None:
    low, high = floor_to(moment, grain), ceil_to(moment, grain)
    assert low <= moment <= high
    assert moment - low < grain
    assert high - moment < grain
    assert floor_to(low, grain) == low == ceil_to(low, grain)


@given(moments, st.timedeltas(timedelta(0), timedelta(days=400)), grains)
def test_halves_meet_and_cover_the_whole(lo: datetime, span: timedelta, floor: timedelta) -> None:
    window = Window(lo, lo + span)
    cut = halves(window, floor)
    if cut is None:
        assert span <= max(floor, timedelta(microseconds=1))
    else:
        older, newer = cut
        assert (older.lo, older.hi, newer.hi) == (window.lo, newer.lo, window.hi)
        assert lo < newer.lo < window.hi  # type: ignore[operator]


@given(moments, st.timedeltas(timedelta(0), timedelta(days=400)), grains)
def test_halving_comes_to_an_end(lo: datetime, span: timedelta, floor: timedelta) -> None:
    window = Window(lo, lo + span)
    for _ in range(80):
        cut = halves(window, floor)
        if cut is None:
            return
        window = max(cut, key=lambda half: half.hi - half.lo)  # type: ignore[operator]
    raise AssertionError(f"{window} is still cut")


def test_an_open_window_has_no_halves() -> None:
    assert halves(Window(None, datetime.now(UTC)), timedelta(seconds=1)) is None


@given(moments, st.timedeltas(timedelta(0), timedelta(days=400)), st.timedeltas(timedelta(0), timedelta(days=400)))
def test_an_older_share_lies_between_the_bound_and_what_was_read(
    lo: datetime, left: timedelta, read: timedelta
) -> None:
    at = lo + left
    cut = share_older(Window(lo, None), at, at + read)
    assert cut is None or lo < cut < at


@given(moments, st.timedeltas(timedelta(0), timedelta(days=400)))
def test_without_a_bound_the_part_that_stays_is_as_long_as_what_was_read(at: datetime, read: timedelta) -> None:
    cut = share_older(Window(None, None), at, at + read)
    assert cut is not None
    assert at - read - timedelta(seconds=2) <= cut < at


@given(moments, st.timedeltas(timedelta(0), timedelta(days=400)))
def test_a_newer_share_lies_between_what_was_read_and_the_bound(at: datetime, left: timedelta) -> None:
    cut = share_newer(Window(None, at + left), at, at)
    assert cut is None or at < cut < at + left
