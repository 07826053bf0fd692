"""A sync of GitHub, of Linear and of Airtable asks no more often than it may, and is next to never refused."""

import asyncio
from collections.abc import Mapping

import pytest
from serving import complete, equal, eventually, serving, start_sync

from headrace.client import AsyncClient
from headrace.client.calls import Call
from headrace.providers import installed
from headrace.testing import laws
from headrace.testing.airtable import AirtableServer
from headrace.testing.copies import Truth
from headrace.testing.github import GithubServer
from headrace.testing.github import Truth as GithubTruth
from headrace.testing.linear import LinearServer
from headrace.testing.linear import Truth as LinearTruth
from headrace.testing.processes import ServeProcess
from headrace.testing.provider import ProviderServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ALLOWED, WINDOW_S = 20, 1


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
        while len(server.log) < 5 * ALLOWED:
            await asyncio.sleep(0.1)
    laws.polite(server.log, ALLOWED, WINDOW_S)


async def test_github_is_asked_politely(dsn: str) -> None:
    async with GithubServer(300, limits="real") as server:
        properties = {"kind": "github_token", "token": "ghp_headraceTests"}
        names = ("repository", "issue", "pull_request", "review", "label", "branch")
        await read_politely(dsn, server, GithubTruth(server), properties, *names)
        laws.polite(server.log, 900, 60)


async def test_linear_is_asked_politely(dsn: str) -> None:
    async with LinearServer(300, limits="real") as server:
        properties = {"kind": "linear_key", "key": "lin_api_headraceTests"}
        names = ("issue", "comment", "project", "cycle", "team", "issue_relation", "document", "attachment")
        await read_politely(dsn, server, LinearTruth(server), properties, *names)


async def test_airtable_is_asked_politely_and_its_backfill_comes_to_an_end_beside_changes(dsn: str) -> None:
    """By the limits that Airtable publishes, of which those of each base are used up by reading what changes."""
    async with AirtableServer(30, limits="real") as server, ServeProcess(database_url=dsn) as process:
        await process.ready()
        async with AsyncClient(process.url, process.token) as api:
            properties = {"kind": "airtable_token", "token": "patHeadrace", "base_url": server.base_url}
            body = {"provider": "airtable", "properties": properties}
            made: dict[str, str] = await api.send(Call("POST", "/v1/credentials", body=body))
            credential = made["id"]
            await api.collections.refresh(credential)

            async def searched() -> bool:
                return bool((await api.collections.refresh_status(credential))["status"] == "succeeded")

            await eventually(searched)
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
