"""Idempotency keys at the level of their rows."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from headrace.control import idempotency
from headrace.control.idempotency import Scope
from headrace.db.pool import Conn, Database
from headrace.ids import uuid7

SCOPE = Scope(UUID(int=1), UUID(int=2), "POST /v1/streams", "k")


@pytest.fixture
async def two(db: Database) -> AsyncIterator[tuple[Conn, Conn]]:
    async with db.api.acquire() as one, db.api.acquire() as other:
        yield one, other


async def test_of_two_that_take_a_key_the_second_waits_for_the_first(db: Database, two: tuple[Conn, Conn]) -> None:
    one, other = two
    now = db.clock.now()
    async with one.transaction():
        assert await idempotency.take(one, SCOPE, b"h", now)
        waiting = asyncio.create_task(idempotency.take(other, SCOPE, b"h", now))
        await idempotency.keep(one, SCOPE, 200, b"answer")
        assert not waiting.done()
    assert not await waiting
    kept = await idempotency.find(other, SCOPE, now)
    assert kept is not None
    assert (kept.status, kept.answer, kept.body_hash) == (200, b"answer", b"h")


async def test_when_the_first_rolls_back_the_second_has_it(db: Database, two: tuple[Conn, Conn]) -> None:
    one, other = two
    now = db.clock.now()
    transaction = one.transaction()
    await transaction.start()
    assert await idempotency.take(one, SCOPE, b"h", now)
    waiting = asyncio.create_task(idempotency.take(other, SCOPE, b"h", now))
    await transaction.rollback()
    assert await waiting


@pytest.mark.parametrize(
    "other",
    [
        Scope(UUID(int=9), SCOPE.token_id, SCOPE.route, SCOPE.key),
        Scope(SCOPE.org_id, UUID(int=9), SCOPE.route, SCOPE.key),
        Scope(SCOPE.org_id, SCOPE.token_id, "PATCH /v1/streams/{id}", SCOPE.key),
        Scope(SCOPE.org_id, SCOPE.token_id, SCOPE.route, "other"),
    ],
)
async def test_a_key_is_that_of_its_whole_scope(db: Database, other: Scope) -> None:
    async with db.transaction() as conn:
        now = db.clock.now()
        assert await idempotency.take(conn, SCOPE, b"h", now)
        assert await idempotency.take(conn, other, b"h", now)
        assert not await idempotency.take(conn, SCOPE, b"h", now)


async def test_what_is_older_than_a_day_is_forgotten(db: Database) -> None:
    now = db.clock.now()
    young = Scope(SCOPE.org_id, uuid7(), SCOPE.route, SCOPE.key)
    async with db.transaction() as conn:
        await idempotency.take(conn, SCOPE, b"h", now - idempotency.LIFE)
        await idempotency.keep(conn, SCOPE, 200, b"a")
        await idempotency.take(conn, young, b"h", now - idempotency.LIFE + timedelta(seconds=1))
        await idempotency.keep(conn, young, 200, b"a")
        assert await idempotency.find(conn, SCOPE, now) is None
        assert await idempotency.find(conn, young, now) is not None
        await idempotency.sweep(conn, now)
        assert await conn.fetchval("select count(*) from idempotency_keys") == 1
        assert await idempotency.take(conn, SCOPE, b"h", now)
