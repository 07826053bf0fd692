"""/v1/streams, and what all management objects have in common."""

import re
from typing import Any
from uuid import UUID

import pytest
from callers import NOBODY, Caller, Callers


async def test_a_stream_is_made_read_changed_and_deleted(admin: Caller) -> None:
    made = await admin.ok("POST", "/v1/streams", {"slug": "main"})
    assert set(made) == {"id", "slug", "org_id", "event_days", "created_at", "updated_at"}
    assert (made["slug"], made["event_days"], made["org_id"]) == ("main", 0, str(admin.org_id))
    assert made["created_at"] == made["updated_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", made["created_at"])
    path = f"/v1/streams/{made['id']}"
    assert await admin.ok("GET", path) == made
    changed = await admin.ok("PATCH", path, {"slug": "other", "event_days": 7})
    assert (changed["slug"], changed["event_days"]) == ("other", 7)
    assert changed["updated_at"] > made["updated_at"]
    assert await admin.ok("GET", path) == changed
    assert await admin.ok("DELETE", path) == {"id": made["id"], "deleted": True}
    await admin.fails(404, "GET", path)
    await admin.fails(404, "DELETE", path)


async def test_a_patch_that_changes_nothing_leaves_updated_at(admin: Caller, stream: dict[str, Any]) -> None:
    path = f"/v1/streams/{stream['id']}"
    assert await admin.ok("PATCH", path, {}) == stream
    assert await admin.ok("PATCH", path, {"slug": "main", "event_days": 0}) == stream


async def test_what_was_read_can_be_sent_back(admin: Caller, stream: dict[str, Any]) -> None:
    assert await admin.ok("PATCH", f"/v1/streams/{stream['id']}", stream) == stream


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"slug": ["is required"]}),
        ({"slug": 5}, {"slug": ["must be a string"]}),
        ({"slug": None}, {"slug": ["must be a string"]}),
        ({"slug": "Not A Slug"}, {"slug": ["must be 1 to 63 of a-z, 0-9, _ and -"]}),
        ({"slug": "a\n"}, {"slug": ["must be 1 to 63 of a-z, 0-9, _ and -"]}),
        ({"slug": "a", "event_days": 1.5}, {"event_days": ["must be an integer"]}),
        ({"slug": "a", "event_days": True}, {"event_days": ["must be an integer"]}),
        ({"slug": "a", "event_days": "7"}, {"event_days": ["must be an integer"]}),
        ({"slug": "a", "event_days": 366}, {"event_days": ["must be at most 365"]}),
        ({"slug": "a", "event_days": -1}, {"event_days": ["must be at least 0"]}),
        ({"slug": "a", "colour": 1}, {"colour": ["is not a field of this object"]}),
        ({"colour": 1}, {"slug": ["is required"], "colour": ["is not a field of this object"]}),
    ],
)
async def test_fields_that_do_not_hold_are_named_all_at_once(
    admin: Caller, body: dict[str, Any], errors: dict[str, list[str]]
) -> None:
    assert await admin.invalid("POST", "/v1/streams", body) == errors


@pytest.mark.parametrize("slug", ["", "A", "a b", "ä", "a.b", "a" * 64, "a\n", "\n"])
async def test_a_slug_has_1_to_63_of_few_characters(admin: Caller, slug: str) -> None:
    assert set(await admin.invalid("POST", "/v1/streams", {"slug": slug})) == {"slug"}


@pytest.mark.parametrize("slug", ["a", "0", "-", "_", "a" * 63])
async def test_slugs_within_the_rule_are_taken(admin: Caller, slug: str) -> None:
    assert (await admin.ok("POST", "/v1/streams", {"slug": slug}))["slug"] == slug


async def test_a_slug_is_unique_in_the_organisation_only(admin: Caller, stranger: Caller) -> None:
    await admin.ok("POST", "/v1/streams", {"slug": "main"})
    other = await admin.ok("POST", "/v1/streams", {"slug": "other"})
    await stranger.ok("POST", "/v1/streams", {"slug": "main"})
    taken = {"slug": ["is taken by another stream of this organisation"]}
    assert await admin.invalid("POST", "/v1/streams", {"slug": "main"}) == taken
    assert await admin.invalid("PATCH", f"/v1/streams/{other['id']}", {"slug": "main"}) == taken


