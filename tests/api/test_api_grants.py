"""Importing what access tokens are made of: it is tried once, spent once, and never lost."""

import asyncio
from typing import Any

import pytest
from callers import Caller

from headrace.api.services import Services
from headrace.providers import installed
from headrace.testing.oauth import AuthorizationServer
from headrace.vault import credentials


@pytest.fixture
async def app_id(admin: Caller, services: Services, server: AuthorizationServer) -> str:
    services.providers = {**services.providers, **installed()}
    made = await admin.ok(
        "POST",
        "/v1/oauth-apps",
        {
            "provider": "airtable",
            "name": "ours",
            "client_id": server.client_id,
            "client_secret": server.client_secret,
            "base_url": server.url,
        },
    )
    return str(made["id"])


def body(server: AuthorizationServer, app_id: str, account: str = "usr1", **properties: Any) -> dict[str, Any]:
    server.account = account
    given = {"kind": "airtable_oauth2", "refresh_token": server.grants.consent(account).live, "base_url": server.url}
    return {"oauth_app_id": app_id, "properties": {**given, **properties}}


async def exported(admin: Caller, credential_id: str) -> dict[str, Any]:
    shown = await admin.ok("GET", f"/v1/credentials/{credential_id}", params={"truncate_secrets": "false"})
    properties: dict[str, Any] = shown["properties"]
    return properties


async def count(admin: Caller) -> int:
    return len((await admin.ok("GET", "/v1/credentials"))["data"])


async def test_a_grant_is_spent_once_and_its_successor_kept(
    admin: Caller, server: AuthorizationServer, app_id: str
) -> None:
    made = await admin.ok("POST", "/v1/credentials", body(server, app_id))
    assert made["health"]["status"] == "ok"
    assert made["properties"]["airtable_uid"] == "usr1"
    assert made["properties"]["scope"] == "data.records:read"
    assert (await exported(admin, made["id"]))["refresh_token"] == server.grants.families[0].live
    assert list(server.grants.presented.values()) == [1]


async def test_the_same_secret_again_is_known_though_it_was_spent(
    admin: Caller, server: AuthorizationServer, app_id: str
) -> None:
    given = body(server, app_id)
    made = await admin.ok("POST", "/v1/credentials", given)
    again = await admin.ok("POST", "/v1/credentials", {**given, "name": "again"})
    assert (again["id"], again["name"], again["health"]["status"]) == (made["id"], "again", "ok")
    held = await exported(admin, made["id"])
    reimported = await admin.ok("POST", "/v1/credentials", {"oauth_app_id": app_id, "properties": held})
    assert reimported["id"] == made["id"]
    assert list(server.grants.presented.values()) == [1]
    assert await count(admin) == 1


async def test_two_imports_at_once_spend_it_once(admin: Caller, server: AuthorizationServer, app_id: str) -> None:
    server.behaviour.late_s = 0.1
    given = body(server, app_id)
    made = await asyncio.gather(*(admin.ok("POST", "/v1/credentials", given) for _ in range(3)))
    assert len({each["id"] for each in made}) == 1
    assert list(server.grants.presented.values()) == [1]
    assert await count(admin) == 1


async def test_another_grant_of_the_same_account_takes_the_place(
    admin: Caller, server: AuthorizationServer, app_id: str
) -> None:
    first = await admin.ok("POST", "/v1/credentials", body(server, app_id))
    second = await admin.ok("POST", "/v1/credentials", body(server, app_id))
    assert second["id"] == first["id"]
    assert (await exported(admin, first["id"]))["refresh_token"] == server.grants.families[1].live
    assert await count(admin) == 1


async def test_a_refused_grant_leaves_nothing(admin: Caller, server: AuthorizationServer, app_id: str) -> None:
    given = body(server, app_id)
    server.grants.revoke(server.grants.families[0])
    errors = await admin.invalid("POST", "/v1/credentials", given)
    assert set(errors) == {"properties.refresh_token"}
    assert given["properties"]["refresh_token"] not in str(errors)
    assert await count(admin) == 0


async def test_one_that_says_another_account_than_it_is_harms_nobody(
    admin: Caller, server: AuthorizationServer, app_id: str
) -> None:
    good = await admin.ok("POST", "/v1/credentials", body(server, app_id, "usr1"))
    held = await exported(admin, good["id"])
    lying = body(server, app_id, "usr2", airtable_uid="usr1")
    assert "not of usr1" in str(await admin.invalid("POST", "/v1/credentials", lying))
    assert await exported(admin, good["id"]) == held


async def test_a_provider_that_is_down_stores_it_with_a_warning(
    admin: Caller, server: AuthorizationServer, app_id: str
) -> None:
    server.behaviour.fails = 1
    given = body(server, app_id)
    made = await admin.ok("POST", "/v1/credentials", given)
    assert made["health"]["status"] == "warn"
    again = await admin.ok("POST", "/v1/credentials", given)
    assert (again["id"], again["health"]["status"]) == (made["id"], "ok")
    assert await count(admin) == 1


