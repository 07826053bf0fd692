"""The client: what it sends, what it repeats, what its errors say."""

import functools
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import Scripted

import headrace.client as public
from headrace.client import (
    ApiError,
    AsyncClient,
    Client,
    ConnectionFailed,
    Invalid,
    NotFound,
    RetryPolicy,
    TooManyRequests,
    Unauthorized,
    Unfinished,
    calls,
)
from headrace.client import blocking as blocking_module
from headrace.client import nonblocking as nonblocking_module

QUICK = RetryPolicy(attempts=3, first_s=0.001, most_s=0.01)


def client(scripted: Scripted, **options: Any) -> Client:
    return Client(scripted.url, "hr_secret", retries=QUICK, **options)


def test_a_list_goes_through_all_pages(scripted: Scripted) -> None:
    scripted.answers = [
        (200, {"data": [{"id": "a"}, {"id": "b"}], "next_cursor": "c/1"}),
        (200, {"data": [{"id": "c"}], "next_cursor": None}),
    ]
    with client(scripted) as api:
        assert [each["id"] for each in api.streams.list(slug="main")] == ["a", "b", "c"]
    assert [asked.path for asked in scripted.asked] == ["/v1/streams?slug=main", "/v1/streams?slug=main&cursor=c%2F1"]
    assert all(asked.headers["authorization"] == "Bearer hr_secret" for asked in scripted.asked)


@pytest.mark.parametrize("trouble", [None, (429, {}), (500, {"summary": "x"}), (503, {"summary": "x"})])
def test_a_create_is_repeated_under_one_idempotency_key(scripted: Scripted, trouble: Any) -> None:
    scripted.answers = [trouble, trouble, (200, {"id": "s"})]
    with client(scripted) as api:
        assert api.streams.create(slug="main")["id"] == "s"
    keys = {asked.headers["idempotency-key"] for asked in scripted.asked}
    assert len(scripted.asked) == 3
    assert len(keys) == 1
    assert all(asked.body == {"slug": "main"} for asked in scripted.asked)


def test_two_creates_have_two_idempotency_keys(scripted: Scripted) -> None:
    scripted.answers = [(200, {"id": "a"}), (200, {"id": "b"})]
    with client(scripted) as api:
        api.streams.create(slug="one")
        api.streams.create(slug="two")
    assert len({asked.headers["idempotency-key"] for asked in scripted.asked}) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 422, 502, 504])
def test_an_answer_that_repeating_will_not_better_stands(scripted: Scripted, status: int) -> None:
    scripted.answers = [(status, {"summary": "no"})]
    with client(scripted) as api, pytest.raises(ApiError) as raised:
        api.streams.create(slug="main")
    assert raised.value.status == status
    assert len(scripted.asked) == 1


def test_a_wait_is_sent_once(scripted: Scripted) -> None:
    scripted.answers = [(504, {"ok": False, "collections": [{"id": "stripe:customer", "level": "head"}]})]
    with client(scripted) as api, pytest.raises(Unfinished) as raised:
        api.syncs.wait("s", "head", 10)
    assert raised.value.answer["collections"][0]["id"] == "stripe:customer"
    assert len(scripted.asked) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Unauthorized), (403, Unauthorized), (404, NotFound), (422, Invalid), (418, ApiError)]
)
def test_each_status_has_its_error(scripted: Scripted, status: int, kind: type[ApiError]) -> None:
    scripted.answers = [(status, {"summary": "in plain words", "validation_errors": {"name": ["is too long"]}})]
    with client(scripted) as api, pytest.raises(kind) as raised:
        api.streams.get("x")
    assert "in plain words" in str(raised.value)
    if isinstance(raised.value, Invalid):
        assert raised.value.errors == {"name": ["is too long"]}
        assert "name is too long" in str(raised.value)


def test_too_many_requests_tells_when_to_come_back(scripted: Scripted) -> None:
    scripted.answers = [(429, {"summary": "slow down"}, {"Retry-After": "0"})] * 3
    with client(scripted) as api, pytest.raises(TooManyRequests) as raised:
        api.streams.get("x")
    assert raised.value.retry_after == 0.0
    assert len(scripted.asked) == 3


