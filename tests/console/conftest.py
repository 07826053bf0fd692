"""The console of a whole server, over real HTTP: the engine runs, a provider server answers."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from looking import TOKEN

from headrace.client import AsyncClient
from headrace.server import Running, running
from headrace.settings import Settings
from headrace.testing.stripe import StripeServer


@pytest.fixture
async def served(dsn: str) -> AsyncIterator[Running]:
    settings = Settings(
        database_url=dsn, port=0, api_token=TOKEN, secret_key="0" * 64, allow_base_url=True, limits_override="none"
    )
    async with running(settings) as server:
        yield server


@pytest.fixture
async def api(served: Running) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(served.url, TOKEN) as client:
        yield client


@pytest.fixture
async def provider() -> AsyncIterator[StripeServer]:
    async with StripeServer(300) as server:
        yield server


@pytest.fixture
async def visitor(served: Running) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser without a session, that follows nowhere."""
    async with httpx2.AsyncClient(base_url=served.url, timeout=30) as client:
        yield client