async def test_an_integer_may_be_written_as_1_0(admin: Caller) -> None:
    """JSON has one kind of number."""
    answer = await admin("POST", "/v1/streams", content=b'{"slug": "a", "event_days": 7.0}')
    assert answer.json()["event_days"] == 7


async def test_a_dry_run_of_delete_changes_nothing(admin: Caller, stream: dict[str, Any]) -> None:
    path = f"/v1/streams/{stream['id']}"
    plan = {"dry_run": True, "backfill": [], "purge": [], "affects": [stream["id"]]}
    assert await admin.ok("DELETE", path, params={"dry_run": "true"}) == plan
    assert await admin.ok("GET", path) == stream
    assert (await admin.ok("GET", "/v1/audit", params={"object_id": stream["id"]}))["data"][0]["method"] == "POST"


async def test_a_stream_with_a_consumer_cannot_be_deleted(admin: Caller, stream: dict[str, Any]) -> None:
    consumer = await admin.ok("POST", "/v1/http-consumers", {"stream_id": stream["id"]})
    for params in ({}, {"dry_run": "true"}):
        errors = await admin.invalid("DELETE", f"/v1/streams/{stream['id']}", None, params=params)
        assert errors == {"id": ["still has 1 consumer; delete it first"]}
    await admin.ok("DELETE", f"/v1/http-consumers/{consumer['id']}")
    await admin.ok("DELETE", f"/v1/streams/{stream['id']}")


@pytest.mark.parametrize("id_", ["1", "not-an-id", "%00", "..", NOBODY, "a" * 5000])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_malformed_or_unknown_id_is_a_404(admin: Caller, method: str, id_: str) -> None:
    await admin.fails(404, method, f"/v1/streams/{id_}", {} if method == "PATCH" else None)


async def test_lists_are_paged_oldest_first(admin: Caller, stranger: Caller) -> None:
    made = [await admin.ok("POST", "/v1/streams", {"slug": f"s{number}"}) for number in range(5)]
    await stranger.ok("POST", "/v1/streams", {"slug": "theirs"})
    assert await admin.ok("GET", "/v1/streams") == {"data": made, "next_cursor": None}
    seen: list[dict[str, Any]] = []
    cursor: str | None = None
    for size in (2, 2, 1):
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = await admin.ok("GET", "/v1/streams", params=params)
        assert len(page["data"]) == size
        seen, cursor = seen + page["data"], page["next_cursor"]
    assert (seen, cursor) == (made, None)
    assert (await admin.ok("GET", "/v1/streams", params={"limit": "5"}))["next_cursor"] is None


async def test_streams_are_filtered_by_slug(admin: Caller) -> None:
    for slug in ("a", "b"):
        await admin.ok("POST", "/v1/streams", {"slug": slug})
    found = await admin.ok("GET", "/v1/streams", params={"slug": "b"})
    assert [one["slug"] for one in found["data"]] == ["b"]
    assert (await admin.ok("GET", "/v1/streams", params={"slug": "c"}))["data"] == []


async def test_a_token_for_some_streams_sees_and_touches_those_only(admin: Caller, callers: Callers) -> None:
    mine, other = [await admin.ok("POST", "/v1/streams", {"slug": slug}) for slug in ("mine", "other")]
    limited = await callers.of(admin.org_id, ["admin"], streams=[UUID(mine["id"])])
    assert (await limited.ok("GET", "/v1/streams"))["data"] == [mine]
    await limited.ok("PATCH", f"/v1/streams/{mine['id']}", {"event_days": 1})
    for method, body in (("GET", None), ("PATCH", {"slug": "x"}), ("DELETE", None)):
        await limited.fails(404, method, f"/v1/streams/{other['id']}", body)
    await limited.fails(403, "POST", "/v1/streams", {"slug": "new"})
    for path in ("/v1/api-tokens", "/v1/audit", "/v1/orgs", "/v1/credentials", "/v1/oauth-apps"):
        await limited.fails(403, "GET", path)
