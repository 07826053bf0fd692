"""The API on a real database, called without a network: the app, and callers with tokens of every kind."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import uvicorn
from callers import Caller, Callers
from fastapi import FastAPI
from shelf import Shelf
from storefront import SHOP

from headrace.api.app import create_app
from headrace.api.services import Services
from headrace.db.pool import Database
from headrace.engine.pace import Pace
from headrace.engine.transport import Transport
from headrace.ids import uuid7
from headrace.providers import installed
from headrace.settings import Settings
from headrace.stream.consumers.dispatcher import Dispatcher
from headrace.stream.wake import Wakeups
from headrace.testing.oauth import AuthorizationServer, authorization_server
from headrace.vault.keys import Keyring
from headrace.vault.sealing import KEY_BYTES, Key


@pytest.fixture
async def services(db: Database) -> AsyncIterator[Services]:
    settings = Settings(allow_base_url=True, public_url="https://headrace.example")
    keyring = Keyring((Key(uuid7(), os.urandom(KEY_BYTES)),))
    async with db.api.acquire() as conn:
        await keyring.check(conn)
    wakeups = Wakeups(db)
    await wakeups.start()
    dispatcher = Dispatcher(db, wakeups)
    transport = Transport(db, Pace(db, uuid7(), settings), settings, keyring=keyring)
    made = Services(
        settings=settings,
        db=db,
        keyring=keyring,
        providers={SHOP.slug: SHOP},
        wakeups=wakeups,
        dispatcher=dispatcher,
        transport=transport,
        worker=None,
    )
    yield made
    await made.background.stop()
    await made.transport.close()
    await made.dispatcher.close()
    await made.transport.close()
    await wakeups.stop()


@pytest.fixture
async def app(services: Services) -> FastAPI:
    return create_app(services)


@pytest.fixture
async def callers(app: FastAPI, services: Services) -> AsyncIterator[Callers]:
    made = Callers(app, services)
    yield made
    await made.close()


@pytest.fixture
async def admin(callers: Callers) -> Caller:
    return await callers.admin()


@pytest.fixture
async def stranger(callers: Callers) -> Caller:
    """The admin of another organisation."""
    return await callers.admin(name="Harkonnen")


@pytest.fixture
async def stream(admin: Caller) -> dict[str, Any]:
    made: dict[str, Any] = await admin.ok("POST", "/v1/streams", {"slug": "main"})
    return made


@pytest.fixture
async def base_url(app: FastAPI) -> AsyncIterator[str]:
    """The app over real HTTP, on a free port of the loopback."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    await serving
    listening.close()


@pytest.fixture
def public(services: Services, base_url: str) -> str:
    """The address of the API, over real HTTP, as it is given out; every provider is there."""
    services.settings.public_url = base_url
    services.providers = dict(installed())
    return base_url


@pytest.fixture
async def server() -> AsyncIterator[AuthorizationServer]:
    """An authorisation server, as providers have them."""
    async with authorization_server() as made:
        yield made


@pytest.fixture
async def shelf(admin: Caller, services: Services, stream: dict[str, Any]) -> Shelf:
    sync = await admin.ok(
        "POST",
        "/v1/syncs",
        {
            "provider": "shop",
            "stream_id": stream["id"],
            "name": "shelf",
            "collection_ids": ["shop:order", "shop:customer"],
            "credential": {"properties": {"kind": "shop_key", "secret": "sk_1"}},
        },
    )
    return Shelf(services, UUID(stream["id"]), UUID(sync["id"]))
