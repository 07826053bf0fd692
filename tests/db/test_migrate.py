"""Migrations: each once, by one process at a time, refused where the database is not ours to change."""

import asyncio

import asyncpg
import pytest

from headrace.db import migrate as module
from headrace.db.migrate import Migration, MigrationRefused, migrate, shipped

NAMES = [migration.name for migration in shipped()]


async def test_everything_is_applied_once(empty_dsn: str) -> None:
    assert await migrate(empty_dsn) == NAMES
    assert await migrate(empty_dsn) == []


async def test_of_many_processes_one_does_the_work(empty_dsn: str) -> None:
    assert sorted(await asyncio.gather(*(migrate(empty_dsn) for _ in range(5)))) == [[], [], [], [], NAMES]


async def test_a_migration_that_fails_leaves_nothing_and_is_tried_again(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "shipped", lambda: [Migration("0001_a", "create table a (); select 1 / 0")])
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_dsn)
    monkeypatch.setattr(module, "shipped", lambda: [Migration("0001_a", "create table a ()")])
    assert await migrate(empty_dsn) == ["0001_a"]


async def test_those_before_one_that_fails_stand(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Migration("0001_a", "create table a ()")
    monkeypatch.setattr(module, "shipped", lambda: [first, Migration("0002_b", "select 1 / 0")])
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_dsn)
    monkeypatch.setattr(module, "shipped", lambda: [first, Migration("0002_b", "create table b ()")])
    assert await migrate(empty_dsn) == ["0002_b"]


async def test_a_database_of_a_newer_version_is_refused(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await migrate(empty_dsn)
    connection = await asyncpg.connect(empty_dsn)
    await connection.execute("insert into schema_migrations values ('9999_later', ''::bytea, clock_timestamp())")
    await connection.close()
    with pytest.raises(MigrationRefused, match=r"newer headrace .*9999_later"):
        await migrate(empty_dsn)


async def test_a_migration_that_reads_otherwise_is_refused(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await migrate(empty_dsn)
    first, *rest = shipped()
    monkeypatch.setattr(module, "shipped", lambda: [Migration(first.name, first.sql + "\n-- changed"), *rest])
    with pytest.raises(MigrationRefused, match=f"{first.name} in the database is not the one"):
        await migrate(empty_dsn)


async def test_a_server_too_old_is_refused(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OLDEST_MAJOR", 99)
    with pytest.raises(MigrationRefused, match="needs 99 or newer"):
        await migrate(empty_dsn)
