import asyncpg
import pytest

from headrace.db.pool import Database
from headrace.db.together import Together


@pytest.fixture
async def numbers(db: Database) -> Together:
    await db.api.execute("create table numbers (number bigint primary key, also bigint[])")
    return Together(
        "numbers",
        {"add": "insert into numbers values ($1, $2)", "only": "select 1 / count(*) from numbers where number = $1"},
    )


async def _held(db: Database) -> list[tuple[int, list[int] | None]]:
    return [tuple(row) for row in await db.api.fetch("select number, also from numbers order by number")]


async def test_statements_run_in_order_and_by_name(db: Database, numbers: Together) -> None:
    async with db.api.acquire() as conn:
        await numbers.run(conn, [numbers.call("add", 1, [2, 3]), numbers.call("only", 1), numbers.call("add", 2, None)])
    assert await _held(db) == [(1, [2, 3]), (2, None)]


async def test_when_one_fails_nothing_is_done(db: Database, numbers: Together) -> None:
    async with db.api.acquire() as conn:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await numbers.run(
                conn, [numbers.call("add", 1, None), numbers.call("only", 7), numbers.call("add", 2, None)]
            )
        assert not conn.is_in_transaction()
        await numbers.run(conn, [numbers.call("add", 3, None)])
    assert await _held(db) == [(3, None)]


async def test_they_take_part_in_a_transaction_that_is_open(db: Database, numbers: Together) -> None:
    async with db.api.acquire() as conn:
        await numbers.ready(conn)
        await numbers.run(conn, ["begin", numbers.call("add", 1, None)])
        assert await _held(db) == []
        await numbers.run(conn, [numbers.call("add", 2, None), "commit"])
    assert await _held(db) == [(1, None), (2, None)]


async def test_a_connection_made_anew_is_prepared_too_be_its_process_numbered_as_the_one_before(
    db: Database, numbers: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncpg.Connection, "get_server_pid", lambda _: 4711)
    for number in (1, 2):
        async with db.api.acquire() as conn:
            await numbers.run(conn, ["begin", numbers.call("add", number, None), "commit"])
            await conn.close()
    assert await _held(db) == [(1, None), (2, None)]


async def test_a_preparing_that_was_cut_short_is_taken_up_again(db: Database, numbers: Together) -> None:
    async with db.api.acquire() as conn:
        await conn.execute("prepare numbers_add as insert into numbers values ($1, $2)")
        await numbers.run(conn, [numbers.call("add", 1, None), numbers.call("only", 1)])
    assert await _held(db) == [(1, None)]
