"""Syncs of one account have equal parts of its limit, whichever process they are in."""

from uuid import UUID

from counting import counting
from hypothesis import given
from hypothesis import strategies as st
from test_bucket import most_in
from test_pace import client

from headrace.engine.precedence import Priority
from headrace.engine.shares import Share, Shares
from headrace.ids import uuid7

LEVEL = Priority.BACKFILL
SECONDS = 10
NOBODY = Share([0] * len(Priority), [0.0] * len(Priority))


def of(number: int) -> list[UUID | None]:
    return [UUID(int=each) for each in range(number)]


@given(st.lists(st.integers(1, 8), min_size=2, max_size=4), st.integers(1, 5))
def test_where_who_is_ahead_comes_last_each_sync_has_the_same(sizes: list[int], every: int) -> None:
    """Processes of so many syncs each; they speak after every so many turns, and between these know nothing new."""
    processes = [Shares() for _ in sizes]
    had = [0] * len(sizes)
    turns = 2000
    for turn in range(turns):
        if turn % every == 0:
            told = [each.told((LEVEL, one) for one in of(size)) for each, size in zip(processes, sizes, strict=True)]
            for number, each in enumerate(processes):
                each.heed([share for other, share in enumerate(told) if other != number])
        behind = [number for number, each in enumerate(processes) if not each.ahead(LEVEL)] or [*range(len(sizes))]
        served = behind[turn % len(behind)]
        processes[served].served(LEVEL)
        had[served] += 1
    fair = [turns * size / sum(sizes) for size in sizes]
    assert all(abs(each - right) <= 0.1 * turns for each, right in zip(had, fair, strict=True)), (had, fair)


def test_one_that_is_alone_is_never_ahead() -> None:
    shares = Shares()
    for _ in range(100):
        shares.served(LEVEL)
    shares.heed([])
    assert not shares.ahead(LEVEL)
    shares.heed([NOBODY])
    assert not shares.ahead(LEVEL)


def test_a_process_of_a_release_that_knew_fewer_priorities_is_understood() -> None:
    shares = Shares()
    shares.heed([Share([1] * (LEVEL - 1), [3.0] * (LEVEL - 1))])
    assert not shares.ahead(LEVEL)


def test_what_was_missed_long_ago_is_not_made_up_for() -> None:
    """One that had nothing to do for a day has as much as the others when it is back, but for a few turns."""
    busy, back = Shares(), Shares()
    busy.told([(LEVEL, None)])
    for _ in range(1000):
        busy.served(LEVEL)
    back.heed([busy.told([(LEVEL, None)])])
    turns = 0
    while not back.ahead(LEVEL):
        back.served(LEVEL)
        turns += 1
        back.heed([busy.told([(LEVEL, None)])])
    assert turns <= 25


async def test_three_syncs_in_one_process_have_more_than_one_in_another(dsn: str) -> None:
    """By process it would be a half for each."""
    allowed = 10
    names = ",".join(str(uuid7()) for _ in range(3))
    async with counting(answer_after_s=0.01) as of_one, counting(answer_after_s=0.01) as of_three:
        one = await client(dsn, of_one, allowed, 1.0, SECONDS, 4, 1000, 1, uuid7())
        three = await client(dsn, of_three, allowed, 1.0, SECONDS, 4, 1000, 1, names)
        for process in (one, three):
            assert await process.wait() == 0
    began = max(of_one.moments[0], of_three.moments[0])
    part, rest = (sum(moment >= began for moment in server.moments) for server in (of_one, of_three))
    assert 0 < part < 0.4 * (part + rest)
    assert most_in(sorted([*of_one.moments, *of_three.moments]), 0.75) <= allowed
