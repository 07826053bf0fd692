"""What the transport promises: retries where they help, nothing to other hosts, never a secret in what it says."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from paced import KIND, SECRET, access, provider, sync
from prometheus_client import REGISTRY
from scripted import answer, cut_off, hang_up, never, scripted, zeros
from structlog.testing import capture_logs

from headrace.db.pool import Database
from headrace.engine.access import Access, scrub
from headrace.engine.account_clocks import offset_after
from headrace.engine.pace import Pace, Priority
from headrace.engine.retry import backoff_s
from headrace.engine.transport import ReadFailed, Transport
from headrace.engine.waits import Waits, Withdrawn
from headrace.engine.wire import MOST_BYTES
from headrace.errors import ProviderFailed
from headrace.http import TOO_LARGE, Request, Response
from headrace.ids import uuid7
from headrace.providers.kit import Fault, Faulted, Refused
from headrace.settings import Settings

DEVELOPMENT = Settings(allow_base_url=True, limits_override="none")


@pytest.fixture
async def transport(db: Database) -> AsyncIterator[Transport]:
    async with opened(db) as made:
        yield made


@asynccontextmanager
async def opened(db: Database, **options: Any) -> AsyncIterator[Transport]:
    made = Transport(db, Pace(db, uuid7(), DEVELOPMENT), DEVELOPMENT, **options)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off without the waiting; how long it is has a test of its own."""
    for module in ("transport", "pace"):
        monkeypatch.setattr(f"headrace.engine.{module}.backoff_s", lambda attempt: 0.01)


def ask(*requests: Request) -> Generator[Request, Response, list[Response]]:
    responses = []
    for request in requests:
        responses.append((yield request))
    return responses


def told(message: str) -> str:
    """The body of an error of the example provider."""
    return json.dumps({"error": {"message": message}})


async def get(transport: Transport, who: Access, request: Request | None = None, **options: Any) -> Response:
    [response] = await transport.run(who, None, ask(request or Request("/things")), Priority.CHANGES, **options)
    return response


async def failure(transport: Transport, who: Access, request: Request | None = None) -> ReadFailed:
    with pytest.raises(ReadFailed) as caught:
        await get(transport, who, request)
    return caught.value


async def test_a_request_is_prepared_signed_and_sent_with_its_query(transport: Transport) -> None:
    async with scripted(answer()) as server:
        of = replace(provider(), prepare=lambda request: request.with_header("example-version", "2026-01-01"))
        request = Request("/things", query=(("limit", "100"), ("created[gte]", "5")))
        response = await get(transport, access(of, server.url), request)
    assert server.asked == [("GET", "/things?limit=100&created%5Bgte%5D=5")]
    assert server.heads[0]["authorization"] == f"Bearer {SECRET}"
    assert server.heads[0]["example-version"] == "2026-01-01"
    assert response.json() == {"data": []}
    assert response.headers["content-type"] == "application/json"


async def test_an_anonymous_request_carries_no_credential(transport: Transport) -> None:
    async with scripted(answer()) as server:
        await get(transport, access(provider(), server.url), Request(f"{server.url}/file", anonymous=True))
    assert "authorization" not in server.heads[0]


async def test_no_cookie_is_kept(transport: Transport) -> None:
    async with scripted(answer(set_cookie="a=b")) as server:
        who = access(provider(), server.url)
        await get(transport, who)
        await get(transport, who)
    assert all("cookie" not in head for head in server.heads)


@pytest.mark.parametrize(
    "broken",
    [
        answer(500, '{"error": {}}'),
        answer(503, "<html>sorry</html>", content_type="text/html"),
        answer(200, "<html>maintenance</html>", content_type="text/html"),
        answer(200, "<html>says that it is JSON</html>"),
        answer(200, '{"data": [{"id": "a"'),
        answer(200, ""),
        cut_off,
        hang_up,
    ],
    ids=["500", "503 HTML", "200 HTML", "200 HTML as JSON", "truncated", "empty", "cut off", "hung up"],
)
async def test_what_is_no_answer_is_asked_for_again(transport: Transport, broken: Any) -> None:
    async with scripted(broken, broken, answer(body='{"data": [1]}')) as server:
        response = await get(transport, access(provider(), server.url))
    assert response.json() == {"data": [1]}
    assert len(server.asked) == 3


