"""Who is next: the more pressing first, every fifth turn to a lower one, syncs in turns."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.precedence import FLOOR, FairQueue, Priority


def always(item: object) -> bool:
    return True


def serve(queue: FairQueue[tuple[Priority, str, int]], turns: int) -> list[tuple[Priority, str, int]]:
    """Serve one at a time, as a limit does, each served one coming back at once."""
    served = []
    for _ in range(turns):
        [item] = queue.order(1, always)
        queue.remove(item, served=True)
        served.append(item)
        queue.add(item, item[0], item[1])
    return served


def test_the_most_pressing_goes_first_and_every_fifth_turn_goes_to_the_others() -> None:
    queue: FairQueue[tuple[Priority, str, int]] = FairQueue()
    for priority in Priority:
        queue.add((priority, "sync", 0), priority, "sync")
    share = Counter(priority for priority, _, _ in serve(queue, 300))
    assert share[Priority.MUTATION] == 300 - 300 // FLOOR
    assert {share[priority] for priority in Priority if priority is not Priority.MUTATION} == {15}


def test_alone_a_low_priority_has_every_turn() -> None:
    queue: FairQueue[tuple[Priority, str, int]] = FairQueue()
    queue.add((Priority.BACKFILL, "a", 0), Priority.BACKFILL, "a")
    assert len(serve(queue, 20)) == 20


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 30), min_size=2))
def test_syncs_take_turns_however_many_requests_each_has(waiting: dict[str, int]) -> None:
    queue: FairQueue[tuple[Priority, str, int]] = FairQueue()
    for sync, requests in waiting.items():
        for number in range(requests):
            queue.add((Priority.CHANGES, sync, number), Priority.CHANGES, sync)
    share = Counter(sync for _, sync, _ in serve(queue, 10 * len(waiting)))
    assert set(share.values()) == {10}


@given(st.lists(st.tuples(st.sampled_from(Priority), st.sampled_from("abc")), max_size=40), st.integers(1, 50))
def test_looking_changes_nothing_and_each_is_named_once(waiting: list[tuple[Priority, str]], most: int) -> None:
    queue: FairQueue[tuple[Priority, str, int]] = FairQueue()
    for number, (priority, sync) in enumerate(waiting):
        queue.add((priority, sync, number), priority, sync)
    first = queue.order(most, always)
    assert first == queue.order(most, always)
    assert len(set(first)) == len(first) == min(most, len(waiting))


@given(st.lists(st.sampled_from(Priority), min_size=1, max_size=30), st.integers(1, 8))
def test_a_batch_is_ordered_as_single_turns_would_be(priorities: list[Priority], most: int) -> None:
    batch: FairQueue[int] = FairQueue()
    single: FairQueue[int] = FairQueue()
    for number, priority in enumerate(priorities):
        batch.add(number, priority, number)
        single.add(number, priority, number)
    expected = []
    for _ in range(min(most, len(priorities))):
        [item] = single.order(1, always)
        single.remove(item, served=True)
        expected.append(item)
    assert batch.order(most, always) == expected


def test_in_each_place_the_lower_priorities_have_their_share() -> None:
    """Whatever turns they had in others: the share of one limit is no comfort to those who wait for another."""
    queue: FairQueue[tuple[Priority, str]] = FairQueue()
    places = "abc"
    for place in places:
        for priority in (Priority.CHANGES, Priority.BACKFILL):
            queue.add((priority, place), priority, "sync", ("all", place))
    share: Counter[tuple[Priority, str]] = Counter()
    for turn in range(300):
        place = places[turn % 3]
        [item] = [each for each in queue.order(9, always, lambda item: item[1]) if each[1] == place][:1]
        queue.remove(item, served=True)
        queue.add(item, item[0], "sync", ("all", place))
        share[item] += 1
    assert {share[Priority.BACKFILL, place] for place in places} == {100 // FLOOR}


def test_those_who_are_not_ready_are_passed_over() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add("mutation", Priority.MUTATION, 1)
    queue.add("backfill", Priority.BACKFILL, 1)
    assert queue.order(5, lambda item: item != "mutation") == ["backfill"]


def test_removing_twice_is_no_error() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add("a", Priority.CHANGES, 1)
    queue.remove("a")
    queue.remove("a", served=True)
    assert len(queue) == 0
    assert queue.order(1, always) == []