async def test_a_request_that_fails_afterwards_loses_nothing(
    admin: Caller, server: AuthorizationServer, app_id: str, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = body(server, app_id)

    async def fails(*args: Any, **options: Any) -> Any:
        raise RuntimeError("the process ends here")

    async def as_ever(*args: Any, **options: Any) -> Any:
        return await inner(*args, **options) if options else await fails()

    inner = credentials.import_
    with monkeypatch.context() as patched:
        patched.setattr(credentials, "import_", as_ever)  # laying it aside works, what comes after does not
        assert (await admin("POST", "/v1/credentials", given)).status_code == 500
    made = await admin.ok("POST", "/v1/credentials", given)
    assert made["health"]["status"] == "ok"
    assert (await exported(admin, made["id"]))["refresh_token"] == server.grants.families[0].live
    assert list(server.grants.presented.values()) == [1]


async def test_a_grant_is_put_in_the_place_of_a_dead_one(
    admin: Caller, server: AuthorizationServer, app_id: str, services: Services
) -> None:
    made = await admin.ok("POST", "/v1/credentials", body(server, app_id))
    server.grants.revoke(server.grants.families[0])
    fresh = body(server, app_id)["properties"]
    patched = await admin.ok(
        "PATCH", f"/v1/credentials/{made['id']}", {"properties": {"refresh_token": fresh["refresh_token"]}}
    )
    assert (patched["id"], patched["health"]["status"]) == (made["id"], "ok")
    assert (await exported(admin, made["id"]))["refresh_token"] == server.grants.families[1].live
    assert await count(admin) == 1


async def test_another_account_is_refused_and_its_grant_kept_apart(
    admin: Caller, server: AuthorizationServer, app_id: str
) -> None:
    made = await admin.ok("POST", "/v1/credentials", body(server, app_id, "usr1"))
    held = await exported(admin, made["id"])
    other = body(server, app_id, "usr2")["properties"]
    path = f"/v1/credentials/{made['id']}"
    change = {"properties": {"refresh_token": other["refresh_token"], "airtable_uid": None}}
    errors = await admin.invalid("PATCH", path, change)
    assert set(errors) == {"properties.refresh_token"}
    assert "another account" in str(errors)
    assert await exported(admin, made["id"]) == held
    (kept,) = [each for each in (await admin.ok("GET", "/v1/credentials"))["data"] if each["id"] != made["id"]]
    assert kept["id"] in str(errors)
    assert (await exported(admin, kept["id"]))["refresh_token"] == server.grants.families[1].live


async def test_an_access_token_that_came_along_is_used_before_the_grant_is(
    admin: Caller, server: AuthorizationServer, services: Services
) -> None:
    services.providers = dict(installed())
    app = await admin.ok(
        "POST",
        "/v1/oauth-apps",
        {"provider": "linear", "name": "l", "client_id": "client", "client_secret": "client-secret"},
    )
    _, answer = server.grants.refresh(str(server.grants.consent("org_1").live))
    given = {"kind": "linear_oauth2", "base_url": server.url, **answer}
    for name in ("expires_in", "token_type"):
        del given[name]
    minted = server.grants.minted
    made = await admin.ok("POST", "/v1/credentials", {"oauth_app_id": app["id"], "properties": given})
    assert made["health"]["status"] == "ok"
    assert server.grants.minted == minted
    server.grants.expire_access()
    again = await admin.ok("POST", "/v1/credentials", {"oauth_app_id": app["id"], "properties": given})
    assert (again["id"], again["health"]["status"]) == (made["id"], "ok")
    held = await exported(admin, made["id"])
    assert held["access_token"] in server.grants.access
    assert held["refresh_token"] == server.grants.families[0].live


async def test_client_credentials_are_minted_from(
    admin: Caller, server: AuthorizationServer, services: Services
) -> None:
    services.providers = dict(installed())
    given = {
        "kind": "auth0_m2m", "domain": "acme.eu.auth0.com", "client_id": server.client_id,
        "client_secret": server.client_secret, "base_url": server.url,
    }  # fmt: skip
    made = await admin.ok("POST", "/v1/credentials", {"properties": given})
    assert made["health"]["status"] == "ok"
    assert "access_token" not in made["properties"]
    wrong = await admin.invalid("POST", "/v1/credentials", {"properties": {**given, "client_secret": "wrong"}})
    assert set(wrong) == {"properties.client_secret"}


async def test_an_app_is_needed_where_tokens_are_made_through_one(
    admin: Caller, server: AuthorizationServer, app_id: str
) -> None:
    errors = await admin.invalid("POST", "/v1/credentials", {"properties": body(server, app_id)["properties"]})
    assert set(errors) == {"oauth_app_id"}
