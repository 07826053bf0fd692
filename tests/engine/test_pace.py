"""The law of pace, as a server counts it: with one process, two, and four."""

import asyncio
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from counting import Counting, counting
from paced import access, limited, provider, sync
from test_bucket import most_in

from headrace.clock import from_unix
from headrace.control.syncs import RateLimit, Sync
from headrace.db.pool import Database
from headrace.engine.access import Access
from headrace.engine.ledger import Ledger
from headrace.engine.limits import SyncLimit, counted, override_of
from headrace.engine.pace import Blocked, Pace, Priority
from headrace.http import Request, Response
from headrace.ids import uuid7
from headrace.providers.kit import Limit, Remaining, TooMany
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


# ── what the provider says ──


def refusal(**headers: str) -> Response:
    return Response(429, b"{}", from_unix(0), {name.replace("_", "-"): value for name, value in headers.items()})


async def test_a_refusal_holds_for_every_process(db: Database) -> None:
    async with paced(db) as one, paced(db) as other:
        who = access(provider(Limit(1000, 1.0)))
        await sent(other, who, None, 3)
        await one.learn(who, THINGS, refusal(retry_after="2"))
        told_at = asyncio.get_running_loop().time()
        for pace in (one, other):
            [moment] = await sent(pace, who, None, 1)
            assert moment >= told_at + 1.7


async def test_a_long_pause_is_told_instead_of_waited_for(db: Database) -> None:
    async with paced(db) as one, paced(db) as other:
        who = access(provider(Limit(1000, 1.0)))
        await one.learn(who, THINGS, refusal(retry_after="600"))
        for pace in (one, other):
            with pytest.raises(Blocked) as caught:
                await sent(pace, who, None, 1)
            assert 590 < (caught.value.until - db.clock.now()).total_seconds() < 601


async def test_a_refusal_of_one_endpoint_leaves_the_others(db: Database) -> None:
    of = provider(Limit(1000, 1.0))
    search = Request("/search", limit_class="search")
    policy = replace(of.limits, too_many=lambda response: replace(of.limits.too_many(response), limit_class=None))
    who = access(replace(of, limits=policy))
    async with paced(db) as pace, asyncio.timeout(30):
        await pace.learn(who, search, refusal(retry_after="600"))
        await sent(pace, who, None, 3)
        with pytest.raises(Blocked):
            await sent(pace, who, None, 1, search)


async def test_after_refusals_less_is_used_of_the_limit(db: Database) -> None:
    async with paced(db) as pace:
        who = access(provider(Limit(100, 1.0)))
        await sent(pace, who, None, 1)
        for _ in range(3):  # one storm
            await pace.learn(who, THINGS, refusal(retry_after="0"))
    row = await db.api.fetchrow("select allowed, window_ms from limit_buckets where window_ms > 0")
    assert row is not None
    assert 65 < row["allowed"] < 75


async def test_what_the_headers_say_is_left_is_believed_when_it_is_less(db: Database) -> None:
    of = provider(Limit(1000, 1.0), remaining=lambda response: (Remaining(3, "all", 900.0),))
    who = access(of)
    async with paced(db) as one, paced(db) as other:
        await one.learn(who, THINGS, Response(200, b"{}", from_unix(0)))
        results = [
            *await asyncio.gather(
                *(sent(pace, who, None, 1) for pace in (one, other, one, other)), return_exceptions=True
            )
        ]
    assert sum(isinstance(result, Blocked) for result in results) >= 1
    assert sum(isinstance(result, list) for result in results) in (1, 2, 3)


async def test_what_the_headers_say_is_not_believed_when_it_is_more(db: Database) -> None:
    who = access(provider(Limit(10, 1.0), remaining=lambda response: (Remaining(5000, "all", 3.0),)))
    async with paced(db) as pace:
        await pace.learn(who, THINGS, Response(200, b"{}", from_unix(0)))
        moments = await sent(pace, who, None, 15)
    assert most_in(moments, 0.95) <= 10


def answered(status: int, body: bytes = b"{}", **headers: str) -> Response:
    return Response(status, body, from_unix(0), {name.replace("_", "-"): value for name, value in headers.items()})


FORMS = {
    "a GraphQL error with status 200": answered(200, b'{"errors": [{"extensions": {"code": "THROTTLED"}}]}'),
    "a code with status 400": answered(400, b'{"error": {"code": "RATELIMITED"}}'),
    "a header with status 403": answered(403, b"{}", x_ratelimit_remaining="0"),
    "the status of its own": answered(429),
}


