"""Taking messages over HTTP: what is asked, what is answered, and that nothing is taken which cannot be given."""

import asyncio
import contextlib
import json
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from callers import Caller, Callers, until
from shelf import Shelf

from headrace.api.services import Services

PATH = "/v1/http-consumers"


@pytest.fixture
async def consumer(admin: Caller, shelf: Shelf) -> str:
    """The path of a consumer of the shelf's stream."""
    made = await admin.ok("POST", PATH, {"stream_id": str(shelf.stream_id)})
    return f"{PATH}/{made['id']}"


async def ids(admin: Caller, consumer: str, **asked: Any) -> list[str]:
    taken = await admin.ok("POST", f"{consumer}/next", {"batch_size": 1000, **asked})
    return [message["record"]["upstream_id"] for message in taken["data"]]


async def test_a_message_is_the_record_as_it_reads_elsewhere(admin: Caller, shelf: Shelf, consumer: str) -> None:
    await shelf.put("a", b'{"amount":1.0,"big":123456789012345678901234567890}')
    answer = await admin("GET", f"{consumer}/next")
    assert answer.status_code == 200
    content = answer.json()
    assert set(content) == {"data", "info"}
    assert content["info"] == {"num_pending": 0, "num_ack_pending": 1}
    (message,) = content["data"]
    assert set(message) == {"ack_token", "record"}
    read = await admin("GET", f"/v1/records/{message['record']['id']}")
    assert read.content in answer.content
    assert b'"amount":1.0,"big":123456789012345678901234567890' in answer.content


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_batch_is_asked_for_in_query_or_body(admin: Caller, shelf: Shelf, consumer: str, method: str) -> None:
    await shelf.put_many(10)

    async def taken(**options: Any) -> int:
        return len((await admin.ok(method, f"{consumer}/next", **options))["data"])

    assert await taken() == 1
    assert await taken(params={"batch_size": "2"}) == 2
    assert await taken(body={"batch_size": 3}) == 3
    assert await taken(params={"batch_size": "1"}, body={"batch_size": 3}) == 1
    assert await taken(params={"batch_size": "1000", "wait_for": "0"}) == 3


@pytest.mark.parametrize(
    "query", ["batch_size=0", "batch_size=1001", "batch_size=x", "batch_size=-1", "batch_size=1.5", "batch_size="]
)
async def test_a_query_that_does_not_hold_is_a_400(admin: Caller, consumer: str, query: str) -> None:
    for method in ("GET", "POST"):
        await admin.fails(400, method, f"{consumer}/next?{query}")
    await admin.fails(400, "GET", f"{consumer}/next?wait_for=300001")
    await admin.fails(400, "GET", f"{consumer}/next?size=5")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 1001}, "batch_size"),
        ({"batch_size": "5"}, "batch_size"),
        ({"wait_for": -1}, "wait_for"),
        ({"wait_for": 300_001}, "wait_for"),
        ({"size": 5}, "size"),
    ],
)
async def test_a_body_that_does_not_hold_is_a_422(
    admin: Caller, consumer: str, body: dict[str, Any], field: str
) -> None:
    assert set(await admin.invalid("POST", f"{consumer}/next", body)) == {field}


async def test_an_acked_message_does_not_come_again_and_a_nacked_one_does(
    admin: Caller, shelf: Shelf, consumer: str
) -> None:
    await shelf.put("a")
    await shelf.put("b")
    taken = (await admin.ok("GET", f"{consumer}/next", params={"batch_size": "10"}))["data"]
    tokens = {message["record"]["upstream_id"]: message["ack_token"] for message in taken}
    acked = await admin("POST", f"{consumer}/ack", {"ack_tokens": [tokens["a"]]})
    assert (acked.status_code, acked.content) == (204, b"")
    assert (await admin("POST", f"{consumer}/nack", {"ack_tokens": [tokens["b"]]})).status_code == 204
    assert await ids(admin, consumer) == ["b"]
    assert (await admin("POST", f"{consumer}/ack", {"ack_tokens": [tokens["a"]]})).status_code == 204


