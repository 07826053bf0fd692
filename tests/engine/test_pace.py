"""The law of pace, as a server counts it: with one process, two, and four."""

import asyncio
import signal
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from counting import Counting, counting
from paced import access, limited, provider, sync
from test_bucket import most_in

from headrace.control.syncs import RateLimit, Sync
from headrace.db.pool import Database
from headrace.engine.access import Access
from headrace.engine.ledger import Ledger
from headrace.engine.pace import Pace, Priority
from headrace.http import Request, Response
from headrace.ids import uuid7
from headrace.providers.kit import Limit
from headrace.settings import Settings

CLIENT = Path(__file__).with_name("paced.py")
THINGS = Request("/things")


@asynccontextmanager
async def paced(db: Database, settings: Settings | None = None) -> AsyncIterator[Pace]:
    pace = Pace(db, uuid7(), settings or Settings())
    try:
        yield pace
    finally:
        await pace.stop()


async def client(dsn: str, server: Counting, *arguments: object) -> Process:
    return await asyncio.create_subprocess_exec(sys.executable, CLIENT, dsn, server.url, *map(str, arguments))


async def sent(pace: Pace, who: Access, whose: Sync | None, requests: int, request: Request = THINGS) -> list[float]:
    """The moments of so many requests that all want to go out at once."""
    loop = asyncio.get_running_loop()

    async def one() -> float:
        async with pace.permit(who, whose, request, Priority.CHANGES):
            return loop.time()

    return sorted(await asyncio.gather(*(one() for _ in range(requests))))


def busiest(moments: Sequence[float], stretch_s: float) -> float:
    """Requests per second in the busiest stretch of this length."""
    return most_in(moments, stretch_s) / stretch_s


@dataclass
class Transactions:
    """How often the ledger was asked."""

    count: int = 0


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> Transactions:
    made, reserve = Transactions(), Ledger.reserve

    async def counted_reserve(self: Ledger, *arguments: Any) -> Any:
        made.count += 1
        return await reserve(self, *arguments)

    monkeypatch.setattr(Ledger, "reserve", counted_reserve)
    return made


# ── the law, counted at a server ──


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("allowed", [10, 40])
async def test_processes_together_stay_within_the_limit_and_use_it(dsn: str, processes: int, allowed: int) -> None:
    async with counting(answer_after_s=0.01) as server:
        clients = [await client(dsn, server, allowed, 1.0, 5, 6) for _ in range(processes)]
        for process in clients:
            assert await process.wait() == 0
    assert most_in(server.moments, 0.75) <= allowed
    assert busiest(server.moments, 3.0) >= 0.85 * allowed


@pytest.mark.parametrize("allowed", [10, 40])
@pytest.mark.parametrize("little", [1, 3])
async def test_what_processes_with_little_work_leave_goes_to_the_one_with_much(
    dsn: str, little: int, allowed: int
) -> None:
    """One that has a request now and then beside one that always has sixteen: the limit is kept, used, and not cut into
    equal parts; and each of those with little goes on having its turn (two of the few that they ask for)."""
    async with counting(answer_after_s=0.01) as much, counting(answer_after_s=0.9) as now_and_then:
        busy = await client(dsn, much, allowed, 1.0, 6, 16)
        others = [await client(dsn, now_and_then, allowed, 1.0, 6, 1) for _ in range(little)]
        for process in (busy, *others):
            assert await process.wait() == 0
    moments = sorted([*much.moments, *now_and_then.moments])
    assert most_in(moments, 0.75) <= allowed
    assert busiest(moments, 3.0) >= 0.85 * allowed
    assert len(much.moments) > len(moments) / 2
    assert len(now_and_then.moments) >= 2 * little


async def test_a_syncs_own_limit_is_kept_across_processes(dsn: str) -> None:
    sync_id = uuid7()
    async with counting() as server:
        clients = [await client(dsn, server, 1000, 1.0, 6, 4, 20, 2, sync_id) for _ in range(2)]
        for process in clients:
            assert await process.wait() == 0
    assert most_in(server.moments, 1.75) <= 20
    assert busiest(server.moments, 4.0) >= 0.85 * 10