def told_in_any_form(response: Response) -> TooMany | None:
    """As several providers tell it."""
    throttled = b"THROTTLED" in response.body or b"RATELIMITED" in response.body
    out = response.status == 403 and response.headers.get("x-ratelimit-remaining") == "0"
    return TooMany(retry_after_s=600.0) if throttled or out or response.status == 429 else None


@pytest.mark.parametrize("form", FORMS)
async def test_too_many_is_heeded_in_whatever_form_it_is_told(db: Database, form: str) -> None:
    who = access(provider(Limit(1000, 1.0), too_many=told_in_any_form))
    async with paced(db) as one, paced(db) as other:
        assert await one.learn(who, THINGS, answered(200)) is None
        assert await one.learn(who, THINGS, FORMS[form]) is not None
        for pace in (one, other):
            with pytest.raises(Blocked):
                await sent(pace, who, None, 1)


async def test_a_daily_quota_holds_until_the_provider_gives_it_anew(db: Database) -> None:
    resets_at = db.clock.now() + timedelta(hours=7)
    who = access(provider(Limit(1000, 1.0), too_many=lambda response: TooMany(1.0, until=resets_at)))
    async with paced(db) as pace:
        await pace.learn(who, THINGS, answered(429))
        with pytest.raises(Blocked) as caught:
            await sent(pace, who, None, 1)
    assert abs((caught.value.until - resets_at).total_seconds()) < 1


@pytest.mark.parametrize(
    ("told", "least_s", "most_s"),
    [
        ("0", 0.2, 1.0),
        ("2", 1.9, 3.0),
        ("Thu, 01 Jan 1970 00:00:20 GMT", 19.0, 21.0),
        ("Wed, 31 Dec 1969 23:00:00 GMT", 0.2, 1.0),
        ("1e999", 86_000.0, 86_401.0),
        ("99999999999999999999", 86_000.0, 86_401.0),
        ("-7", 0.2, 1.0),
        ("nan", 0.2, 1.0),
        ("soon", 0.2, 1.0),
    ],
)
async def test_every_form_of_retry_after_is_heeded_and_none_breaks_the_read(
    db: Database, told: str, least_s: float, most_s: float
) -> None:
    """As a date it is counted from when the request was sent, by the provider's clock."""
    who = access(provider(Limit(1000, 1.0)))
    async with paced(db) as pace:
        before = db.clock.now().timestamp()
        until = await pace.learn(who, THINGS, refusal(retry_after=told))
        assert until is not None
        assert least_s <= until - before <= most_s + 1.0


async def test_a_policy_that_trips_over_an_answer_stops_nothing(db: Database) -> None:
    who = access(
        provider(
            Limit(1000, 1.0),
            too_many=lambda response: response.json()["error"]["retry"],
            remaining=lambda response: (Remaining(float(response.headers["x-left"]), "all", 60.0),),
        )
    )
    async with paced(db) as pace:
        assert await pace.learn(who, THINGS, Response(403, b"<html>blocked</html>", from_unix(0))) is None
        await sent(pace, who, None, 1)


# ── what is left of which window ──

TEN_SECONDS_AND_A_DAY = (Limit(100, 10.0), Limit(250_000, 86_400.0))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_what_is_left_of_ten_seconds_does_not_hold_for_the_day(db: Database, order: tuple[int, int]) -> None:
    said = [Remaining(1, "all", 1.0), Remaining(20_000, "all", 50_000.0)]
    who = access(provider(*TEN_SECONDS_AND_A_DAY, remaining=lambda response: tuple(said[each] for each in order)))
    async with paced(db) as pace, asyncio.timeout(60):
        await pace.learn(who, THINGS, answered(200))
        began = asyncio.get_running_loop().time()
        moments = await sent(pace, who, None, 3)
    assert moments[1] >= began + 0.9, "the second of the ten seconds waits for the reset"
    left = await db.api.fetch("select window_ms, believed_remaining from limit_buckets where window_ms < 0 order by 1")
    assert [row["window_ms"] for row in left] == [-86_400_000, -10_000]
    assert 20_000 - 30 < left[0]["believed_remaining"] <= 20_000 - 3, "slots taken ahead count too"


