"""What the provider says of its limits is heeded by every process: refusals in any form, and what is left."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from paced import access, provider
from test_bucket import most_in
from test_pace import THINGS, paced, sent

from headrace.clock import from_unix
from headrace.db.pool import Database
from headrace.engine.pace import Blocked
from headrace.http import Request, Response
from headrace.providers.kit import Limit, Remaining, TooMany


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
