"""A sync of GitHub, Linear, Airtable or HubSpot asks no more often than it may, and is next to never refused."""

import asyncio
from collections.abc import Mapping

import pytest
from serving import complete, connect, equal, serving, start_sync

from headrace.providers import installed
from headrace.testing import laws
from headrace.testing.airtable import AirtableServer
from headrace.testing.copies import Truth
from headrace.testing.github import GithubServer
from headrace.testing.github import Truth as GithubTruth
from headrace.testing.hubspot import HubspotServer
from headrace.testing.linear import LinearServer
from headrace.testing.linear import Truth as LinearTruth
from headrace.testing.provider import ProviderServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ALLOWED, WINDOW_S = 20, 1
SEARCHES = "/crm/v3/objects/*/search"


async def read_politely(
    dsn: str, server: ProviderServer, truth: Truth, properties: Mapping[str, str], *names: str
) -> None:
    slug = properties["kind"].partition("_")[0]
    async with serving(dsn) as api:
        limit = {"allowed_requests": ALLOWED, "interval": WINDOW_S}
        given = {**properties, "base_url": server.base_url}
        sync = await start_sync(
            api, slug, given, [f"{slug}:{name}" for name in names], rate_limit=limit, max_poll_ms=500
        )
        await complete(api, sync)
        await equal(api, sync, installed()[slug], truth)
        # What follows a backfill asks as often as it may as well.
        while len(server.log) < 3 * ALLOWED:
            await asyncio.sleep(0.1)
    laws.polite(server.log, ALLOWED, WINDOW_S)


async def test_github_is_asked_politely(dsn: str) -> None:
    async with GithubServer(120, limits="real") as server:
        properties = {"kind": "github_token", "token": "ghp_headraceTests"}
        names = ("repository", "issue", "pull_request", "review", "label", "branch")
        await read_politely(dsn, server, GithubTruth(server), properties, *names)
        laws.polite(server.log, 900, 60)


async def test_linear_is_asked_politely(dsn: str) -> None:
    async with LinearServer(120, limits="real") as server:
        properties = {"kind": "linear_key", "key": "lin_api_headraceTests"}
        names = ("issue", "comment", "project", "cycle", "team", "issue_relation", "document", "attachment")
        await read_politely(dsn, server, LinearTruth(server), properties, *names)


async def test_airtable_is_asked_politely_and_its_backfill_comes_to_an_end_beside_changes(dsn: str) -> None:
    """By the limits that Airtable publishes, of which those of each base are used up by reading what changes."""
    async with AirtableServer(30, limits="real") as server, serving(dsn, limited=True) as api:
        properties = {"kind": "airtable_token", "token": "patHeadrace", "base_url": server.base_url}
        credential = await connect(api, "airtable", properties)
        stream = await api.streams.create(slug="airtable")
        sync = await api.syncs.create(
            name="airtable",
            provider="airtable",
            stream_id=stream["id"],
            credential_id=credential,
            collection_ids=[each["id"] async for each in api.collections.list(credential)],
            max_poll_ms=500,
        )
        await complete(api, sync)
    for base in server.world.bases:
        laws.polite(server.log, 5, 1, f"/v0/*{base}*")


async def test_hubspot_is_asked_politely_and_its_searches_by_a_limit_of_their_own(dsn: str) -> None:
    """By the limits that HubSpot publishes; of that of searches no header tells. They are what changes are read by."""
    names = ("contact", "company", "deal", "ticket", "contact_association", "owner")
    async with HubspotServer(200, limits="real") as server, serving(dsn, limited=True) as api:
        properties = {"kind": "hubspot_private_app", "token": "pat-headrace", "base_url": server.base_url}
        sync = await start_sync(
            api, "hubspot", properties, [f"hubspot:{name}" for name in names], rate_limit=None, max_poll_ms=500
        )
        await complete(api, sync)
        while len(server.log.find(SEARCHES)) < 20:
            await asyncio.sleep(0.1)
    laws.polite(server.log, 100, 10)
    laws.polite(server.log, 4, 1, SEARCHES)
