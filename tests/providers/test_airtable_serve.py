"""Airtable's connector through `headrace serve`: tables are found, everything arrives and follows, pings are hints."""

from typing import Any

import aiohttp
from serving import complete, connect, equal, oauth_app, serving

from headrace.client import AsyncClient, Collection, Sync
from headrace.client.calls import Call
from headrace.providers.airtable import AIRTABLE
from headrace.providers.airtable.account import DISCOVERY
from headrace.providers.kit import Found, Provider
from headrace.testing.airtable import AirtableServer, Truth
from headrace.testing.airtable.world import Base, Table
from headrace.testing.driver import Driver

FIXED = ["airtable:base", "airtable:table"]


async def connected(api: AsyncClient, server: AirtableServer) -> str:
    """The id of a credential whose account was searched."""
    properties = {"kind": "airtable_oauth2", "refresh_token": "oaaRefresh0", "base_url": server.base_url}
    return await connect(api, "airtable", properties, await oauth_app(api, "airtable"))


async def found_by(server: AirtableServer, listed: list[Collection]) -> tuple[Provider, Truth, dict[str, str]]:
    """The connector as the account has it, what the account holds, and the ids of its own collections by name."""
    async with Driver(AIRTABLE, "airtable_token", {"token": "patTests", "base_url": server.base_url}) as driver:
        known = {found.name: found for found in (await driver.discover()).values()}
    ids = {each["name"]: each["id"] for each in listed if each["name"] in known}
    found: dict[str, Found] = {ids[name]: known[name] for name in ids}
    places = {key: (each.scope, each.upstream_id) for key, each in found.items()}
    provider = AIRTABLE.of_account(found)
    assert provider.discovery is DISCOVERY
    return provider, Truth(server.world, places), ids


def place(server: AirtableServer, base: str) -> tuple[Base, Table]:
    within = next(each for each in server.world.bases.values() if each.name == base)
    table = within.table("Orders")
    assert table is not None
    return within, table


async def webhook(api: AsyncClient, sync: Sync, **fields: str) -> str:
    """The address for pings."""
    path = f"/v1/syncs/{sync['id']}/webhook"
    answer: dict[str, Any] = await api.send(Call("PUT", path, body=fields))
    return str(answer["url"])


async def test_a_sync_of_airtable_holds_what_airtable_holds(dsn: str) -> None:
    async with AirtableServer(300) as server, serving(dsn) as api:
        credential = await connected(api, server)
        listed = [each async for each in api.collections.list(credential)]
        provider, truth, ids = await found_by(server, listed)
        assert len(ids) == 13  # three bases, two tables each, and the comments on either; and who may work in them
        assert ids.pop("collaborator") == "airtable:collaborator"
        assert all(len(key.removeprefix("airtable:")) == 24 for key in ids.values())
        stream = await api.streams.create(slug="airtable")
        sync = await api.syncs.create(
            name="airtable",
            provider="airtable",
            stream_id=stream["id"],
            credential_id=credential,
            collection_ids=[*FIXED, *ids.values()],
            rate_limit={"allowed_requests": 100_000, "interval": 1},
            max_poll_ms=1_000,
        )
        await complete(api, sync)
        await equal(api, sync, provider, truth)

        # Changes, with the log and without; deletions by the log; what is renamed stays what it is.
        base, orders = place(server, "Mill")
        name = orders.fields[0]
        keys = [*orders.rows]
        for key in keys[:5]:
            server.world.update(base, orders, key, {name.id: "changed", orders.fields[2].id: None})
        server.world.delete(base, orders, keys[5])
        server.world.create(base, orders, {name.id: "new"})
        server.world.rename(orders, "Bestellungen")
        server.world.rename(name, "Bezeichnung")
        server.world.update(base, orders, keys[6], {name.id: "after"})
        server.world.reckon(base, orders, 5)
        shared, theirs = place(server, "Weir")
        server.world.update(shared, theirs, next(iter(theirs.rows)), {theirs.fields[0].id: "theirs"})
        logged, timed = ids["Mill: Orders"], ids["Weir: Orders"]
        await equal(api, {**sync, "collection_ids": [logged, timed]}, provider, truth)

        # A base in which nobody may make a webhook is read otherwise, and health says so.
        health = (await api.syncs.get(sync["id"]))["health"]
        assert health["status"] == "healthy"
        (note,) = health["notes"]
        assert "Changes of base Weir are asked for by the time of change" in note
        assert "Creator" in note


async def test_a_ping_of_a_webhook_is_taken_as_a_hint(dsn: str) -> None:
    """The webhook is made for the address that the sync has, and its secret is told only then."""
    async with AirtableServer(30) as server, serving(dsn) as api:
        credential = await connected(api, server)
        stream = await api.streams.create(slug="airtable")
        sync = await api.syncs.create(
            name="airtable",
            provider="airtable",
            stream_id=stream["id"],
            credential_id=credential,
            collection_ids=FIXED,
        )
        url = await webhook(api, sync, signing_secret="not known yet")
        base = next(iter(server.world.bases))
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer patTests"}) as session:
            said = {"notificationUrl": url, "specification": {"options": {"filters": {"dataTypes": ["tableData"]}}}}
            async with session.post(f"{server.base_url}/v0/bases/{base}/webhooks", json=said) as answer:
                made = await answer.json()
            assert await webhook(api, sync, signing_secret=made["macSecretBase64"], url=url) == url
            body, headers = server.world.bases[base].webhooks[made["id"]].ping(base, server.clock.now())
            async with session.post(url, data=body, headers=headers) as answer:
                assert (answer.status, await answer.json()) == (200, {"received": True})
            async with session.post(url, data=body + b" ", headers=headers) as answer:
                assert answer.status == 400
