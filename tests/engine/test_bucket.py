"""The law of limits, on pure arithmetic: no window holds more than its number, and nearly all of it is used."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.bucket import Ask, Bucket, BucketKey, Charge, Later, Slot, Window, Word, decide

KEY = BucketKey(b"account", "all", 1000)
OTHER = BucketKey(b"sync", "sync", 10_000)
WORD = BucketKey(b"account", "all", 0)

limits = st.tuples(st.integers(1, 400), st.sampled_from([1.0, 2.0, 10.0, 60.0, 3600.0]))
draws = st.lists(st.floats(0, 1), min_size=1, max_size=50)


def most_in(moments: Sequence[float], window_s: float) -> int:
    """The most of the moments (in order) that any half-open window of this length holds."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def send(
    buckets: dict[BucketKey, Bucket], hunger: Sequence[float], late: Sequence[float], requests: int
) -> list[float]:
    """Moments of sending of a client that asks now and then (`hunger`: pauses) and sends each as late as it may."""
    now, sent = 0.0, []
    ask = Ask(tuple(Charge(key, 1.0) for key in buckets), (), 0.25)
    turn = 0
    while len(sent) < requests:
        [answer] = decide([ask], buckets, {}, now)
        turn += 1
        if isinstance(answer, Later):
            assert answer.at > now
            now = answer.at
            continue
        assert answer.ends > answer.begins >= now
        sent.append(answer.begins + late[turn % len(late)] * (answer.ends - answer.begins))
        window_s = min(bucket.window_s for bucket in buckets.values())
        now += hunger[turn % len(hunger)] ** 4 * window_s
    return sorted(sent)


@given(limits, draws, draws)
def test_no_window_holds_more_than_its_number_however_late_the_senders(
    limit: tuple[int, float], hunger: list[float], late: list[float]
) -> None:
    allowed, window_s = limit
    sent = send({KEY: Bucket.fresh(allowed, window_s, 0.0)}, hunger, late, 3 * allowed + 20)
    assert most_in(sent, window_s) <= allowed


@given(limits, limits, draws, draws)
def test_two_limits_at_once_are_both_kept(
    one: tuple[int, float], two: tuple[int, float], hunger: list[float], late: list[float]
) -> None:
    buckets = {KEY: Bucket.fresh(*one, 0.0), OTHER: Bucket.fresh(*two, 0.0)}
    sent = send(buckets, hunger, late, 3 * min(one[0], two[0]) + 20)
    assert most_in(sent, one[1]) <= one[0]
    assert most_in(sent, two[1]) <= two[0]


@given(limits)
def test_a_client_that_always_wants_uses_nearly_all(limit: tuple[int, float]) -> None:
    allowed, window_s = limit
    sent = send({KEY: Bucket.fresh(allowed, window_s, 0.0)}, [0.0], [0.0], 6 * allowed + 1)
    rate = (len(sent) - 1) / (sent[-1] - sent[0])
    assert rate >= 0.85 * allowed / window_s


@given(st.integers(10, 100_000), st.sampled_from([1.0, 10.0, 3600.0]))
def test_the_burst_is_a_tenth(allowed: int, window_s: float) -> None:
    window = Window.of(allowed, window_s)
    at_once = window.depth + window.rate * window.lateness_s
    assert at_once < max(1.0, allowed / 10) + 1


def test_few_are_spaced_evenly() -> None:
    sent = send({KEY: Bucket.fresh(5, 10.0, 0.0)}, [0.0], [0.0], 6)
    gaps = [later - earlier for earlier, later in pairwise(sent)]
    assert max(gaps) - min(gaps) < 1e-6
    assert 2.0 <= gaps[0] < 2.2


def test_less_than_one_a_window_is_one_in_a_longer_window() -> None:
    assert Window.of(0.5, 1.0) == Window(1, 2.0)
    assert Window.of(3.9, 1.0) == Window(3, 1.0)


@given(st.lists(st.floats(0.1, 40), min_size=1, max_size=60))
def test_costs_are_paid_in_the_long_run(costs: list[float]) -> None:
    bucket, now = Bucket.fresh(100, 1.0, 0.0), 0.0
    for cost in costs:
        ask = Ask((Charge(KEY, cost),), (), 0.25)
        while isinstance(answer := decide([ask], {KEY: bucket}, {}, now)[0], Later):
            now = answer.at
    assert sum(costs[:-1]) <= 100 * (bucket.at + 1.0)


def test_a_shorter_horizon_comes_after_a_longer_one() -> None:
    bucket = Bucket.fresh(10, 1.0, 0.0)
    pressing, patient = (Ask((Charge(KEY, 1.0),), (), horizon) for horizon in (0.25, 0.05))
    answers = decide([pressing, pressing, patient, pressing], {KEY: bucket}, {}, 0.0)
    assert [type(answer) for answer in answers] == [Slot, Slot, Later, Slot]