async def test_what_a_killed_process_had_taken_lapses(dsn: str) -> None:
    async with counting() as server:
        killed = await client(dsn, server, 40, 1.0, 60, 6)
        other = await client(dsn, server, 40, 1.0, 60, 6)
        while len(server.moments) < 60:
            await asyncio.sleep(0.02)
        killed.kill()
        await killed.wait()
        at_the_kill = len(server.moments)
        while len(server.moments) < at_the_kill + 150:
            await asyncio.sleep(0.02)
        other.kill()
        await other.wait()
    assert most_in(server.moments, 0.75) <= 40
    assert busiest(server.moments[at_the_kill:], 3.0) >= 0.85 * 40


async def test_a_process_that_was_frozen_sends_nothing_by_what_it_had_taken(dsn: str) -> None:
    async with counting() as server:
        frozen = await client(dsn, server, 40, 1.0, 60, 6)
        other = await client(dsn, server, 40, 1.0, 60, 6)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            before = len(server.moments)
            while len(server.moments) < before + 60:
                await asyncio.sleep(0.02)
            frozen.send_signal(number)
        woken_at = len(server.moments)
        while len(server.moments) < woken_at + 60:
            await asyncio.sleep(0.02)
        for process in (frozen, other):
            process.kill()
            await process.wait()
    assert most_in(server.moments, 0.75) <= 40


# ── one process ──


