"""The same call with the same key changes nothing a second time, and is answered as the first time."""

import asyncio
from typing import Any

import pytest
from callers import Caller, Callers, until

from headrace.api.services import Services
from headrace.control import streams
from headrace.ids import uuid7

WAITING = """
    select exists (
      select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%idempotency_keys%'
    )
"""
KEY = {"Idempotency-Key": "k1"}


async def slugs(admin: Caller) -> list[str]:
    return [one["slug"] for one in (await admin.ok("GET", "/v1/streams"))["data"]]


async def test_a_repetition_returns_the_first_answer(admin: Caller) -> None:
    first = await admin("POST", "/v1/streams", {"slug": "a"}, headers=KEY)
    second = await admin("POST", "/v1/streams", {"slug": "a"}, headers=KEY)
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert await slugs(admin) == ["a"]


async def test_the_first_answer_is_returned_whatever_came_since(admin: Caller) -> None:
    first = await admin.ok("POST", "/v1/streams", {"slug": "a"}, headers=KEY)
    path = f"/v1/streams/{first['id']}"
    changed = await admin.ok("PATCH", path, {"slug": "b"}, headers=KEY)
    await admin.ok("DELETE", path)
    assert await admin.ok("POST", "/v1/streams", {"slug": "a"}, headers=KEY) == first
    assert await admin.ok("PATCH", path, {"slug": "b"}, headers=KEY) == changed
    assert await slugs(admin) == []


@pytest.mark.parametrize("other", [{"slug": "b"}, {"slug": "a", "event_days": 0}])
async def test_the_same_key_for_another_body_is_a_422(admin: Caller, other: dict[str, Any]) -> None:
    await admin.ok("POST", "/v1/streams", {"slug": "a"}, headers=KEY)
    assert set(await admin.invalid("POST", "/v1/streams", other, headers=KEY)) == {"Idempotency-Key"}
    assert await slugs(admin) == ["a"]


async def test_the_same_key_for_another_object_is_a_422(admin: Caller) -> None:
    one, two = [await admin.ok("POST", "/v1/streams", {"slug": slug}) for slug in ("one", "two")]
    await admin.ok("PATCH", f"/v1/streams/{one['id']}", {"event_days": 1}, headers=KEY)
    errors = await admin.invalid("PATCH", f"/v1/streams/{two['id']}", {"event_days": 1}, headers=KEY)
    assert set(errors) == {"Idempotency-Key"}


async def test_a_key_belongs_to_its_token_and_route(admin: Caller, callers: Callers) -> None:
    await admin.ok("POST", "/v1/streams", {"slug": "a"}, headers=KEY)
    colleague = await callers.of(admin.org_id, ["admin"])
    assert set(await colleague.invalid("POST", "/v1/streams", {"slug": "a"}, headers=KEY)) == {"slug"}
    await admin.ok("POST", "/v1/api-tokens", {"name": "a", "scopes": ["read"]}, headers=KEY)


async def test_another_organisations_same_key_is_another_key(admin: Caller, stranger: Caller) -> None:
    first = await admin.ok("POST", "/v1/streams", {"slug": "a"}, headers=KEY)
    answer = await stranger("POST", "/v1/streams", {"slug": "a"}, headers=KEY)
    assert "idempotent-replayed" not in answer.headers
    assert answer.json()["org_id"] == str(stranger.org_id)
    assert answer.json()["id"] != first["id"]
    assert await stranger.ok("POST", "/v1/streams", {"slug": "b"}, headers={"Idempotency-Key": "k2"})
    assert set(await admin.invalid("POST", "/v1/streams", {"slug": "c"}, headers=KEY)) == {"Idempotency-Key"}
    assert (await slugs(admin), await slugs(stranger)) == (["a"], ["a", "b"])


async def test_a_refusal_is_kept_too(admin: Caller) -> None:
    await admin.ok("POST", "/v1/streams", {"slug": "a"})
    refused = await admin.invalid("POST", "/v1/streams", {"slug": "a"}, headers=KEY)
    (stream,) = (await admin.ok("GET", "/v1/streams"))["data"]
    await admin.ok("DELETE", f"/v1/streams/{stream['id']}")
    assert await admin.invalid("POST", "/v1/streams", {"slug": "a"}, headers=KEY) == refused
    assert await slugs(admin) == []