def test_no_server_is_told_without_the_token() -> None:
    with Client("http://127.0.0.1:1", "hr_secret", retries=QUICK) as api, pytest.raises(ConnectionFailed) as raised:
        api.streams.get("x")
    assert "127.0.0.1:1" in str(raised.value)
    assert "hr_secret" not in str(raised.value)


def test_an_answer_that_is_no_json_is_an_error(scripted: Scripted) -> None:
    scripted.answers = [(200, b"<html>")]
    with client(scripted) as api, pytest.raises(ApiError, match="no JSON"):
        api.streams.get("x")


def test_an_id_never_leads_to_another_route(scripted: Scripted) -> None:
    scripted.answers = [(404, {"summary": "no"})]
    with client(scripted) as api, pytest.raises(NotFound):
        api.streams.get("../syncs?x=1")
    assert scripted.asked[0].path == "/v1/streams/..%2Fsyncs%3Fx%3D1"


def test_numbers_keep_their_digits_on_wish(scripted: Scripted) -> None:
    scripted.answers = [(200, b'{"data": {"amount": 0.1000000000000000000001}}')]
    with client(scripted, loads=functools.partial(json.loads, parse_float=Decimal)) as api:
        assert api.records.get("r")["data"]["amount"] == Decimal("0.1000000000000000000001")


def test_filters_that_are_no_text_are_sent_as_json(scripted: Scripted) -> None:
    scripted.answers = [(200, {"data": [], "next_cursor": None})]
    with client(scripted) as api:
        list(api.syncs.list(metadata={"team": 7}, status=None))
    assert scripted.asked[0].path == "/v1/syncs?metadata=%7B%22team%22%3A+7%7D"


async def test_the_async_client_repeats_and_pages_too(scripted: Scripted) -> None:
    scripted.answers = [
        None,
        (200, {"data": [{"id": "a"}], "next_cursor": "c"}),
        (503, {"summary": "soon"}),
        (200, {"data": [{"id": "b"}], "next_cursor": None}),
    ]
    async with AsyncClient(scripted.url, "hr_secret", retries=QUICK) as api:
        assert [each["id"] async for each in api.streams.list()] == ["a", "b"]
    assert len(scripted.asked) == 4


@given(
    attempts=st.integers(1, 8),
    attempt=st.integers(1, 10),
    retry_after=st.one_of(st.none(), st.floats(0, 100).map(str), st.just("Wed, 21 Oct 2026 07:28:00 GMT")),
)
def test_waits_grow_are_bounded_and_heed_the_server(attempts: int, attempt: int, retry_after: str | None) -> None:
    policy = RetryPolicy(attempts=attempts, first_s=0.2, most_s=10.0)
    headers = {} if retry_after is None else {"retry-after": retry_after}
    wait_s = policy.wait_after(calls.sync_run("s"), attempt, 429, headers)
    if attempt >= attempts:
        assert wait_s is None
        return
    assert wait_s is not None
    asked_for = float(retry_after) if retry_after and retry_after[0].isdigit() else 0.0
    own = min(10.0, 0.2 * 2 ** (attempt - 1))
    assert max(asked_for, own / 2) <= wait_s <= max(asked_for, own)


def test_the_public_names_are_sorted_and_there() -> None:
    assert public.__all__ == sorted(public.__all__)
    assert all(hasattr(public, name) for name in public.__all__)


def test_both_clients_offer_the_same() -> None:
    """The same methods with the same parameters; only what comes back is awaited."""
    for name in ("Resource", "Syncs", "Consumers", "Collections", "Records"):
        one, other = getattr(blocking_module, name), getattr(nonblocking_module, f"Async{name}")
        assert _signatures(one) == _signatures(other), name
    with Client("http://127.0.0.1:1") as api:
        awaited = AsyncClient("http://127.0.0.1:1")
        assert {n for n in vars(api) if n[0] != "_"} == {n for n in vars(awaited) if n[0] != "_"}


def _signatures(kind: type) -> dict[str, Any]:
    public_methods = {name: method for name, method in vars(kind).items() if name[0] != "_"}
    names = {
        name: method.__code__.co_varnames[: method.__code__.co_argcount] for name, method in public_methods.items()
    }
    return {name: (names[name], public_methods[name].__defaults__) for name in names}