async def test_what_is_left_without_a_reset_is_of_the_longest_window_and_asked_again_in_time(db: Database) -> None:
    who = access(provider(*TEN_SECONDS_AND_A_DAY, remaining=lambda response: (Remaining(2),)))
    async with paced(db) as pace:
        await pace.learn(who, THINGS, answered(200))
        await sent(pace, who, None, 2)
        with pytest.raises(Blocked) as caught:
            await sent(pace, who, None, 1)
    assert 3500 < (caught.value.until - db.clock.now()).total_seconds() <= 3600


async def test_what_is_left_is_counted_down_by_what_requests_cost(db: Database) -> None:
    costly = Request("/graphql", limit_class="points", cost=40.0)
    who = access(provider(Limit(5000, 3600.0, "points"), remaining=lambda response: (Remaining(100, "points", 900.0),)))
    async with paced(db) as pace:
        await pace.learn(who, costly, answered(200))
        await sent(pace, who, None, 2, costly)
        with pytest.raises(Blocked):
            await sent(pace, who, None, 1, costly)


# ── requests at once ──


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


async def test_a_slot_that_may_be_anothers_by_now_is_taken_anew(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process stood still for longer than its lease while the request waited for its moment."""
    whose = sync(RateLimit(1, 2, max_concurrent_requests=1))
    async with paced(db, Settings(lease_ttl_s=3.0)) as pace, asyncio.timeout(60):
        who = access(provider())
        await sent(pace, who, whose, 1)
        waiting = asyncio.create_task(sent(pace, who, whose, 1))
        while await db.api.fetchval("select count(*) from limit_slots") == 0:
            await asyncio.sleep(0.01)
        before = await db.api.fetchval("select taken_at from limit_slots")
        pace.presence._beaten_at -= 3600  # as it is after a long sleep; the next heartbeat finds it
        await waiting
        assert await db.api.fetchval("select taken_at from limit_slots") > before


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


# ── which limits count ──


def test_the_override_takes_the_place_of_published_limits_for_development_addresses_only() -> None:
    of = provider(Limit(50, 1.0), per_endpoint=Limit(20, 1.0))
    request = Request("/things", limit_class="/things")
    none, number = (override_of(Settings(limits_override=text)) for text in ("none", "1000"))
    own = SyncLimit(uuid7(), RateLimit(7, 1))
    real, development = access(of), access(of, "http://127.0.0.1:1")

    def limits(who: Access, override: tuple[Limit, ...] | None, limit: SyncLimit | None = None) -> list[float]:
        return sorted(allowed for allowed, _ in counted(who, limit, request, override).published.values())

    assert limits(real, None) == limits(development, None) == limits(real, none) == [20, 50]
    assert limits(development, none) == []
    assert limits(development, number) == [1000]
    assert limits(development, none, own) == [7], "what was set for a sync holds always"
    assert limits(development, none, SyncLimit(uuid7(), None)) == []
    assert limits(development, None, SyncLimit(uuid7(), None)) == [20, 50, 1_000_000]


def test_a_limit_of_its_own_stands_for_the_one_of_every_endpoint() -> None:
    of = provider(Limit(50, 1.0), Limit(4, 1.0, "search"), per_endpoint=Limit(20, 1.0))
    charges = counted(access(of), None, Request("/s", limit_class="search", cost=3.0), None)
    assert {(charge.bucket.limit_class, charge.cost) for charge in charges.charges} == {("all", 1.0), ("search", 3.0)}
    assert sorted(charges.published.values()) == [(4, 1.0), (50, 1.0)]


def test_limits_of_the_other_mode_do_not_count() -> None:
    of = provider(Limit(50, 1.0, mode="live"), Limit(20, 1.0, mode="test"))
    test = replace(access(of), mode="test")
    assert list(counted(access(of), None, THINGS, None).published.values()) == [(50, 1.0)]
    assert list(counted(test, None, THINGS, None).published.values()) == [(20, 1.0)]


@pytest.mark.parametrize("text", ["fast", "-1", "0", "inf", "nan", ""])
def test_an_override_that_is_none_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="HEADRACE_LIMITS_OVERRIDE"):
        override_of(Settings(limits_override=text))


async def test_an_error_in_the_arithmetic_leaves_nobody_waiting(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Ledger, *arguments: Any) -> Any:
        raise ZeroDivisionError

    async with paced(db) as pace, asyncio.timeout(30):
        with monkeypatch.context() as patched:
            patched.setattr(Ledger, "reserve", broken)
            with pytest.raises(ZeroDivisionError):
                await sent(pace, access(provider(Limit(10, 1.0))), None, 1)
        await sent(pace, access(provider(Limit(10, 1.0))), None, 1)