async def test_it_gives_up_in_the_end_and_says_why(transport: Transport) -> None:
    async with scripted(answer(500, "{}")) as server:
        failed = await failure(transport, access(provider(), server.url))
    assert (failed.fault, failed.attempts) == (Fault("transient", "server error"), 6)
    assert len(server.asked) == 6


async def test_a_write_whose_outcome_is_unknown_is_not_repeated(transport: Transport) -> None:
    for broken in (answer(500, "{}"), hang_up):
        async with scripted(broken) as server:
            request = Request("/things", method="POST", body=b"{}", safe=False)
            failed = await failure(transport, access(provider(), server.url), request)
        assert failed.fault.kind == "transient"
        assert len(server.asked) == 1


async def test_a_write_that_was_refused_for_coming_too_often_is_repeated(transport: Transport) -> None:
    async with scripted(answer(429, "{}", retry_after="0"), answer()) as server:
        await get(transport, access(provider(), server.url), Request("/things", method="POST", body=b"{}", safe=False))
    assert [method for method, _ in server.asked] == ["POST", "POST"]
    assert server.bodies == [b"{}", b"{}"]


async def test_a_write_that_never_left_is_repeated(transport: Transport) -> None:
    async with scripted(answer()) as server:
        gone = server.url
    failed = await failure(transport, access(provider(), gone), Request("/things", method="POST", safe=False))
    assert failed.attempts == 6


async def test_a_status_that_the_connector_asked_for_is_handed_to_it(transport: Transport) -> None:
    async with scripted(answer(404, '{"error": {"message": "no such thing"}}')) as server:
        response = await get(transport, access(provider(), server.url), Request("/things/1", accept=(404,)))
    assert response.status == 404


@pytest.mark.parametrize(("status", "kind"), [(400, "bad"), (401, "auth"), (404, "bad")])
async def test_the_connectors_verdict_is_told_at_once(transport: Transport, status: int, kind: str) -> None:
    async with scripted(answer(status, '{"error": {"message": "these are the words"}}')) as server:
        failed = await failure(transport, access(provider(), server.url))
    assert failed.fault == Fault(kind, "these are the words")  # type: ignore[arg-type]
    assert len(server.asked) == 1


async def test_a_connector_that_trips_over_an_error_page_leaves_the_verdict_to_the_status(transport: Transport) -> None:
    async with scripted(answer(403, "<html>blocked</html>", content_type="text/html")) as server:
        failed = await failure(transport, access(provider(), server.url))
    assert failed.fault.kind == "permission"


async def test_after_a_401_a_credential_that_has_changed_is_tried_once(db: Database) -> None:
    async with scripted(answer(401, '{"error": {"message": "expired"}}'), answer()) as server:
        old = access(provider(), server.url)
        new = replace(old, properties={**old.properties, "secret": "sk_test_renewed"}, revision=1)

        async def reload(of: Access) -> Access:
            return new

        async with opened(db, reload=reload) as transport:
            await get(transport, old)
    assert [head["authorization"] for head in server.heads] == [f"Bearer {SECRET}", "Bearer sk_test_renewed"]


async def test_after_a_401_a_credential_that_is_the_same_is_not_tried_again(db: Database) -> None:
    async with scripted(answer(401, '{"error": {"message": "expired"}}')) as server:

        async def reload(of: Access) -> Access:
            return of

        async with opened(db, reload=reload) as transport:
            failed = await failure(transport, access(provider(), server.url))
    assert failed.fault.kind == "auth"
    assert len(server.asked) == 1


async def test_a_storm_of_refusals_is_waited_out(transport: Transport) -> None:
    refused = answer(429, "{}", retry_after="0")
    async with scripted(refused, refused, refused, answer()) as server:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await get(transport, access(provider(), server.url))
        took = loop.time() - began
    assert len(server.asked) == 4
    assert took > 3 * 0.2, "Retry-After: 0 still waits a little"


