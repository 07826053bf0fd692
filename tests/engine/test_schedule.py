"""When readings are due."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.catch import trips
from headrace.engine.schedule import (
    MOST_JITTER,
    RUN_EVERY,
    Tempo,
    back_off,
    first_run,
    jitter,
    last_read,
    next_interval,
    run_after,
)
from headrace.ids import uuid7

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HALF = timedelta(milliseconds=500)
MINUTE = timedelta(minutes=1)

moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


def test_a_lively_sync_is_read_as_fast_as_manners_allow() -> None:
    tempo = Tempo(NOW, MINUTE, changed_at=NOW - timedelta(minutes=9))
    assert next_interval(MINUTE, tempo, HALF) == HALF


def test_an_idle_sync_slows_down_to_its_longest_pause() -> None:
    tempo = Tempo(NOW, MINUTE, changed_at=NOW - timedelta(minutes=11))
    pauses = [timedelta(0)]
    while pauses[-1] < MINUTE:
        pauses.append(next_interval(pauses[-1], tempo, HALF))
    assert [pause.total_seconds() for pause in pauses[1:]] == [0.5, 1, 2, 4, 8, 16, 32, 60]
    assert next_interval(MINUTE, tempo, HALF) == MINUTE


def test_the_longest_pause_holds_for_a_slow_source_too() -> None:
    assert next_interval(timedelta(0), Tempo(NOW, HALF), timedelta(seconds=5)) == HALF


@given(moments, moments)
def test_after_the_clock_was_set_back_the_next_read_is_not_put_off(read_at: datetime, now: datetime) -> None:
    tempo = Tempo(now, MINUTE)
    due = last_read(read_at, tempo) + next_interval(MINUTE, tempo, HALF)
    assert due <= now + MINUTE + timedelta(seconds=3)
    assert read_at > now or due == read_at + MINUTE


@given(st.uuids())
def test_jitter_is_the_same_for_ever_and_at_most_ten_minutes(sync_id: UUID) -> None:
    assert timedelta(0) <= jitter(sync_id) == jitter(sync_id) < MOST_JITTER
    assert first_run(NOW, sync_id) == NOW + RUN_EVERY + jitter(sync_id)


def test_jitter_spreads_syncs_made_at_once() -> None:
    spread = {int(jitter(uuid7(1.0)).total_seconds() // 60) for _ in range(500)}
    assert spread == set(range(10))


@given(moments, moments)
def test_a_late_run_runs_once_and_keeps_to_its_hours(due: datetime, now: datetime) -> None:
    following = run_after(due, now)
    assert following > now
    assert (following - due) % RUN_EVERY == timedelta(0)
    assert following == due or following - now <= RUN_EVERY


@given(st.integers(1, 10_000))
def test_back_off_doubles_up_to_its_most(failures: int) -> None:
    wait = back_off(failures, timedelta(seconds=1), timedelta(minutes=5))
    assert wait == min(timedelta(seconds=2 ** min(failures - 1, 20)), timedelta(minutes=5))


@given(st.integers(0, 100_000), st.integers(0, 100_000))
def test_the_safety_catch_falls_as_it_is_promised(going: int, held: int) -> None:
    a_tenth = going > 100 and going * 10 > held
    everything = held > 10 and going >= held
    assert trips(going, held) == (a_tenth or everything)
