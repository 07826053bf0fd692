"""The limit of a token is one, however many processes take from it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from headrace.control import allowances, orgs, tokens
from headrace.control.tokens import Principal
from headrace.db.pool import Database

START = datetime(2026, 1, 1, tzinfo=UTC)
Limited = Callable[[int], Awaitable[Principal]]


@pytest.fixture
def limited(db: Database) -> Limited:
    """Makes a token that may make so many requests a minute."""

    async def made(limit: int) -> Principal:
        async with db.transaction() as conn:
            org = await orgs.create(conn, "Choam", START)
            _, secret = await tokens.create(conn, org.org_id, "x", ["read"], START, requests_per_minute=limit)
            return await tokens.authenticate(conn, secret, START)

    return made


@pytest.mark.parametrize("seed", range(5))
async def test_never_more_is_given_than_a_minutes_worth_and_what_came_back(
    db: Database, limited: Limited, seed: int
) -> None:
    random = Random(seed)
    limit = random.choice([1, 7, 60, 1000])
    token, now, given_in_all = await limited(limit), START, 0
    unused = [0, 0, 0]
    for _ in range(120):
        now += timedelta(seconds=random.choice([0, 0, 0.01, 1, 30]))
        process = random.randrange(3)
        wanted = random.randint(1, max(1, limit // 10))
        async with db.api.acquire() as conn:
            given, wait_s = await allowances.take(conn, token, wanted, unused[process], now)
        given_in_all += given - unused[process]
        unused[process] = random.randint(0, given)
        assert 0 <= given <= wanted
        assert (given == 0) == (wait_s > 0)
        assert given_in_all <= limit + (now - START).total_seconds() * limit / 60


async def test_it_comes_back_evenly_and_is_there_when_it_was_said_to_be(db: Database, limited: Limited) -> None:
    token, now = await limited(60), START
    async with db.api.acquire() as conn:
        assert await allowances.take(conn, token, 60, 0, now) == (60, 0.0)
        assert await allowances.take(conn, token, 1, 0, now) == (0, 1.0)
        assert await allowances.take(conn, token, 9, 0, now + timedelta(seconds=2.5)) == (2, 0.0)
        assert await allowances.take(conn, token, 1, 0, now + timedelta(seconds=2.5)) == (0, 0.5)
        assert await allowances.take(conn, token, 1, 0, now + timedelta(seconds=3)) == (1, 0.0)


async def test_what_was_not_used_goes_back_but_never_over_a_minutes_worth(db: Database, limited: Limited) -> None:
    token = await limited(10)
    async with db.api.acquire() as conn:
        assert await allowances.take(conn, token, 10, 0, START) == (10, 0.0)
        assert await allowances.take(conn, token, 8, 4, START) == (4, 0.0)
        assert await allowances.take(conn, token, 99, 99, START + timedelta(hours=1)) == (10, 0.0)


async def test_a_clock_that_was_set_back_holds_the_limit_up_for_a_minute_at_the_longest(
    db: Database, limited: Limited
) -> None:
    token, earlier = await limited(60), START - timedelta(days=1)
    async with db.api.acquire() as conn:
        assert await allowances.take(conn, token, 60, 0, START) == (60, 0.0)
        assert (await allowances.take(conn, token, 1, 0, earlier))[0] == 0
        assert (await allowances.take(conn, token, 9, 0, earlier + timedelta(seconds=62)))[0] == 2


async def test_no_two_that_take_at_once_are_given_the_same(db: Database, limited: Limited) -> None:
    token = await limited(50)

    async def take() -> int:
        async with db.api.acquire() as conn:
            return (await allowances.take(conn, token, 1, 0, START))[0]

    assert sum(await asyncio.gather(*(take() for _ in range(80)))) == 50