async def test_extend_and_term(admin: Caller, shelf: Shelf, consumer: str) -> None:
    await shelf.put("a")
    (message,) = (await admin.ok("GET", f"{consumer}/next"))["data"]
    tokens = {"ack_tokens": [message["ack_token"]]}
    assert (await admin("POST", f"{consumer}/extend", tokens)).status_code == 204
    assert (await admin("POST", f"{consumer}/term", {**tokens, "reason": "broken"})).status_code == 204
    assert await ids(admin, consumer) == []
    assert (await admin.ok("GET", consumer))["num_dead"] == 1
    (dead,) = (await admin.ok("GET", f"{consumer}/dead-letters"))["data"]
    assert dead["reason"] == "broken"
    assert dead["record"] == message["record"]
    assert await admin.ok("POST", f"{consumer}/dead-letters/replay") == {"replayed": 1}
    assert (await admin.ok("GET", f"{consumer}/dead-letters"))["data"] == []
    assert await ids(admin, consumer) == ["a"]


ACTIONS = ("ack", "nack", "extend", "term")


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ack_tokens": []},
        {"ack_tokens": "x"},
        {"ack_tokens": [5]},
        {"ack_tokens": ["x"] * 1001},
        {"ack_tokens": ["x"], "others": 1},
        {"ack_tokens": ["x"], "delay_ms": -1},
        {"ack_tokens": ["x"], "reason": 5},
    ],
)
async def test_a_body_without_tokens_is_a_422(admin: Caller, consumer: str, action: str, body: dict[str, Any]) -> None:
    await admin.invalid("POST", f"{consumer}/{action}", body)


@pytest.mark.parametrize("action", ACTIONS)
async def test_one_bad_token_spoils_the_call(admin: Caller, shelf: Shelf, consumer: str, action: str) -> None:
    await shelf.put("a")
    (message,) = (await admin.ok("GET", f"{consumer}/next"))["data"]
    other = await admin.ok("POST", PATH, {"stream_id": str(shelf.stream_id)})
    (theirs,) = (await admin.ok("GET", f"{PATH}/{other['id']}/next"))["data"]
    for bad in ("x", "é", theirs["ack_token"]):
        await admin.fails(400, "POST", f"{consumer}/{action}", {"ack_tokens": [message["ack_token"], bad]})
    shown = await admin.ok("GET", consumer)
    assert (shown["num_ack_pending"], shown["num_dead"]) == (1, 0)


async def test_a_doubled_key_is_refused_since_one_of_its_values_would_be_lost(admin: Caller, consumer: str) -> None:
    await admin.fails(422, "POST", f"{consumer}/ack", content=b'{"ack_tokens":["x"],"ack_tokens":["y"]}')


async def test_a_waiting_call_is_woken_by_what_is_appended(admin: Caller, shelf: Shelf, consumer: str) -> None:
    waiting = asyncio.create_task(ids(admin, consumer, batch_size=1, wait_for=60_000))
    await until(lambda: _waits(admin))
    await shelf.put("a")
    assert await waiting == ["a"]


async def _waits(admin: Caller) -> bool:
    text = (await admin("GET", "/metrics")).text
    return "headrace_http_requests_under_way 2.0" in text


async def test_a_caller_that_hangs_up_takes_nothing(admin: Caller, shelf: Shelf, consumer: str, base_url: str) -> None:
    headers = {"Authorization": f"Bearer {admin.token}"}
    async with httpx2.AsyncClient(base_url=base_url, headers=headers) as http:
        waiting = asyncio.create_task(http.get(f"{consumer}/next", params={"wait_for": 60_000}, timeout=90))
        await until(lambda: _waits(admin))
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
    await until(lambda: _nobody_waits(admin))
    await shelf.put("a")
    assert await ids(admin, consumer) == ["a"]


