"""/v1/credentials: imported once an account, verified, masked, exported to admins only."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from callers import Caller, Callers
from key_owners import Accounts, accounts_server

from headrace.api.services import Services
from headrace.providers import installed

STARS = "***********"


@pytest.fixture
async def accounts(services: Services) -> AsyncIterator[Accounts]:
    services.providers = {**services.providers, "stripe": installed()["stripe"]}
    async with accounts_server() as server:
        yield server


async def make(caller: Caller, properties: dict[str, Any], **others: Any) -> dict[str, Any]:
    made: dict[str, Any] = await caller.ok("POST", "/v1/credentials", {"properties": properties, **others})
    return made


async def refused(caller: Caller, properties: Any, **others: Any) -> dict[str, list[str]]:
    return await caller.invalid("POST", "/v1/credentials", {"properties": properties, **others})


async def count(caller: Caller) -> int:
    return len((await caller.ok("GET", "/v1/credentials"))["data"])


async def test_a_credential_is_imported_read_and_deleted(admin: Caller, accounts: Accounts) -> None:
    made = await make(admin, accounts.properties("sk_live_one_1"), name="Choam", metadata={"n": 1})
    assert set(made) == {
        "id", "provider", "kind", "name", "properties", "oauth_app_id", "oauth_app", "metadata", "health",
        "created_at", "updated_at",
    }  # fmt: skip
    assert (made["provider"], made["kind"], made["name"], made["metadata"]) == (
        "stripe",
        "stripe_key",
        "Choam",
        {"n": 1},
    )
    assert made["properties"] == {
        "kind": "stripe_key", "secret": STARS, "test": False, "base_url": accounts.base_url,
    }  # fmt: skip
    assert (made["oauth_app_id"], made["oauth_app"]) == (None, {"kind": "sequin"})
    assert made["health"] == {"status": "ok", "notes": [], "time": made["created_at"]}
    path = f"/v1/credentials/{made['id']}"
    assert await admin.ok("GET", path) == made
    assert await admin.ok("GET", "/v1/credentials") == {"data": [made], "next_cursor": None}
    assert await admin.ok("DELETE", path) == {"id": made["id"], "deleted": True}
    await admin.fails(404, "GET", path)


async def test_importing_the_same_account_again_updates_the_one_credential(admin: Caller, accounts: Accounts) -> None:
    first = await make(admin, accounts.properties("sk_live_one_1"), name="Choam")
    again = await make(admin, accounts.properties("sk_live_one_2"))
    assert (again["id"], again["name"]) == (first["id"], "Choam")
    exported = await admin.ok("GET", f"/v1/credentials/{first['id']}?truncate_secrets=false")
    assert exported["properties"]["secret"] == "sk_live_one_2"
    other = await make(admin, accounts.properties("sk_live_two_1"))
    test = await make(admin, accounts.properties("sk_test_one_1"))
    narrow = await make(admin, accounts.properties("rk_live_one_1"))
    assert len({each["id"] for each in (first, other, test, narrow)}) == 4
    assert test["properties"]["test"] is True


async def test_what_was_read_can_be_sent_back_but_for_the_stars(admin: Caller, accounts: Accounts) -> None:
    made = await make(admin, accounts.properties("sk_live_one_1"), name="Choam")
    assert await refused(admin, made["properties"]) == {
        "properties.secret": ["is masked: give the secret itself, or leave the field out"]
    }
    again = {**made, "properties": {**made["properties"], "secret": "sk_live_one_1"}}
    assert await admin.ok("POST", "/v1/credentials", again) == made
    kept = {name: value for name, value in made.items() if name not in ("properties", "provider")}
    assert await admin.ok("PATCH", f"/v1/credentials/{made['id']}", kept) == made


async def test_older_spellings_are_taken_and_answered_in_the_present_form(admin: Caller, accounts: Accounts) -> None:
    made = await make(admin, {"kind": "stripe_key", "secret_key": "sk_live_one_1", "base_url": accounts.base_url})
    assert made["properties"]["secret"] == STARS
    assert "secret_key" not in made["properties"]
    oauth = await make(
        admin,
        {
            "kind": "stripe_oauth", "stripe_user_id": "acct_two", "access_token": "sk_live_two_1",
            "scope": "read_write", "base_url": accounts.base_url,
        },
    )  # fmt: skip
    assert (oauth["kind"], oauth["properties"]["kind"]) == ("stripe_oauth2", "stripe_oauth2")
    assert oauth["properties"]["access_token"] == STARS
    assert "refresh_token" not in oauth["properties"]
    assert [each["id"] for each in (await admin.ok("GET", "/v1/credentials?kind=stripe_oauth"))["data"]] == [
        oauth["id"]
    ]


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"properties"}),
        ({"properties": None}, {"properties"}),
        ({"properties": []}, {"properties"}),
        ({"properties": {}}, {"properties.kind"}),
        ({"properties": {"kind": "unheard"}}, {"properties.kind"}),
        ({"properties": {"kind": 5}}, {"properties.kind"}),
        ({"properties": {"kind": "stripe_key"}}, {"properties.secret"}),
        ({"properties": {"kind": "stripe_key", "secret": ""}}, {"properties.secret"}),
        ({"properties": {"kind": "stripe_key", "secret": 7}}, {"properties.secret"}),
        ({"properties": {"kind": "stripe_key", "secret": "nonsense"}}, {"properties.secret"}),
        ({"properties": {"kind": "stripe_key", "secret": STARS}}, {"properties.secret"}),
        ({"properties": {"kind": "stripe_key", "secret": "sk_x", "colour": 1}}, {"properties.colour"}),
        ({"properties": {"kind": "stripe_key", "secret": "sk_x", "base_url": "ftp://x"}}, {"properties.base_url"}),
        ({"properties": {"kind": "stripe_key", "secret": "sk_x"}, "provider": "shop"}, {"provider"}),
        ({"properties": {"kind": "stripe_key", "secret": "sk_x"}, "oauth_app_id": "x"}, {"oauth_app_id"}),
        ({"properties": {"kind": "stripe_key", "secret": "sk_x"}, "oauth_app_id": str(uuid4())}, {"oauth_app_id"}),
        ({"properties": {"kind": "stripe_key", "secret": "sk_x"}, "metadata": None}, {"metadata"}),
        ({"properties": {"kind": "stripe_key", "secret": "sk_x"}, "provider": None}, {"provider"}),
        ({"properties": {"kind": "stripe_key", "secret": "sk_x"}, "metadata": []}, {"metadata"}),
        ({"properties": {"kind": "stripe_key", "secret": "sk_x"}, "name": ""}, {"name"}),
        ({"properties": {"kind": "stripe_key", "secret": "sk_x"}, "colour": 1}, {"colour"}),
    ],
)
async def test_fields_that_do_not_hold_are_named_and_the_provider_is_not_asked(
    admin: Caller, accounts: Accounts, body: dict[str, Any], errors: set[str]
) -> None:
    given = body.get("properties")
    if isinstance(given, dict):
        body = {**body, "properties": {"base_url": accounts.base_url, **given}}
    assert set(await admin.invalid("POST", "/v1/credentials", body)) == errors
    assert accounts.asked == []
    assert await count(admin) == 0


async def test_without_the_setting_a_base_url_is_refused(admin: Caller, accounts: Accounts, services: Services) -> None:
    services.settings = services.settings.model_copy(update={"allow_base_url": False})
    told = await refused(admin, accounts.properties("sk_live_one_1"))
    assert "HEADRACE_ALLOW_BASE_URL" in told["properties.base_url"][0]
    assert accounts.asked == []


async def test_a_secret_that_the_provider_refuses_is_a_422_on_it_and_not_stored(
    admin: Caller, accounts: Accounts
) -> None:
    told = await refused(admin, accounts.properties("sk_live_revoked_canary"))
    assert list(told) == ["properties.secret"]
    assert "refused by the provider" in told["properties.secret"][0]
    assert "canary" not in str(told)
    assert await count(admin) == 0


async def test_an_unreachable_provider_stores_it_with_a_warning_and_the_same_secret_once(
    admin: Caller, accounts: Accounts
) -> None:
    accounts.down = True
    made = await make(admin, accounts.properties("sk_live_one_1"))
    assert made["health"]["status"] == "warn"
    assert "could not be tried" in made["health"]["notes"][0]
    assert (await make(admin, accounts.properties("sk_live_one_1")))["id"] == made["id"]
    accounts.down = False
    found = await make(admin, accounts.properties("sk_live_one_1"))
    assert (found["id"], found["health"]["status"], found["health"]["notes"]) == (made["id"], "ok", [])
    assert await count(admin) == 1


async def test_verify_false_asks_nobody(admin: Caller, accounts: Accounts) -> None:
    body = {"properties": accounts.properties("sk_test_revoked_1")}
    made = await admin.ok("POST", "/v1/credentials?verify=false", body)
    assert accounts.asked == []
    assert made["properties"]["test"] is True
    assert made["health"]["status"] == "ok"
    assert "not tried" in made["health"]["notes"][0]
    assert (await admin.ok("POST", "/v1/credentials?verify=false", body))["id"] == made["id"]


async def test_a_restricted_key_that_may_not_read_its_account_is_taken(admin: Caller, accounts: Accounts) -> None:
    one = await make(admin, accounts.properties("rk_live_mute_1"))
    other = await make(admin, accounts.properties("rk_live_mute_2"))
    assert one["id"] != other["id"]
    assert one["health"]["status"] == "ok"
    assert (await make(admin, accounts.properties("rk_live_mute_1")))["id"] == one["id"]


async def test_a_patch_changes_name_and_metadata_alone(admin: Caller, accounts: Accounts) -> None:
    made = await make(admin, accounts.properties("sk_live_one_1"), name="Choam", metadata={"a": 1})
    path = f"/v1/credentials/{made['id']}"
    assert await admin.ok("PATCH", path, {}) == made
    changed = await admin.ok("PATCH", path, {"name": None, "metadata": {"b": 2}})
    assert (changed["name"], changed["metadata"]) == (None, {"b": 2})
    assert changed["updated_at"] > made["updated_at"]
    assert changed["properties"] == made["properties"]
    assert accounts.asked == ["sk_live_one_1"]


async def test_numbers_in_metadata_keep_every_digit(admin: Caller, accounts: Accounts) -> None:
    made = await make(admin, accounts.properties("sk_live_one_1"))
    text = '{"metadata":{"n":1.0,"big":12345678901234567890123,"small":0.1000}}'
    answer = await admin.http.patch(f"/v1/credentials/{made['id']}", content=text)
    assert answer.status_code == 200
    assert '"metadata":{"n":1.0,"big":12345678901234567890123,"small":0.1000}' in answer.text


async def test_properties_reauthorise_the_same_account(admin: Caller, accounts: Accounts) -> None:
    made = await make(admin, accounts.properties("sk_live_one_1", name="East"))
    path = f"/v1/credentials/{made['id']}"
    renewed = await admin.ok("PATCH", path, {"properties": {"kind": "stripe_key", "secret": "sk_live_one_2"}})
    assert renewed["properties"] == made["properties"]
    exported = await admin.ok("GET", f"{path}?truncate_secrets=false")
    assert (exported["properties"]["secret"], exported["properties"]["name"]) == ("sk_live_one_2", "East")


async def test_what_does_not_reauthorise_the_same_account_is_refused_and_changes_nothing(
    admin: Caller, accounts: Accounts
) -> None:
    made = await make(admin, accounts.properties("sk_live_one_1"))
    path = f"/v1/credentials/{made['id']}"
    for properties, field in (
        ({"secret": "sk_live_two_1"}, "properties.secret"),
        ({"secret": "sk_test_one_1"}, "properties.secret"),
        ({"secret": "sk_live_revoked_1"}, "properties.secret"),
        ({"secret": STARS}, "properties.secret"),
        ({"secret": None}, "properties.secret"),
        ({"kind": "stripe_oauth2"}, "properties.kind"),
        ({"colour": "red"}, "properties.colour"),
    ):
        assert list(await admin.invalid("PATCH", path, {"properties": properties})) == [field]
    for body in ({"provider": "shop"}, {"oauth_app_id": str(uuid4())}, {"metadata": None}, {"colour": 1}):
        assert list(await admin.invalid("PATCH", path, body)) == list(body)
    accounts.down = True
    await admin.fails(502, "PATCH", path, {"properties": {"secret": "sk_live_one_2"}})
    assert await admin.ok("GET", path) == made
    exported = await admin.ok("GET", f"{path}?truncate_secrets=false")
    assert exported["properties"]["secret"] == "sk_live_one_1"


async def test_a_development_address_may_move(admin: Caller, accounts: Accounts) -> None:
    made = await make(admin, accounts.properties("sk_live_one_1"))
    async with accounts_server() as elsewhere:
        moved = await admin.ok(
            "PATCH", f"/v1/credentials/{made['id']}", {"properties": {"base_url": elsewhere.base_url}}
        )
        assert moved["properties"]["base_url"] == elsewhere.base_url
        assert elsewhere.asked == ["sk_live_one_1"]


async def test_secrets_are_shown_to_admins_only_and_that_is_noted(
    admin: Caller, callers: Callers, accounts: Accounts
) -> None:
    made = await make(admin, accounts.properties("sk_live_one_1"))
    path = f"/v1/credentials/{made['id']}"
    reader = await callers.of(admin.org_id, ["read"])
    assert await reader.ok("GET", path) == made
    await reader.fails(403, "GET", f"{path}?truncate_secrets=false")
    answer = await admin("GET", f"{path}?truncate_secrets=false")
    assert answer.json()["properties"]["secret"] == "sk_live_one_1"
    assert answer.headers["cache-control"] == "no-store"
    noted = [
        entry
        for entry in (await admin.ok("GET", "/v1/audit"))["data"]
        if entry["method"] == "GET" and entry["object_id"] == made["id"]
    ]
    assert [entry["route"] for entry in noted] == ["/v1/credentials/{id}"]


async def test_only_an_admin_changes_and_only_the_organisation_sees(
    admin: Caller, stranger: Caller, callers: Callers, accounts: Accounts
) -> None:
    made = await make(admin, accounts.properties("sk_live_one_1"))
    path = f"/v1/credentials/{made['id']}"
    reader = await callers.of(admin.org_id, ["read"])
    consumer = await callers.of(admin.org_id, ["consume"])
    await reader.fails(403, "POST", "/v1/credentials", {"properties": accounts.properties("sk_live_one_2")})
    await reader.fails(403, "PATCH", path, {})
    await reader.fails(403, "DELETE", path)
    await consumer.fails(403, "GET", path)
    for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
        await stranger.fails(404, method, path, body)
    assert (await stranger.ok("GET", "/v1/credentials"))["data"] == []
    theirs = await make(stranger, accounts.properties("sk_live_one_1"))
    assert theirs["id"] != made["id"]
    for malformed in ("nonsense", "0" * 36, str(uuid4())):
        await admin.fails(404, "GET", f"/v1/credentials/{malformed}")


async def test_lists_are_filtered_and_paged(admin: Caller, accounts: Accounts) -> None:
    made = [await make(admin, accounts.properties(f"sk_live_{n}_1"), metadata={"n": n}) for n in range(3)]
    shop = await make(admin, {"kind": "shop_key", "secret": "good"})

    async def ids(query: str) -> set[str]:
        return {each["id"] for each in (await admin.ok("GET", f"/v1/credentials?{query}"))["data"]}

    assert await ids("provider=stripe") == {each["id"] for each in made}
    assert await ids("provider=shop&kind=shop_key") == {shop["id"]}
    assert await ids("kind=unheard") == set()
    assert await ids("health.status=ok") == {shop["id"], *(each["id"] for each in made)}
    assert await ids("health.status=error") == set()
    assert await ids('metadata={"n": 1}') == {made[1]["id"]}
    await admin.fails(400, "GET", "/v1/credentials?health.status=unheard")
    await admin.fails(400, "GET", "/v1/credentials?metadata=nonsense")
    first = await admin.ok("GET", "/v1/credentials?limit=3")
    second = await admin.ok("GET", f"/v1/credentials?limit=3&cursor={first['next_cursor']}")
    assert second["next_cursor"] is None
    assert {each["id"] for each in first["data"] + second["data"]} == {shop["id"], *(each["id"] for each in made)}


async def test_a_dry_run_of_a_delete_changes_nothing(admin: Caller, accounts: Accounts) -> None:
    made = await make(admin, accounts.properties("sk_live_one_1"))
    path = f"/v1/credentials/{made['id']}"
    assert await admin.ok("DELETE", f"{path}?dry_run=true") == {
        "dry_run": True, "backfill": [], "purge": [], "affects": [made["id"]],
    }  # fmt: skip
    assert await admin.ok("GET", path) == made


async def test_a_credential_in_use_is_not_deleted(
    admin: Caller, accounts: Accounts, stream: dict[str, Any], services: Services
) -> None:
    made = await make(admin, accounts.properties("sk_live_one_1"))
    sync = await admin.ok(
        "POST",
        "/v1/syncs",
        {
            "provider": "stripe", "stream_id": stream["id"], "name": "s", "collection_ids": ["stripe:customer"],
            "credential_id": made["id"],
        },
    )  # fmt: skip
    assert sync["credential"] == made
    path = f"/v1/credentials/{made['id']}"
    told = await admin.invalid("DELETE", path, None)
    assert sync["id"] in told["id"][0]
    await admin.invalid("DELETE", f"{path}?dry_run=true", None)
    await admin.ok("DELETE", f"/v1/syncs/{sync['id']}")
    await admin.ok("DELETE", path)


async def test_a_sync_brings_its_credential_along(admin: Caller, accounts: Accounts, stream: dict[str, Any]) -> None:
    body = {
        "provider": "stripe", "stream_id": stream["id"], "name": "s", "collection_ids": ["stripe:customer"],
        "credential": {"properties": accounts.properties("sk_live_one_1"), "name": "inline"},
    }  # fmt: skip
    sync = await admin.ok("POST", "/v1/syncs", body)
    assert sync["credential"]["name"] == "inline"
    assert sync["credential"]["properties"]["secret"] == STARS
    for credential, field in (
        ({"properties": accounts.properties("sk_live_revoked_1")}, "credential.properties.secret"),
        ({"properties": accounts.properties(STARS)}, "credential.properties.secret"),
        ({"properties": {"kind": "shop_key", "secret": "x"}}, "credential.provider"),
        ({"properties": accounts.properties("sk_live_two_1"), "oauth_app_id": str(uuid4())}, "credential.oauth_app_id"),
        ({}, "credential.properties"),
        ({"properties": accounts.properties("sk_live_two_1"), "colour": 1}, "credential.colour"),
    ):
        assert list(await admin.invalid("POST", "/v1/syncs", {**body, "credential": credential})) == [field]
    assert await count(admin) == 1


async def test_repeating_an_import_with_its_key_answers_the_same_and_asks_nobody(
    admin: Caller, accounts: Accounts
) -> None:
    body = {"properties": accounts.properties("sk_live_one_1")}
    headers = {"Idempotency-Key": "k1"}
    first = await admin.ok("POST", "/v1/credentials", body, headers=headers)
    assert await admin.ok("POST", "/v1/credentials", body, headers=headers) == first
    assert accounts.asked == ["sk_live_one_1"]
    await admin.fails(
        422, "POST", "/v1/credentials", {"properties": accounts.properties("sk_live_two_1")}, headers=headers
    )