async def test_a_fault_of_ours_is_not_kept(admin: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_args: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(streams, "insert", broken)
        await admin.fails(500, "POST", "/v1/streams", {"slug": "a"}, headers=KEY)
    await admin.ok("POST", "/v1/streams", {"slug": "a"}, headers=KEY)


async def test_a_one_time_secret_is_not_kept(admin: Caller, services: Services) -> None:
    body = {"name": "reader", "scopes": ["read"]}
    first = await admin.ok("POST", "/v1/api-tokens", body, headers=KEY)
    second = await admin.ok("POST", "/v1/api-tokens", body, headers=KEY)
    assert first["token"]
    assert second == {**first, "token": None}


async def test_kept_answers_are_sealed(admin: Caller, services: Services) -> None:
    made = await admin.ok("POST", "/v1/streams", {"slug": "conspicuous"}, headers=KEY)
    (answer,) = await services.db.api.fetch("select answer from idempotency_keys")
    assert b"conspicuous" not in answer["answer"]
    assert made["id"].encode() not in answer["answer"]


async def test_a_second_call_waits_for_the_first(
    admin: Caller, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call is stopped within its effect; the second one then waits on its row until it commits."""
    inside, go_on = asyncio.Event(), asyncio.Event()
    insert = streams.insert

    async def slow(conn: Any, stream: Any) -> None:
        await insert(conn, stream)
        inside.set()
        await go_on.wait()

    monkeypatch.setattr(streams, "insert", slow)
    first = asyncio.create_task(admin("POST", "/v1/streams", {"slug": "a"}, headers=KEY))
    await inside.wait()
    second = asyncio.create_task(admin("POST", "/v1/streams", {"slug": "a"}, headers=KEY))
    await until(lambda: services.db.api.fetchval(WAITING))
    assert not second.done()
    go_on.set()
    assert (await first).content == (await second).content
    assert (await second).headers["idempotent-replayed"] == "true"
    assert await slugs(admin) == ["a"]


async def test_when_the_first_call_fails_the_second_one_takes_effect(
    admin: Caller, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()
    insert = streams.insert

    async def failing(conn: Any, stream: Any) -> None:
        if inside.is_set():
            await insert(conn, stream)
            return
        inside.set()
        await go_on.wait()
        raise RuntimeError

    monkeypatch.setattr(streams, "insert", failing)
    first = asyncio.create_task(admin("POST", "/v1/streams", {"slug": "a"}, headers=KEY))
    await inside.wait()
    second = asyncio.create_task(admin("POST", "/v1/streams", {"slug": "a"}, headers=KEY))
    go_on.set()
    assert (await first).status_code == 500
    assert (await second).status_code == 200
    assert "idempotent-replayed" not in (await second).headers
    assert await slugs(admin) == ["a"]


async def test_a_key_is_free_again_after_a_day(admin: Caller, services: Services) -> None:
    first = await admin.ok("POST", "/v1/streams", {"slug": "a"}, headers=KEY)
    await admin.ok("DELETE", f"/v1/streams/{first['id']}")
    await services.db.api.execute("update idempotency_keys set created_at = created_at - interval '24 hours 1 second'")
    second = await admin.ok("POST", "/v1/streams", {"slug": "a"}, headers=KEY)
    assert second["id"] != first["id"]


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_has_1_to_255_characters(admin: Caller, key: str) -> None:
    await admin.fails(400, "POST", "/v1/streams", {"slug": "a"}, headers={"Idempotency-Key": key})


async def test_a_repetition_leaves_no_second_line_in_the_audit(admin: Caller) -> None:
    for _ in range(3):
        await admin.ok("POST", "/v1/streams", {"slug": "a"}, headers=KEY)
    assert len((await admin.ok("GET", "/v1/audit"))["data"]) == 1


async def test_a_change_leaves_all_of_its_rows_or_none(
    admin: Caller, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Effect, idempotency key and audit row are one transaction: one that fails at the last takes all along."""
    from headrace.control import audit

    async def failing(*_args: Any, **_options: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(audit, "write", failing)
    await admin.fails(500, "POST", "/v1/streams", {"slug": "a"}, headers=KEY)
    assert await slugs(admin) == []
    assert await services.db.api.fetchval("select count(*) from idempotency_keys") == 0
    async with services.db.transaction() as conn:
        await streams.insert(conn, streams.Stream(admin.org_id, uuid7(), "a", 0, *[services.db.clock.now()] * 2))