@pytest.mark.parametrize("endpoints", [1, 8])
async def test_while_there_is_much_to_do_a_request_costs_no_round_trip(
    db: Database, transactions: Transactions, endpoints: int
) -> None:
    who = access(provider(Limit(100, 1.0), per_endpoint=Limit(50, 1.0)))
    requests = [Request("/things", limit_class=f"/things/{number}") for number in range(endpoints)]
    async with paced(db) as pace:
        await asyncio.gather(*(sent(pace, who, None, 200 // endpoints, request) for request in requests))
    assert transactions.count < 200 / 2


async def test_slots_are_taken_ahead_for_requests_that_come_one_after_the_other(
    db: Database, transactions: Transactions
) -> None:
    who = access(provider(Limit(300, 1.0)))
    async with paced(db) as pace:
        for _ in range(200):
            await sent(pace, who, None, 1)
    assert transactions.count < 200 / 2


async def test_every_window_of_a_limit_and_of_an_endpoint_is_kept(db: Database) -> None:
    of = provider(Limit(100, 1.0), Limit(30, 3.0), per_endpoint=Limit(5, 1.0))
    async with paced(db) as pace:
        slow, quick = await asyncio.gather(
            sent(pace, access(of), None, 8, Request("/search", limit_class="/search")),
            sent(pace, access(of), None, 30, Request("/things")),
        )
    assert most_in(slow, 0.95) <= 5
    assert most_in(sorted([*slow, *quick]), 2.9) <= 30


async def test_accounts_do_not_share_a_limit(db: Database) -> None:
    of = provider(Limit(1, 3600.0))
    async with paced(db) as pace, asyncio.timeout(30):
        await asyncio.gather(*(sent(pace, access(of, account=bytes([number])), None, 1) for number in range(5)))


async def test_a_limit_is_one_for_all_organisations(db: Database) -> None:
    of = provider(Limit(1, 3600.0))
    async with paced(db) as pace:
        await sent(pace, access(of), None, 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await sent(pace, replace(access(of), org_id=UUID(int=99)), None, 1)


async def test_a_lowered_limit_counts_at_once(db: Database) -> None:
    whose, moments, loop = sync(RateLimit(200, 1)), [], asyncio.get_running_loop()
    async with paced(db) as pace:
        who = access(provider())

        async def one() -> None:
            async with pace.permit(who, whose, THINGS, Priority.CHANGES):
                moments.append(loop.time())

        waiting = [asyncio.create_task(one()) for _ in range(400)]
        while len(moments) < 60:
            await asyncio.sleep(0.01)
        pace.limit_sync(limited(whose, RateLimit(4, 1)))
        lowered_at = loop.time()
        while not moments or moments[-1] < lowered_at + 2.5:
            await asyncio.sleep(0.05)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    after = [moment for moment in moments if moment > lowered_at + 0.25]
    assert most_in(after, 0.95) <= 4
    assert len(after) >= 6


async def test_a_raised_limit_wakes_those_who_wait_for_the_old_one(db: Database) -> None:
    whose = sync(RateLimit(1, 3600))
    async with paced(db) as pace:
        who = access(provider())
        await sent(pace, who, whose, 1)
        waiting = asyncio.create_task(sent(pace, who, whose, 20))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        pace.limit_sync(limited(whose, RateLimit(1000, 1)))
        async with asyncio.timeout(30):
            await waiting


async def test_an_older_configuration_does_not_take_the_place_of_a_newer(db: Database) -> None:
    whose = sync(RateLimit(1, 3600))
    async with paced(db) as pace, asyncio.timeout(30):
        pace.limit_sync(limited(whose, RateLimit(1000, 1), second=2))
        pace.limit_sync(limited(whose, RateLimit(1, 3600), second=1))
        await sent(pace, access(provider()), whose, 20)


async def test_a_write_goes_before_the_backfills_that_wait(db: Database) -> None:
    order: list[Priority] = []
    async with paced(db) as pace:
        who = access(provider(Limit(10, 1.0)))

        async def one(priority: Priority) -> None:
            async with pace.permit(who, None, THINGS, priority):
                order.append(priority)

        backfills = [asyncio.create_task(one(Priority.BACKFILL)) for _ in range(12)]
        while len(order) < 2:
            await asyncio.sleep(0.01)
        await one(Priority.MUTATION)
        position = order.index(Priority.MUTATION)
        await asyncio.gather(*backfills)
    assert position <= 2 + 3, "after those whose slots were given out already"


async def test_neither_priority_starves_beside_another_process_that_always_wants(db: Database) -> None:
    done: Counter[Priority] = Counter()
    async with paced(db) as one, paced(db) as other:
        who = access(provider(Limit(30, 1.0)))

        async def ask(pace: Pace, priority: Priority) -> None:
            while done.total() < 150:
                async with pace.permit(who, None, THINGS, priority):
                    done[priority] += 1

        await asyncio.gather(
            *(ask(one, Priority.CHANGES) for _ in range(8)), *(ask(other, Priority.BACKFILL) for _ in range(8))
        )
    assert min(done[Priority.CHANGES], done[Priority.BACKFILL]) >= 10


async def test_syncs_of_an_account_share_it_fairly(db: Database) -> None:
    done: Counter[UUID] = Counter()
    greedy, modest = sync(RateLimit(1000, 1)), sync(RateLimit(1000, 1))
    async with paced(db) as pace:
        who = access(provider(Limit(40, 1.0)))

        async def one(whose: Sync) -> None:
            async with pace.permit(who, whose, THINGS, Priority.CHANGES):
                done[whose.id] += 1

        many = [asyncio.create_task(one(greedy)) for _ in range(100)]
        few = [asyncio.create_task(one(modest)) for _ in range(20)]
        await asyncio.gather(*few)
        share = done[greedy.id]
        for task in many:
            task.cancel()
        await asyncio.gather(*many, return_exceptions=True)
    assert share <= 20 + 10


async def test_accounts_of_a_process_do_not_wait_for_one_another(db: Database) -> None:
    """One account has ten times the work of the others, one is blocked by its provider: each of the others has its own
    limit's worth, whatever waits beside it."""
    of = provider(Limit(100, 1.0))
    many, few, blocked = (access(of, account=name) for name in (b"many", b"few", b"blocked"))
    async with paced(db) as pace:
        await pace.learn(blocked, THINGS, Response(429, b"", db.clock.now(), {"retry-after": "30"}), refused=True)
        stuck = asyncio.create_task(sent(pace, blocked, None, 50))
        of_many, of_few = await asyncio.gather(sent(pace, many, None, 300), sent(pace, few, None, 30))
        before_the_last_few = sum(moment <= of_few[-1] for moment in of_many)
        assert before_the_last_few <= 150  # behind the other's queue it would be three hundred
        assert not stuck.done()
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)


async def test_a_cancelled_request_leaves_its_place_to_others(db: Database) -> None:
    async with paced(db) as pace, asyncio.timeout(60):
        who = access(provider(Limit(20, 1.0)))
        tasks = [asyncio.create_task(sent(pace, who, None, 1)) for _ in range(30)]
        await asyncio.sleep(0.1)
        for task in tasks[:25]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, list) for result in results[25:])
        await sent(pace, who, None, 5)


async def test_an_error_in_the_arithmetic_leaves_nobody_waiting(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Ledger, *arguments: Any) -> Any:
        raise ZeroDivisionError

    async with paced(db) as pace, asyncio.timeout(30):
        with monkeypatch.context() as patched:
            patched.setattr(Ledger, "reserve", broken)
            with pytest.raises(ZeroDivisionError):
                await sent(pace, access(provider(Limit(10, 1.0))), None, 1)
        await sent(pace, access(provider(Limit(10, 1.0))), None, 1)