async def test_a_server_that_asks_for_a_pause_is_given_it(transport: Transport) -> None:
    async with scripted(answer(503, "{}", retry_after="1"), answer()) as server:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await get(transport, access(provider(), server.url))
        assert loop.time() - began > 0.9


async def test_what_the_connector_takes_for_a_refusal_is_one(db: Database) -> None:
    async with scripted(answer(200, '{"errors": ["THROTTLED"]}', retry_after="3600")) as server:
        of = replace(provider(), fault=lambda response: Fault("rate", "throttled"))
        async with opened(db) as one, opened(db) as other:
            for transport in (one, other):
                failed = await failure(transport, access(of, server.url))
                assert failed.retry_at is not None
    assert len(server.asked) == 1


async def test_a_long_pause_that_the_provider_asks_for_is_told_and_kept_by_all(db: Database) -> None:
    async with scripted(answer(429, "{}", retry_after="3600"), answer()) as server, opened(db) as other:
        who = access(provider(), server.url)
        async with opened(db) as one:
            failed = await failure(one, who)
        assert failed.fault.kind == "rate"
        assert failed.retry_at is not None
        assert failed.retry_at - db.clock.now() > timedelta(minutes=59)
        assert (await failure(other, who)).retry_at == failed.retry_at
    assert len(server.asked) == 1


async def test_an_answer_of_more_than_64_mib_is_not_read_to_its_end(transport: Transport) -> None:
    async with scripted(zeros(MOST_BYTES + 2**21)) as server:
        failed = await failure(transport, access(provider(), server.url))
    assert failed.fault.kind == "split"


