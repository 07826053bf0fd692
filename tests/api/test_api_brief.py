"""What is remembered for a moment is never older than that moment, and never from before a change that is known."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from headrace.api.brief import LIFE_S, Brief


class Source:
    """What is true now, and a clock."""

    def __init__(self) -> None:
        self.value = 1
        self.loads = 0
        self.now = 100.0

    async def load(self) -> int:
        self.loads += 1
        return self.value


async def test_a_value_is_read_once_in_its_life() -> None:
    source = Source()
    brief = Brief[str, int](monotonic=lambda: source.now)
    assert await brief.get("a", source.load) == 1
    source.value = 2
    source.now += LIFE_S - 0.01
    assert await brief.get("a", source.load) == 1
    source.now += 0.02
    assert await brief.get("a", source.load) == 2
    assert source.loads == 2


def test_a_life_is_shorter_than_the_second_that_is_promised() -> None:
    assert LIFE_S < 1


async def test_its_age_counts_from_before_it_was_asked_for() -> None:
    source = Source()
    brief = Brief[str, int](monotonic=lambda: source.now)

    async def slow() -> int:
        source.now += LIFE_S
        return await source.load()

    await brief.get("a", slow)
    await brief.get("a", source.load)
    assert source.loads == 2


async def test_what_was_forgotten_is_read_again() -> None:
    source = Source()
    brief = Brief[str, int]()
    await brief.get("a", source.load)
    source.value = 2
    brief.forget()
    assert await brief.get("a", source.load) == 2


async def test_what_was_being_read_during_a_change_is_not_kept() -> None:
    source = Source()
    brief = Brief[str, int]()
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> int:
        value = await source.load()
        reading.set()
        await go_on.wait()
        return value

    first = asyncio.create_task(brief.get("a", slow))
    await reading.wait()
    source.value = 2
    brief.forget()
    go_on.set()
    assert await first == 1
    assert await brief.get("a", source.load) == 2


async def test_a_failure_is_not_kept() -> None:
    source = Source()
    brief = Brief[str, int]()

    async def failing() -> int:
        raise LookupError

    with pytest.raises(LookupError):
        await brief.get("a", failing)
    assert await brief.get("a", source.load) == 1


async def test_only_what_is_missing_is_asked_for() -> None:
    asked: list[list[int]] = []

    async def load(missing: Collection[int]) -> Mapping[int, str]:
        asked.append(sorted(missing))
        return {number: str(number) for number in missing if number < 10}

    brief = Brief[int, str]()
    assert await brief.get_many({1, 2}, load) == {1: "1", 2: "2"}
    assert await brief.get_many({2, 3, 11}, load) == {2: "2", 3: "3"}
    assert asked == [[1, 2], [3, 11]]
