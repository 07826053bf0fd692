"""A sync of GitHub and one of Linear ask no more often than they may, and are next to never refused."""

import asyncio
from collections.abc import Mapping

import pytest
from serving import complete, equal, serving, start_sync

from headrace.providers import installed
from headrace.testing import laws
from headrace.testing.copies import Truth
from headrace.testing.github import GithubServer
from headrace.testing.github import Truth as GithubTruth
from headrace.testing.linear import LinearServer
from headrace.testing.linear import Truth as LinearTruth
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
