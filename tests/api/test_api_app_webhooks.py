"""Webhooks that belong to an app: the syncs of the accounts that one speaks of look at once, no others."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx2
import orjson
import pytest
from callers import Caller

from headrace.api.services import Services
from headrace.providers.hubspot.webhooks import signed as hubspot_signature

SECRET = "whsec_1"
CLIENT_SECRET = "the app's own"


def _hmac(secret: str, text: bytes) -> str:
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def _stripe(secret: str, url: str, body: bytes) -> dict[str, str]:
    now = int(datetime.now(UTC).timestamp())
    return {"Stripe-Signature": f"t={now},v1={_hmac(secret, f'{now}.'.encode() + body)}"}


def _github(secret: str, url: str, body: bytes) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={_hmac(secret, body)}", "X-GitHub-Event": "repository"}


def _linear(secret: str, url: str, body: bytes) -> dict[str, str]:
    return {"Linear-Signature": _hmac(secret, body)}


def _hubspot(secret: str, url: str, body: bytes, sent: datetime | None = None) -> dict[str, str]:
    moment = str(int((sent or datetime.now(UTC)).timestamp() * 1000))
    signature = hubspot_signature(secret, "POST", url, body, moment).decode()
    return {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": moment}


@dataclass(frozen=True)
class Case:
    """A provider whose webhooks go to an app: a credential, one of its collections, how a webhook is signed, what it
    says of an account, and what that names of the collection."""

    properties: Mapping[str, Any]
    collection: str
    sign: Callable[[str, str, bytes], dict[str, str]]
    says: Callable[[str], Any]
    named: tuple[str, ...]
    account: str
    signing_secret: str | None = SECRET


CASES = {
    "hubspot": Case(
        {"kind": "hubspot_oauth2", "refresh_token": "r"},
        "hubspot:contact",
        _hubspot,
        lambda account: [
            {"portalId": int(account), "subscriptionType": "contact.deletion", "objectId": 7},
            {"portalId": 999, "subscriptionType": "contact.deletion", "objectId": 8},
        ],
        ("7",),
        "4711",
        None,
    ),
    "stripe": Case(
        {"kind": "stripe_oauth2", "stripe_user_id": "acct_1", "access_token": "sk_test_1"},
        "stripe:customer",
        _stripe,
        lambda account: {"id": "evt_1", "type": "customer.deleted", "account": account},
        (),
        "acct_1",
    ),
    "github": Case(
        {"kind": "github_app", "account_type": "Organization", "account_login": "mill", "installation_id": 4711},
        "github:repository",
        _github,
        lambda account: {"action": "deleted", "repository": {"id": 12}, "installation": {"id": int(account)}},
        ("12",),
        "4711",
    ),
    "linear": Case(
        {"kind": "linear_oauth2", "access_token": "a", "linear_org_id": "org-1"},
        "linear:issue",
        _linear,
        lambda account: {
            "action": "remove",
            "type": "Issue",
            "data": {"id": "i-1"},
            "organizationId": account,
            "webhookTimestamp": datetime.now(UTC).timestamp() * 1000,
        },
        ("i-1",),
        "org-1",
    ),
}


class World:
    """An app with its address, and a sync of an account that was given to it."""

    def __init__(self, admin: Caller, services: Services, public: str, case: Case) -> None:
        self.admin, self.services, self.public, self.case = admin, services, public, case
        self.url = self.sync_id = self.app_id = ""

    async def begin(self, provider: str, stream_id: str) -> "World":
        made = {"provider": provider, "name": "App", "client_id": "c", "client_secret": CLIENT_SECRET}
        self.app_id = (await self.admin.ok("POST", "/v1/oauth-apps", made))["id"]
        await self.readdress()
        body = {"properties": self.case.properties, "oauth_app_id": self.app_id}
        credential = await self.admin.ok("POST", "/v1/credentials?verify=false", body)
        # What the provider told when it was asked.
        set_account = "update credentials set account_id = $2 where id = $1"
        await self.services.db.api.execute(set_account, UUID(credential["id"]), self.case.account)
        sync = {
            "provider": provider, "stream_id": stream_id, "name": "x", "collection_ids": [self.case.collection],
            "credential_id": credential["id"],
        }  # fmt: skip
        self.sync_id = (await self.admin.ok("POST", "/v1/syncs", sync))["id"]
        return self

    async def readdress(self, **given: Any) -> None:
        fields = {} if self.case.signing_secret is None else {"signing_secret": self.case.signing_secret}
        self.url = (await self.admin.ok("PUT", f"/v1/oauth-apps/{self.app_id}/webhook", fields | given))["url"]

    async def send(self, account: str, *, secret: str | None = None, url: str | None = None) -> httpx2.Response:
        """A webhook over real HTTP, as the provider sends it."""
        body, url = orjson.dumps(self.case.says(account)), url or self.url
        headers = self.case.sign(secret or self.case.signing_secret or CLIENT_SECRET, url, body)
        async with httpx2.AsyncClient() as http:
            return await http.post(url, content=body, headers=headers)

    async def looked_at(self) -> bool:
        at = await self.services.db.api.fetchval(
            "select hinted_at from sync_states where sync_id = $1", UUID(self.sync_id)
        )
        return at is not None

    async def named(self) -> tuple[str, ...]:
        rows = await self.services.db.api.fetch(
            "select upstream_id from set_aside where sync_id = $1 and hint", UUID(self.sync_id)
        )
        return tuple(row["upstream_id"] for row in rows)


@pytest.fixture(params=CASES)
async def world(
    request: pytest.FixtureRequest, admin: Caller, services: Services, public: str, stream: dict[str, Any]
) -> World:
    return await World(admin, services, public, CASES[request.param]).begin(request.param, stream["id"])


async def test_a_genuine_webhook_makes_the_syncs_of_its_account_look(world: World) -> None:
    for _ in range(2):  # it may come twice
        answer = await world.send(world.case.account)
        assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert await world.looked_at()
    assert await world.named() == world.case.named


async def test_a_webhook_of_another_account_is_taken_and_does_nothing(world: World) -> None:
    """The app may be installed in accounts that no sync reads; a provider that is refused sends no more."""
    assert (await world.send("998")).status_code == 200
    assert not await world.looked_at()
    assert await world.named() == ()


async def test_a_webhook_that_is_not_genuine_does_nothing(world: World) -> None:
    assert (await world.send(world.case.account, secret="whsec_2")).status_code == 400
    assert not await world.looked_at()


async def test_an_address_that_does_not_stand_takes_nothing(world: World) -> None:
    older = world.url
    await world.readdress()
    unknown = f"{world.public}/webhooks/apps/{uuid4()}/{older.rsplit('/')[-1]}"
    for url in (older, world.url + "x", unknown, f"{world.public}/webhooks/apps/x/y"):
        assert (await world.send(world.case.account, url=url)).status_code == 404
    assert not await world.looked_at()
    await world.readdress(url=world.url)
    assert (await world.send(world.case.account)).status_code == 200


async def test_a_webhook_that_was_sent_long_ago_is_not_taken_again(
    admin: Caller, services: Services, public: str, stream: dict[str, Any]
) -> None:
    world = await World(admin, services, public, CASES["hubspot"]).begin("hubspot", stream["id"])
    body = orjson.dumps(world.case.says("4711"))
    headers = _hubspot(CLIENT_SECRET, world.url, body, datetime(2026, 1, 1, tzinfo=UTC))
    async with httpx2.AsyncClient() as http:
        answer = await http.post(world.url, content=body, headers=headers)
    assert answer.status_code == 400
    assert not await world.looked_at()


async def test_a_webhook_that_cannot_be_read_is_a_400(
    admin: Caller, services: Services, public: str, stream: dict[str, Any]
) -> None:
    world = await World(admin, services, public, CASES["stripe"]).begin("stripe", stream["id"])
    async with httpx2.AsyncClient() as http:
        for body in (b"", b"{", b"<html>", b"[]"):
            headers = world.case.sign(SECRET, world.url, body)
            assert (await http.post(world.url, content=body, headers=headers)).status_code == 400
    assert not await world.looked_at()


async def test_an_app_of_a_provider_without_such_webhooks_gets_no_address(admin: Caller, public: str) -> None:
    made = {"provider": "airtable", "name": "App", "client_id": "c", "client_secret": "s"}
    app = await admin.ok("POST", "/v1/oauth-apps", made)
    refused = await admin.fails(422, "PUT", f"/v1/oauth-apps/{app['id']}/webhook", {"signing_secret": "x"})
    assert "id" in refused["validation_errors"]
    await admin.fails(404, "PUT", f"/v1/oauth-apps/{uuid4()}/webhook", {"signing_secret": "x"})


async def test_an_apps_signing_secret_is_not_stored_as_it_is(
    admin: Caller, services: Services, public: str, stream: dict[str, Any]
) -> None:
    world = await World(admin, services, public, CASES["stripe"]).begin("stripe", stream["id"])
    row = await services.db.api.fetchrow(
        "select webhook_secret, webhook_path_hash from oauth_apps where id = $1", UUID(world.app_id)
    )
    assert row is not None
    assert SECRET.encode() not in row["webhook_secret"]
    assert urlsplit(world.url).path.rsplit("/")[-1].encode() not in row["webhook_path_hash"]
