"""/v1/api-tokens, /v1/orgs, /v1/audit."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from callers import NOBODY, Caller, Callers

from headrace.api.allowances import Allowances
from headrace.api.services import Services
from headrace.control import tokens
from headrace.db.pool import Database
from headrace.errors import TooManyRequests


async def test_a_token_shows_its_secret_once_and_works_until_it_is_revoked(admin: Caller, callers: Callers) -> None:
    made = await admin.ok("POST", "/v1/api-tokens", {"name": "reader", "scopes": ["read"]})
    secret = made.pop("token")
    assert secret.startswith("hr_")
    assert await admin.ok("GET", f"/v1/api-tokens/{made['id']}") == made
    assert made in (await admin.ok("GET", "/v1/api-tokens"))["data"]
    reader = callers.with_token(secret, admin.org_id)
    await reader.ok("GET", "/v1/streams")
    await reader.fails(403, "POST", "/v1/streams", {"slug": "a"})
    used = await admin.ok("GET", f"/v1/api-tokens/{made['id']}")
    assert used["last_used_at"] is not None
    assert await admin.ok("DELETE", f"/v1/api-tokens/{made['id']}") == {"id": made["id"], "deleted": True}
    await reader.fails(401, "GET", "/v1/streams")
    await admin.fails(404, "GET", f"/v1/api-tokens/{made['id']}")
    await admin.fails(404, "DELETE", f"/v1/api-tokens/{made['id']}")


async def test_only_a_hash_of_the_secret_is_stored(admin: Caller, services: Services) -> None:
    made = await admin.ok("POST", "/v1/api-tokens", {"name": "reader", "scopes": ["read"]})
    row = await services.db.api.fetchrow("select t::text as text from api_tokens t where id = $1", UUID(made["id"]))
    assert row is not None
    assert made["token"] not in row["text"]
    assert made["token"].encode().hex() not in row["text"]


async def test_a_dry_run_of_a_revocation_revokes_nothing(admin: Caller, callers: Callers) -> None:
    made = await admin.ok("POST", "/v1/api-tokens", {"name": "reader", "scopes": ["read"]})
    plan = await admin.ok("DELETE", f"/v1/api-tokens/{made['id']}", params={"dry_run": "true"})
    assert plan == {"dry_run": True, "backfill": [], "purge": [], "affects": [made["id"]]}
    await callers.with_token(made["token"], admin.org_id).ok("GET", "/v1/streams")


async def test_the_last_admin_token_cannot_be_revoked(admin: Caller) -> None:
    (mine,) = (await admin.ok("GET", "/v1/api-tokens"))["data"]
    path = f"/v1/api-tokens/{mine['id']}"
    assert "id" in await admin.invalid("DELETE", path, None)
    expires = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    await admin.ok("POST", "/v1/api-tokens", {"name": "second", "scopes": ["admin"], "expires_at": expires})
    await admin.ok("DELETE", path)


async def test_an_expired_token_is_a_401(admin: Caller, callers: Callers, services: Services) -> None:
    now = services.db.clock.now()
    async with services.db.transaction() as conn:
        _, secret = await tokens.create(conn, admin.org_id, "old", ["read"], now, expires_at=now)
    await callers.with_token(secret, admin.org_id).fails(401, "GET", "/v1/streams")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes.0"),
        ({"scopes": ["read", "read"]}, "scopes"),
        ({"scopes": "read"}, "scopes"),
        ({"stream_ids": []}, "stream_ids"),
        ({"stream_ids": ["x"]}, "stream_ids.0"),
        ({"stream_ids": [NOBODY]}, "stream_ids"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2031-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
        ({"expires_at": 5}, "expires_at"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"requests_per_minute": True}, "requests_per_minute"),
        ({"instance": True}, "instance"),
    ],
)
async def test_fields_of_a_token_that_do_not_hold(admin: Caller, given: dict[str, Any], field: str) -> None:
    assert set(await admin.invalid("POST", "/v1/api-tokens", {"name": "a", "scopes": ["read"], **given})) == {field}


async def test_a_token_cannot_be_limited_to_another_organisations_stream(admin: Caller, stranger: Caller) -> None:
    theirs = await stranger.ok("POST", "/v1/streams", {"slug": "theirs"})
    errors = await admin.invalid(
        "POST", "/v1/api-tokens", {"name": "a", "scopes": ["read"], "stream_ids": [theirs["id"]]}
    )
    assert set(errors) == {"stream_ids"}


async def test_only_the_instance_token_makes_organisations(callers: Callers) -> None:
    instance = await callers.admin(instance=True, name="First")
    made = await instance.ok("POST", "/v1/orgs", {"name": "Atreides"})
    assert set(made) == {"id", "name", "created_at", "api_token"}
    theirs = callers.with_token(made["api_token"], UUID(made["id"]))
    await theirs.ok("POST", "/v1/streams", {"slug": "main"})
    await theirs.fails(403, "POST", "/v1/orgs", {"name": "Corrino"})
    assert [org["name"] for org in (await instance.ok("GET", "/v1/orgs"))["data"]] == ["First", "Atreides"]
    assert [org["name"] for org in (await theirs.ok("GET", "/v1/orgs"))["data"]] == ["Atreides"]
    assert (await instance.ok("GET", "/v1/streams"))["data"] == []


async def test_the_audit_tells_who_did_what_and_what_was_refused(admin: Caller, stranger: Caller) -> None:
    stream = await admin.ok("POST", "/v1/streams", {"slug": "main"})
    await admin.fails(422, "POST", "/v1/streams", {"slug": "main"})
    await admin.ok("PATCH", f"/v1/streams/{stream['id']}", {"slug": "other"})
    await admin.fails(404, "DELETE", f"/v1/streams/{uuid4()}")
    await admin.ok("GET", "/v1/streams")
    entries = (await admin.ok("GET", "/v1/audit"))["data"]
    assert [(one["method"], one["route"], one["status"]) for one in entries] == [
        ("DELETE", "/v1/streams/{id}", 404),
        ("PATCH", "/v1/streams/{id}", 200),
        ("POST", "/v1/streams", 422),
        ("POST", "/v1/streams", 200),
    ]
    (token,) = (await admin.ok("GET", "/v1/api-tokens"))["data"]
    assert {(one["token_id"], one["token_name"]) for one in entries} == {(token["id"], token["name"])}
    of_stream = (await admin.ok("GET", "/v1/audit", params={"object_id": stream["id"]}))["data"]
    assert [one["method"] for one in of_stream] == ["PATCH", "POST"]
    assert (await stranger.ok("GET", "/v1/audit"))["data"] == []


async def test_the_audit_is_filtered(admin: Caller, callers: Callers) -> None:
    colleague = await callers.of(admin.org_id, ["admin"])
    first = await admin.ok("POST", "/v1/streams", {"slug": "first"})
    second = await colleague.ok("POST", "/v1/streams", {"slug": "second"})
    await colleague.ok("PATCH", f"/v1/streams/{first['id']}", {"slug": "renamed"})
    whole = (await admin.ok("GET", "/v1/audit"))["data"]
    (colleagues,) = {one["token_id"] for one in whole if one["object_id"] == second["id"]}

    async def found(**params: str) -> list[tuple[str, str]]:
        entries = (await admin.ok("GET", "/v1/audit", params=params))["data"]
        return [(one["method"], one["object_id"]) for one in entries]

    renamed, made_second, made_first = ("PATCH", first["id"]), ("POST", second["id"]), ("POST", first["id"])
    assert await found() == [renamed, made_second, made_first]
    assert await found(token_id=colleagues) == [renamed, made_second]
    assert await found(object_id=first["id"]) == [renamed, made_first]
    assert await found(route="/v1/streams") == [made_second, made_first]
    assert await found(token_id=colleagues, route="/v1/streams/{id}", object_id=first["id"]) == [renamed]
    assert await found(token_id=colleagues, route="/v1/streams", object_id=first["id"]) == []
    assert await found(route="/v1/unheard") == await found(object_id="unheard") == await found(token_id=NOBODY) == []
    await admin.fails(400, "GET", "/v1/audit", params={"token_id": "x"})


async def test_a_refused_scope_is_in_the_audit(admin: Caller, callers: Callers) -> None:
    reader = await callers.of(admin.org_id, ["read"])
    await reader.fails(403, "POST", "/v1/streams", {"slug": "a"})
    (entry,) = (await admin.ok("GET", "/v1/audit"))["data"]
    assert (entry["status"], entry["token_name"]) == (403, "test ['read']")


async def test_the_audit_is_paged_newest_first(admin: Caller) -> None:
    for number in range(5):
        await admin.ok("POST", "/v1/streams", {"slug": f"s{number}"})
    whole = (await admin.ok("GET", "/v1/audit"))["data"]
    seen: list[Any] = []
    cursor = None
    while True:
        page = await admin.ok("GET", "/v1/audit", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        seen += page["data"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == whole
    assert len(seen) == 5


async def test_a_token_has_a_limit_of_its_own(admin: Caller, callers: Callers) -> None:
    given = {"name": "lost", "scopes": ["admin"], "requests_per_minute": 3}
    made = await admin.ok("POST", "/v1/api-tokens", given)
    assert made["requests_per_minute"] == 3
    limited = callers.with_token(made["token"], admin.org_id)
    consumer = f"/v1/http-consumers/{NOBODY}/next"
    assert [(await limited("GET", path)).status_code for path in ("/v1/streams", consumer, "/v1/nothing")] == [
        200,
        404,
        404,
    ]
    await limited.ok("GET", "/v1/streams")
    refused = await limited("GET", "/v1/streams")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert "3 requests a minute" in refused.json()["summary"]
    await admin.ok("GET", "/v1/streams")


async def test_requests_at_once_share_what_one_of_them_has_taken(db: Database, callers: Callers, admin: Caller) -> None:
    made = await admin.ok("POST", "/v1/api-tokens", {"name": "x", "scopes": ["read"], "requests_per_minute": 120})
    limited = tokens.Principal(
        admin.org_id, UUID(made["id"]), "x", frozenset({"read"}), requests_per_minute=made["requests_per_minute"]
    )
    allowances = Allowances(db, lambda: 0.0)
    outcomes = await asyncio.gather(*(allowances.spend(limited) for _ in range(300)), return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, TooManyRequests)]
    assert len(refused) + outcomes.count(None) == 300
    # The minute's worth, and what comes back while they ask: half a second's for each second.
    assert 120 <= outcomes.count(None) < 300
    assert 0 < refused[-1].retry_after <= 0.5
