"""One `headrace serve` for the tests of this folder in each process of the test run."""

from collections.abc import AsyncIterator

import pytest_asyncio
from processes import empty_database

from headrace.client import AsyncClient
from headrace.testing.processes import ServeProcess


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def api(template_url: str) -> AsyncIterator[AsyncClient]:
    """A client of a server process with a database of its own."""
    settings = {"limits_override": "none", "provider_quiet_s": "4"}
    async with empty_database(template_url) as url, ServeProcess(database_url=url, settings=settings) as server:
        await server.ready()
        async with AsyncClient(server.url, server.token) as client:
            yield client
