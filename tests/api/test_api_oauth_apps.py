"""/v1/oauth-apps: registered, masked, exported to admins only, not deleted in use."""

from typing import Any

import pytest
from callers import Caller, Callers

APP = {"provider": "stripe", "name": "Ours", "client_id": "ca_1", "client_secret": "cs_1"}


@pytest.fixture
async def app_(admin: Caller) -> dict[str, Any]:
    made: dict[str, Any] = await admin.ok("POST", "/v1/oauth-apps", APP)
    return made


async def test_an_app_is_made_read_changed_and_deleted(admin: Caller, app_: dict[str, Any]) -> None:
    assert set(app_) == {
        "id", "provider", "name", "client_id", "client_secret", "redirect_uris", "metadata", "health", "created_at",
        "updated_at",
    }  # fmt: skip
    assert app_["client_secret"] == "**********"
    assert (app_["redirect_uris"], app_["metadata"]) == ([], {})
    assert app_["health"] == {"status": "ok", "notes": [], "time": app_["created_at"]}
    path = f"/v1/oauth-apps/{app_['id']}"
    assert await admin.ok("GET", path) == app_
    assert await admin.ok("PATCH", path, {}) == app_
    assert await admin.ok("PATCH", path, {"client_secret": "cs_1"}) == app_
    changes = {"name": "Other", "redirect_uris": ["https://here.example/back"], "metadata": {"a": 1}}
    changed = await admin.ok("PATCH", path, {**changes, "client_secret": "cs_2"})
    assert {name: changed[name] for name in changes} == changes
    assert changed["updated_at"] > app_["updated_at"]
    exported = await admin.ok("GET", f"{path}?truncate_secrets=false")
    assert exported["client_secret"] == "cs_2"
    plan = {"dry_run": True, "backfill": [], "purge": [], "affects": [app_["id"]]}
    assert await admin.ok("DELETE", f"{path}?dry_run=true") == plan
    assert await admin.ok("DELETE", path) == {"id": app_["id"], "deleted": True}
    await admin.fails(404, "GET", path)


async def test_a_github_app_has_an_id_and_a_key(admin: Caller) -> None:
    made = await admin.ok("POST", "/v1/oauth-apps", {**APP, "provider": "github", "app_id": "7", "private_key": "pk_1"})
    assert (made["app_id"], made["private_key"]) == ("7", "**********")
    exported = await admin.ok("GET", f"/v1/oauth-apps/{made['id']}?truncate_secrets=false")
    assert (exported["private_key"], exported["client_secret"]) == ("pk_1", "cs_1")


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"provider": "unheard"}, {"provider"}),
        ({"name": ""}, {"name"}),
        ({"client_id": None}, {"client_id"}),
        ({"client_secret": "**********"}, {"client_secret"}),
        ({"client_secret": ""}, {"client_secret"}),
        ({"private_key": "***"}, {"private_key"}),
        ({"redirect_uris": "https://x"}, {"redirect_uris"}),
        ({"redirect_uris": ["ftp://x"]}, {"redirect_uris.0"}),
        ({"redirect_uris": ["https://x/#there"]}, {"redirect_uris.0"}),
        ({"redirect_uris": ["https://x", "https://x"]}, {"redirect_uris"}),
        ({"metadata": 5}, {"metadata"}),
        ({"colour": 1}, {"colour"}),
    ],
)
async def test_fields_that_do_not_hold_are_named(admin: Caller, changes: dict[str, Any], errors: set[str]) -> None:
    assert set(await admin.invalid("POST", "/v1/oauth-apps", {**APP, **changes})) == errors


async def test_all_but_the_optional_fields_are_required(admin: Caller) -> None:
    told = await admin.invalid("POST", "/v1/oauth-apps", {})
    assert told == {key: ["is required"] for key in ("provider", "name", "client_id", "client_secret")}


async def test_what_names_the_app_cannot_be_changed(admin: Caller, app_: dict[str, Any]) -> None:
    for field, value in (("provider", "github"), ("client_id", "ca_2"), ("client_secret", "**********")):
        assert list(await admin.invalid("PATCH", f"/v1/oauth-apps/{app_['id']}", {field: value})) == [field]


async def test_lists_are_filtered_and_secrets_shown_to_admins_only(
    admin: Caller, stranger: Caller, callers: Callers, app_: dict[str, Any]
) -> None:
    other = await admin.ok("POST", "/v1/oauth-apps", {**APP, "provider": "github", "metadata": {"n": 1}})

    async def ids(query: str) -> set[str]:
        return {each["id"] for each in (await admin.ok("GET", f"/v1/oauth-apps?{query}"))["data"]}

    assert await ids("") == {app_["id"], other["id"]}
    assert await ids("provider=github") == {other["id"]}
    assert await ids('metadata={"n":1}') == {other["id"]}
    assert await ids("health.status=error") == set()
    reader = await callers.of(admin.org_id, ["read"])
    assert {each["client_secret"] for each in (await reader.ok("GET", "/v1/oauth-apps"))["data"]} == {"**********"}
    await reader.fails(403, "GET", "/v1/oauth-apps?truncate_secrets=false")
    shown = await admin("GET", "/v1/oauth-apps?truncate_secrets=false&limit=1")
    assert [each["client_secret"] for each in shown.json()["data"]] == ["cs_1"]
    assert shown.headers["cache-control"] == "no-store"
    assert (await stranger.ok("GET", "/v1/oauth-apps"))["data"] == []
    await stranger.fails(404, "GET", f"/v1/oauth-apps/{app_['id']}")
    await admin.fails(404, "GET", "/v1/oauth-apps/nonsense")


async def test_a_credential_shows_its_app_and_keeps_it(admin: Caller) -> None:
    ours = await admin.ok("POST", "/v1/oauth-apps", {**APP, "provider": "shop"})
    elsewhere = await admin.ok("POST", "/v1/oauth-apps", APP)
    given = {"properties": {"kind": "shop_key", "secret": "good"}}
    told = await admin.invalid("POST", "/v1/credentials", {**given, "oauth_app_id": elsewhere["id"]})
    assert list(told) == ["oauth_app_id"]
    made = await admin.ok("POST", "/v1/credentials", {**given, "oauth_app_id": ours["id"]})
    assert (made["oauth_app_id"], made["oauth_app"]) == (ours["id"], ours)
    plain = await admin.ok("POST", "/v1/credentials", given)
    assert plain["id"] != made["id"]
    await admin.invalid("DELETE", f"/v1/oauth-apps/{ours['id']}", None)
    await admin.ok("DELETE", f"/v1/credentials/{made['id']}")
    await admin.ok("DELETE", f"/v1/oauth-apps/{ours['id']}")
