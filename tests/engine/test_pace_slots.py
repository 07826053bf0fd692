"""No more requests at once than a limit allows, whatever the number of processes, and the most pressing first."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from counting import counting
from paced import access, provider, sync
from test_pace import THINGS, client, paced, sent

from headrace.control.syncs import RateLimit
from headrace.db.pool import Database
from headrace.engine.pace import Pace, Priority
from headrace.engine.slots import Slots
from headrace.ids import uuid7
from headrace.settings import Settings


async def test_of_those_that_wait_for_one_of_few_slots_the_most_pressing_is_next(db: Database) -> None:
    order: list[Priority] = []
    whose = sync(RateLimit(100_000, 1, max_concurrent_requests=1))
    async with paced(db) as pace, asyncio.timeout(60):
        who = access(provider())
        release = asyncio.Event()

        async def one(priority: Priority) -> None:
            async with pace.permit(who, whose, THINGS, priority):
                order.append(priority)
                await release.wait()

        waiting = [asyncio.create_task(one(Priority.BACKFILL)) for _ in range(6)]
        while not order:
            await asyncio.sleep(0.01)
        waiting += [asyncio.create_task(one(Priority.CHANGES)), asyncio.create_task(one(Priority.MUTATION))]
        await asyncio.sleep(0.2)
        release.set()
        await asyncio.gather(*waiting)
    assert order[:3] == [Priority.BACKFILL, Priority.MUTATION, Priority.CHANGES]


async def test_an_error_that_nobody_foresaw_reaches_those_who_wait_for_a_slot(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*arguments: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Slots, "_take", broken)
    async with paced(db) as pace, asyncio.timeout(60):
        with pytest.raises(ZeroDivisionError):
            await sent(pace, access(provider()), sync(RateLimit(100_000, 1, max_concurrent_requests=1)), 3)


async def test_a_slot_that_may_be_anothers_by_now_is_taken_anew(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process stood still for longer than its lease while the request waited for its moment."""
    whose = sync(RateLimit(1, 2, max_concurrent_requests=1))

    async def taken_at(pace: Pace) -> datetime:
        async with pace.permit(access(provider()), whose, THINGS, Priority.CHANGES):
            found: datetime = await db.api.fetchval("select taken_at from limit_slots")
            return found

    async with paced(db, Settings(lease_ttl_s=3.0)) as pace, asyncio.timeout(120):
        before = await taken_at(pace)
        waiting = asyncio.create_task(taken_at(pace))
        await asyncio.sleep(0.1)
        pace.presence._beaten_at -= 3600  # as it is after a long sleep; the next heartbeat finds it
        assert await waiting > before


async def test_no_more_requests_at_once_than_the_sync_may_with_two_processes(dsn: str) -> None:
    sync_id = uuid7()
    async with counting(answer_after_s=0.05) as server:
        clients = [await client(dsn, server, 0, 1, 4, 8, 100_000, 1, sync_id, 3) for _ in range(2)]
        for process in clients:
            assert await process.wait() == 0
    assert server.most_at_once == 3


async def test_the_slots_of_a_killed_process_come_free(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_LEASE_TTL_S", "3")
    sync_id = uuid7()
    async with counting(answer_after_s=0.2) as server:
        killed = await client(dsn, server, 0, 1, 60, 4, 100_000, 1, sync_id, 2)
        while server.most_at_once < 2:
            await asyncio.sleep(0.02)
        killed.kill()
        await killed.wait()
        before = len(server.moments)
        other = await client(dsn, server, 0, 1, 60, 4, 100_000, 1, sync_id, 2)
        while len(server.moments) < before + 8:
            await asyncio.sleep(0.02)
        other.kill()
        await other.wait()
    assert server.most_at_once == 2


async def test_a_slot_is_given_back_when_its_request_is_cancelled(db: Database) -> None:
    whose = sync(RateLimit(100_000, 1, max_concurrent_requests=1))
    async with paced(db) as pace, asyncio.timeout(60):
        who = access(provider())
        entered = asyncio.Event()

        async def hold() -> None:
            async with pace.permit(who, whose, THINGS, Priority.CHANGES):
                entered.set()
                await asyncio.sleep(3600)

        holder = asyncio.create_task(hold())
        await entered.wait()
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)
        await sent(pace, who, whose, 3)
    assert await db.api.fetchval("select count(*) from limit_slots") == 0