async def test_a_connector_that_can_ask_for_less_is_told_that_an_answer_is_too_large(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.engine.wire.MOST_BYTES", 100)

    def steps() -> Generator[Request, Response, int]:
        response = yield Request("/v1/things", accept=(TOO_LARGE,))
        assert response.status == TOO_LARGE
        assert response.body == b""
        return (yield Request("/v1/things", query=(("limit", "1"),))).status

    async with scripted(answer(body="[" + "0," * 100 + "0]"), answer(body="[]")) as server:
        assert await transport.run(access(provider(), server.url), None, steps(), Priority.BACKFILL) == 200


async def test_a_large_answer_is_read(transport: Transport) -> None:
    async with scripted(zeros(20 * 2**20)) as server:
        response = await get(transport, access(provider(), server.url))
    assert len(response.body) == 20 * 2**20 + 2


# ── where requests may go ──


async def test_a_redirect_within_the_provider_is_followed(transport: Transport) -> None:
    async with scripted(answer(302, "", location="/elsewhere?a=b"), answer()) as server:
        response = await get(transport, access(provider(), server.url))
    assert server.asked == [("GET", "/things"), ("GET", "/elsewhere?a=b")]
    assert response.url == f"{server.url}/elsewhere?a=b"


async def test_a_redirect_to_another_host_is_refused_and_takes_no_secret_along(transport: Transport) -> None:
    async with scripted(answer()) as stranger, scripted(answer(302, "", location=f"{stranger.url}/x")) as server:
        failed = await failure(transport, access(provider(), server.url))
    assert failed.fault.kind == "config"
    assert stranger.asked == []


async def test_a_redirect_without_end_is_given_up(transport: Transport) -> None:
    async with scripted(answer(302, "", location="/again")) as server:
        failed = await failure(transport, access(provider(), server.url))
    assert failed.fault.kind == "config"
    assert len(server.asked) == 6


async def test_a_write_is_not_sent_on_to_where_it_was_redirected(transport: Transport) -> None:
    async with scripted(answer(307, "", location="/elsewhere")) as server:
        await failure(transport, access(provider(), server.url), Request("/things", method="POST", body=b"{}"))
    assert len(server.asked) == 1


@pytest.mark.parametrize("url", ["https://evil.example.net/x", "http://api.example.com/x", "https://169.254.169.254/"])
async def test_a_link_to_another_host_is_never_asked_for(transport: Transport, url: str) -> None:
    failed = await failure(transport, access(provider()), Request(url))
    assert failed.fault.kind == "config"


# ── stopping ──


async def test_nothing_is_sent_when_it_is_withdrawn_before(transport: Transport) -> None:
    async with scripted(answer()) as server:
        with pytest.raises(Withdrawn):
            await get(transport, access(provider(), server.url), waits=Waits(lambda: False))
    assert server.asked == []


async def test_a_request_under_way_can_be_cancelled(transport: Transport) -> None:
    release = asyncio.Event()
    async with scripted(never(release)) as server:
        task = asyncio.create_task(get(transport, access(provider(), server.url)))
        await server.came.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()


# ── what the connector says ──


async def test_the_steps_return_value_is_the_result_and_they_are_closed(transport: Transport) -> None:
    closed = []

    def steps() -> Generator[Request, Response, str]:
        try:
            one = yield Request("/one")
            two = yield Request("/two")
            return f"{one.status} {two.status}"
        finally:
            closed.append(True)

    async with scripted(answer()) as server:
        result = await transport.run(access(provider(), server.url), None, steps(), Priority.SWEEP)
    assert result == "200 200"
    assert server.asked == [("GET", "/one"), ("GET", "/two")]
    assert closed == [True]


async def test_a_fault_that_the_steps_raise_is_told_as_one(transport: Transport) -> None:
    def steps() -> Generator[Request, Response, None]:
        response = yield Request("/one")
        raise Faulted(Fault("expired", f"{response.status}: the feed begins later ({SECRET})"))

    async with scripted(answer()) as server:
        with pytest.raises(ReadFailed) as caught:
            await transport.run(access(provider(), server.url), None, steps(), Priority.CHANGES)
    assert caught.value.fault == Fault("expired", "200: the feed begins later (***********)")


async def test_an_answer_that_the_steps_cannot_read_is_transient(transport: Transport) -> None:
    def steps() -> Generator[Request, Response, None]:
        response = yield Request("/one")
        response.decode(dict[str, int])

    async with scripted(answer(body='{"a": "b"}')) as server:
        with pytest.raises(ReadFailed) as caught:
            await transport.run(access(provider(), server.url), None, steps(), Priority.CHANGES)
    assert caught.value.fault.kind == "transient"


async def test_every_try_for_a_sync_is_told(transport: Transport) -> None:
    told: list[tuple[object, str | None]] = []
    transport.on_outcome = lambda sync_id, fault: told.append((sync_id, fault and fault.kind))
    whose = sync()
    async with scripted(answer(500, "{}"), answer()) as server:
        await transport.run(access(provider(), server.url), whose, ask(Request("/things")), Priority.CHANGES)
    assert told == [(whose.id, "transient"), (whose.id, None)]


# ── secrets ──


async def test_no_secret_stands_in_errors_logs_or_metrics(transport: Transport) -> None:
    encoded = base64.b64encode(SECRET.encode()).decode()
    words = f"Invalid API Key provided: {SECRET}; basic {encoded}"
    async with scripted(answer(401, told(words))) as server:
        who = access(provider(), server.url)
        with capture_logs() as logged:
            failed = await failure(transport, who)
    everything = "\n".join([str(failed), repr(failed), repr(failed.fault), str(logged), repr(who)])
    everything += "\n".join(str(sample) for metric in REGISTRY.collect() for sample in metric.samples)
    assert SECRET not in everything
    assert encoded not in everything
    assert "Invalid API Key provided: ***********" in failed.summary
    assert [line["event"] for line in logged] == ["request_failed"]


def test_scrubbing_takes_out_every_form() -> None:
    secret = "a b/c+d=é"
    text = "plain a b/c+d=é, quoted a%20b%2Fc%2Bd%3D%C3%A9, encoded " + base64.b64encode(secret.encode()).decode()
    kind = replace(KIND, secret=frozenset({"token"}))
    assert scrub(text, kind, {"token": secret}) == "plain ***********, quoted ***********, encoded ***********"
    assert scrub("short ones are words: id", kind, {"token": "id"}) == "short ones are words: id"


async def test_a_long_message_is_cut(transport: Transport) -> None:
    async with scripted(answer(400, told("x" * 5000))) as server:
        failed = await failure(transport, access(provider(), server.url))
    assert len(failed.fault.message) == 500


# ── clocks ──


async def test_an_answer_speaks_for_the_moment_of_sending_in_the_providers_clock(db: Database) -> None:
    ahead = timedelta(minutes=5)

    def dated() -> Any:
        return answer(date=format_datetime(datetime.now(UTC) + ahead, usegmt=True))

    async with scripted(dated()) as server, opened(db) as transport:
        who = access(provider(), server.url)
        before = db.clock.now()
        response = await get(transport, who)
        after = db.clock.now()
        assert before + ahead - timedelta(seconds=2) < response.sent_at < after + ahead + timedelta(seconds=2)
        assert abs(transport.provider_now(who) - db.clock.now() - ahead) < timedelta(seconds=2)
        row = await db.api.fetchrow("select offset_s from account_clocks")
        assert row is not None
        assert abs(row["offset_s"] - 300) <= 1


async def test_a_clock_that_agrees_leaves_the_offset_at_zero(db: Database, transport: Transport) -> None:
    async with scripted(answer()) as server:
        who = access(provider(), server.url)
        before = db.clock.now()
        response = await get(transport, who)
    assert before <= response.sent_at <= db.clock.now()
    assert await db.api.fetchval("select count(*) from account_clocks") == 0


MOMENT = datetime(2026, 11, 23, 12, 0, 0, 500_000, UTC)


@pytest.mark.parametrize(
    ("before", "told_after_s", "after"),
    [
        (0.0, 0.0, 0.0),
        (0.0, 2.0, 0.0),
        (0.0, -2.5, 0.0),
        (0.0, 60.0, 60.0),
        (0.0, -60.0, -60.0),
        (60.0, 59.0, 60.0),
        (60.0, 300.0, 300.0),
        (60.0, 0.0, 0.0),
    ],
)
def test_the_offset_moves_only_when_it_cannot_be_true(before: float, told_after_s: float, after: float) -> None:
    told = (MOMENT + timedelta(seconds=told_after_s)).replace(microsecond=0)
    assert abs(offset_after(before, told, MOMENT, MOMENT + timedelta(milliseconds=50)) - after) <= 1.0


def test_backoff_doubles_to_a_minute_and_is_spread() -> None:
    assert [backoff_s(attempt, 1.0) for attempt in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert backoff_s(100, 1.0) == 60.0
    assert backoff_s(3, 0.0) == 1.0
    assert 1.0 <= backoff_s(3) <= 2.0


# ── verifying a credential ──


async def test_verify_returns_whose_credential_it_is(transport: Transport) -> None:
    async with scripted(answer(503, "{}"), answer(body='{"id": "acct_1"}')) as server:
        account = await transport.exchanges.verify(provider(), KIND, {"secret": SECRET, "base_url": server.url})
    assert account.id == "acct_1"
    assert server.heads[-1]["authorization"] == f"Bearer {SECRET}"


async def test_verify_tells_a_refusal_from_a_failure(transport: Transport) -> None:
    async with scripted(answer(401, told(f"no such key {SECRET}"))) as server:
        with pytest.raises(Refused, match=r"no such key \*+") as refused:
            await transport.exchanges.verify(provider(), KIND, {"secret": SECRET, "base_url": server.url})
    assert SECRET not in str(refused.value)
    for broken in (answer(500, "{}"), hang_up, answer(200, "<html>", content_type="text/html"), answer(body="[1]")):
        async with scripted(broken) as server:
            with pytest.raises(ProviderFailed):
                await transport.exchanges.verify(provider(), KIND, {"secret": SECRET, "base_url": server.url})