def test_an_ask_that_is_put_off_takes_nothing() -> None:
    slow, quick = Bucket.fresh(1, 100.0, 0.0), Bucket.fresh(50, 1.0, 0.0)
    buckets = {KEY: quick, OTHER: slow}
    ask = Ask((Charge(KEY, 1.0), Charge(OTHER, 1.0)), (), 0.25)
    assert isinstance(decide([ask], buckets, {}, 0.0)[0], Slot)
    before = (quick.tokens, slow.tokens)
    [answer] = decide([ask], buckets, {}, 0.0)
    assert isinstance(answer, Later)
    assert (quick.tokens, slow.tokens) == before


def test_nothing_goes_out_before_the_provider_allows_it_again() -> None:
    ask = Ask((Charge(KEY, 1.0),), (Charge(WORD, 1.0),), 0.25)
    buckets, words = {KEY: Bucket.fresh(50, 1.0, 0.0)}, {WORD: Word(blocked_until=7.0)}
    assert decide([ask], buckets, words, 0.0) == [Later(7.0, blocked=True)]
    assert isinstance(decide([ask], buckets, words, 7.0)[0], Slot)


def test_what_the_provider_says_is_left_is_counted_down_until_it_resets() -> None:
    ask = Ask((Charge(KEY, 1.0),), (Charge(WORD, 1.0),), 0.25)
    buckets, words = {KEY: Bucket.fresh(1000, 1.0, 0.0)}, {WORD: Word(remaining=2.0, resets_at=5.0)}
    answers = decide([ask] * 3, buckets, words, 0.0)
    assert [type(answer) for answer in answers] == [Slot, Slot, Later]
    assert answers[2] == Later(5.0, blocked=True)
    assert isinstance(decide([ask], buckets, words, 5.0)[0], Slot)
    assert words[WORD].remaining is None


def test_without_limits_requests_share_one_grant_unless_the_provider_counts() -> None:
    ask = Ask((), (Charge(WORD, 1.0),), 0.25)
    [free] = decide([ask], {}, {}, 0.0)
    [counted] = decide([ask], {}, {WORD: Word(remaining=9.0, resets_at=5.0)}, 0.0)
    assert isinstance(free, Slot)
    assert isinstance(counted, Slot)
    assert (free.open, counted.open) == (True, False)


def test_a_refused_limit_is_used_less_and_comes_back_within_ten_minutes() -> None:
    bucket = Bucket.fresh(50, 1.0, 0.0)
    bucket.refuse()
    assert bucket.window.allowed == 35
    for _ in range(40):
        bucket.refuse()
    assert bucket.allowed >= 2.5
    bucket.advance(300.0)
    assert 25 < bucket.allowed < 50
    bucket.advance(601.0)
    assert bucket.allowed == 50


def test_a_lowered_limit_counts_at_once() -> None:
    bucket = Bucket.fresh(1000, 10.0, 0.0)
    bucket.published = 10
    bucket.advance(0.0)
    assert bucket.window == Window(10, 10.0)
    assert bucket.tokens == 1.0


@given(
    st.integers(1, 60),
    st.sampled_from([1.0, 10.0]),
    st.lists(st.tuples(st.integers(1, 70), st.floats(0, 0.3)), min_size=5, max_size=60),
    draws,
)
def test_no_window_holds_more_than_its_number_whatever_the_requests_cost(
    allowed: int, window_s: float, wanted: list[tuple[int, float]], late: list[float]
) -> None:
    bucket, now = Bucket.fresh(allowed, window_s, 0.0), 0.0
    sent: list[tuple[float, int]] = []
    for number, (cost, pause) in enumerate(wanted):
        ask = Ask((Charge(KEY, float(cost)),), (), 0.25)
        while isinstance(answer := decide([ask], {KEY: bucket}, {}, now)[0], Later):
            assert answer.at > now
            now = answer.at
        moment = answer.begins + late[number % len(late)] * (answer.ends - answer.begins)
        sent.append((moment, min(cost, allowed)))
        now += pause * window_s
    sent.sort()
    for last, (moment, _) in enumerate(sent):
        held = sum(cost for begun, cost in sent[: last + 1] if begun > moment - window_s)
        assert held <= allowed


@given(st.integers(2, 30), st.sampled_from([12, 60, 900]))
def test_a_costly_request_is_not_kept_waiting_by_cheap_ones(cost: int, allowed: int) -> None:
    """Those of cost one always want, and their process is as quick to ask."""
    bucket, now = Bucket.fresh(allowed, 1.0, 0.0), 0.0
    cheap, costly = Ask((Charge(KEY, 1.0),), (), 0.15), Ask((Charge(KEY, float(cost)),), (), 0.2)
    granted: Slot | None = None
    while granted is None:
        assert now < 20 * (1 + cost / allowed), "it starves"
        decide([cheap] * allowed, {KEY: bucket}, {}, now)
        [answer] = decide([costly], {KEY: bucket}, {}, now)
        granted = answer if isinstance(answer, Slot) else None
        now += 0.01