async def _nobody_waits(admin: Caller) -> bool:
    return "headrace_http_requests_under_way 1.0" in (await admin("GET", "/metrics")).text


async def test_more_than_100_waiting_calls_are_told_to_come_back(
    admin: Caller, shelf: Shelf, consumer: str, base_url: str
) -> None:
    headers = {"Authorization": f"Bearer {admin.token}"}
    limits = httpx2.Limits(max_connections=200)
    async with httpx2.AsyncClient(base_url=base_url, headers=headers, limits=limits, timeout=90) as http:
        calls = [asyncio.create_task(http.get(f"{consumer}/next", params={"wait_for": 60_000})) for _ in range(101)]
        done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        (refused,) = [await call for call in done]
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        await shelf.put_many(100)
        answers = await asyncio.gather(*waiting)
    assert sum(len(answer.json()["data"]) for answer in answers) == 100


async def test_head_takes_nothing(admin: Caller, shelf: Shelf, consumer: str) -> None:
    await shelf.put("a")
    assert (await admin("HEAD", f"{consumer}/next")).status_code == 405
    assert await ids(admin, consumer) == ["a"]


async def test_reset_moves_a_consumer_anew(admin: Caller, shelf: Shelf, consumer: str) -> None:
    await shelf.put("a")
    assert await ids(admin, consumer) == ["a"]
    reset = await admin.ok("POST", f"{consumer}/reset")
    assert reset["deliver_policy"] == "all"
    assert await ids(admin, consumer) == ["a"]
    assert (await admin.ok("POST", f"{consumer}/reset", {"deliver_policy": "new"}))["deliver_policy"] == "new"
    assert await ids(admin, consumer) == []
    assert (await admin.ok("GET", consumer))["deliver_policy"] == "new"
    assert set(await admin.invalid("POST", f"{consumer}/reset", {"deliver_policy": "some"})) == {"deliver_policy"}


async def test_a_changed_policy_moves_and_a_repeated_one_does_not(admin: Caller, shelf: Shelf, consumer: str) -> None:
    await shelf.put("a")
    assert await ids(admin, consumer) == ["a"]
    await admin.ok("PATCH", consumer, {"deliver_policy": "all"})
    assert await ids(admin, consumer) == []
    await admin.ok("PATCH", consumer, {"deliver_policy": "last"})
    assert await ids(admin, consumer) == ["a"]


async def test_filters_let_through_what_matches(admin: Caller, shelf: Shelf) -> None:
    await shelf.put("a")
    await shelf.put("b", collection="shop:customer")

    async def taken(**filters: Any) -> list[str]:
        made = await admin.ok("POST", PATH, {"stream_id": str(shelf.stream_id), "filters": filters})
        return await ids(admin, f"{PATH}/{made['id']}")

    assert await taken() == ["a", "b"]
    assert await taken(collection_id="shop:customer") == ["b"]
    assert await taken(collection_id=["shop:customer", "shop:order"]) == ["a", "b"]
    assert await taken(provider="other") == []
    assert await taken(provider="shop", sync_id=str(shelf.sync_id), collection_id="shop:order") == ["a"]
    assert await taken(sync_id=[str(uuid4())]) == []


async def test_an_answer_carries_at_most_32_mib(admin: Caller, shelf: Shelf, consumer: str) -> None:
    for number in range(5):
        await shelf.put(f"ord_{number}", json.dumps({"x": "y" * (9 * 2**20)}).encode())
    first = await admin("GET", f"{consumer}/next", params={"batch_size": "5"})
    assert len(first.json()["data"]) == 3
    rest = await admin.ok("GET", f"{consumer}/next", params={"batch_size": "5"})
    assert len(rest["data"]) == 2


async def test_a_consume_token_takes_messages_and_nothing_else(
    admin: Caller, callers: Callers, shelf: Shelf, consumer: str
) -> None:
    await shelf.put("a")
    worker = await callers.of(admin.org_id, ["consume"], streams=[shelf.stream_id])
    (message,) = (await worker.ok("GET", f"{consumer}/next"))["data"]
    assert (await worker("POST", f"{consumer}/ack", {"ack_tokens": [message["ack_token"]]})).status_code == 204
    for method, path in (("GET", consumer), ("GET", "/v1/records"), ("POST", f"{consumer}/reset")):
        await worker.fails(403, method, path)


async def test_another_organisations_consumer_is_not_there(stranger: Caller, shelf: Shelf, consumer: str) -> None:
    for action in ("next", *ACTIONS, "reset", "dead-letters/replay"):
        await stranger.fails(404, "POST", f"{consumer}/{action}", {"ack_tokens": ["x"]})
    await stranger.fails(404, "GET", f"{consumer}/dead-letters")


async def test_a_deleted_consumer_is_gone_at_once(admin: Caller, shelf: Shelf, consumer: str) -> None:
    await admin.ok("GET", f"{consumer}/next")
    await admin.ok("DELETE", consumer)
    await admin.fails(404, "GET", f"{consumer}/next")


async def test_a_token_revoked_elsewhere_is_refused_within_a_second(
    admin: Caller, callers: Callers, shelf: Shelf, consumer: str, services: Services
) -> None:
    """Another process knows nothing of ours: only time ends what is remembered there."""
    worker = await callers.of(admin.org_id, ["consume"])
    await worker.ok("GET", f"{consumer}/next")
    await services.db.api.execute("update api_tokens set revoked_at = now() where scopes = '{consume}'")

    async def refused() -> bool:
        return (await worker("GET", f"{consumer}/next")).status_code == 401

    await until(refused)


@pytest.mark.parametrize("action", ["ack", "nack", "extend", "term"])
async def test_of_bad_tokens_nothing_is_acted_on_by_half(
    admin: Caller, shelf: Shelf, consumer: str, action: str
) -> None:
    await shelf.put("a")
    await shelf.put("b")
    other = await admin.ok("POST", "/v1/http-consumers", {"stream_id": str(shelf.stream_id)})
    [foreign] = (await admin.ok("GET", f"/v1/http-consumers/{other['id']}/next"))["data"]
    good = [message["ack_token"] for message in (await admin.ok("GET", f"{consumer}/next?batch_size=2"))["data"]]
    changed = good[0][:-1] + ("A" if good[0][-1] != "A" else "B")
    for bad in ("", "x", " ", good[0] + good[1], good[0][:-4], changed, foreign["ack_token"], "-1", "9" * 64, "ä" * 64):
        await admin.fails(400, "POST", f"{consumer}/{action}", {"ack_tokens": [*good, bad]})
    await admin.fails(422, "POST", f"{consumer}/{action}", {"ack_tokens": good * 5000})
    await admin.fails(422, "POST", f"{consumer}/{action}", {"ack_tokens": [*good, "\0"]})
    held = await admin.ok("GET", consumer)
    assert (held["num_ack_pending"], held["num_pending"], held["num_dead"]) == (2, 0, 0)


async def settled(admin: Caller, action: str) -> float:
    """How many tokens of such calls this process has counted."""
    name = f'headrace_messages_settled_total{{action="{action}"}} '
    lines = (await admin("GET", "/metrics")).text.splitlines()
    return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)


async def test_ten_thousand_tokens_at_once_are_refused_and_taken_in_ten_calls(admin: Caller, shelf: Shelf) -> None:
    made = await admin.ok("POST", PATH, {"stream_id": str(shelf.stream_id), "max_ack_pending": 10_000})
    consumer = f"{PATH}/{made['id']}"
    await shelf.put_many(10_000)
    batches = [
        [message["ack_token"] for message in (await admin.ok("GET", f"{consumer}/next?batch_size=1000"))["data"]]
        for _ in range(10)
    ]
    every = [token for batch in batches for token in batch]
    assert len(set(every)) == 10_000
    refused = await admin.fails(422, "POST", f"{consumer}/ack", {"ack_tokens": every})
    assert "ack_tokens" in refused["validation_errors"]
    assert (await admin.ok("GET", consumer))["num_ack_pending"] == 10_000
    acks = [admin("POST", f"{consumer}/ack", {"ack_tokens": batch}) for batch in batches]
    assert {answer.status_code for answer in await asyncio.gather(*acks)} == {204}
    assert (await admin.ok("GET", consumer))["num_ack_pending"] == 0


@pytest.mark.parametrize(("action", "out", "dead"), [("ack", 0, 0), ("nack", 0, 0), ("extend", 1, 0), ("term", 0, 1)])
async def test_a_token_given_twice_counts_once(
    admin: Caller, shelf: Shelf, consumer: str, action: str, out: int, dead: int
) -> None:
    await shelf.put("a")
    [message] = (await admin.ok("GET", f"{consumer}/next"))["data"]
    before = await settled(admin, action)
    answer = await admin("POST", f"{consumer}/{action}", {"ack_tokens": [message["ack_token"]] * 1000})
    assert answer.status_code == 204
    assert await settled(admin, action) == before + 1
    held = await admin.ok("GET", consumer)
    assert (held["num_ack_pending"], held["num_dead"]) == (out, dead)
    assert await ids(admin, consumer, batch_size=10) == (["a"] if action == "nack" else [])


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("batch_size", [-1, 0, 1001, 2**31, 2**63, 2**64, 10**400, 1.5, "1", None, True, [], {}]),
        ("wait_for", [-1, 300_001, 2**63, 10**400, 0.5, "0", None, False]),
    ],
)
async def test_odd_numbers_are_refused_and_take_nothing(
    admin: Caller, shelf: Shelf, consumer: str, field: str, values: list[Any]
) -> None:
    await shelf.put("a")
    for value in values:
        refused = await admin.fails(422, "POST", f"{consumer}/next", {field: value})
        assert list(refused["validation_errors"]) == [field]
    for text in ("-1", "x", "1001000000", "1e3", "", "٣"):
        await admin.fails(400, "GET", f"{consumer}/next", params={field: text})
    assert (await admin.ok("GET", consumer))["num_ack_pending"] == 0


async def test_an_odd_delay_is_refused_and_the_message_stays_out(admin: Caller, shelf: Shelf, consumer: str) -> None:
    await shelf.put("a")
    [message] = (await admin.ok("GET", f"{consumer}/next"))["data"]
    for delay in (-1, 86_400_001, 2**63, 10**400, 0.5, "1", None):
        body = {"ack_tokens": [message["ack_token"]], "delay_ms": delay}
        assert "delay_ms" in (await admin.fails(422, "POST", f"{consumer}/nack", body))["validation_errors"]
    assert (await admin.ok("GET", consumer))["num_ack_pending"] == 1


async def test_what_a_provider_sent_arrives_byte_for_byte(admin: Caller, shelf: Shelf, consumer: str) -> None:
    """U+0000 and half surrogates as escapes, every digit, every key; and a record of 16 MiB."""
    odd = (
        rb'{"id":"odd","nul":"a\u0000b","half":"\ud800","n":1.0,"big":123456789012345678901234567890.10,'
        rb'"e":1E+2,"":null,"\u0000":[{}],"quote":"\"\\"}'
    )
    great = b'{"x":"' + b"y" * ((16 << 20) - 8) + b'"}'
    await shelf.put("odd\0", odd)
    await shelf.put("great", great)
    for expected in (odd, great):
        answer = await admin("GET", f"{consumer}/next")
        assert b'"data":' + expected + b"}}]" in answer.content
        assert b'"data":' + expected + b"}" in (await admin("GET", "/v1/records")).content
