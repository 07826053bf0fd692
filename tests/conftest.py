"""The database of the tests: one PostgreSQL for all workers of a run, a fresh migrated database for each test.

HEADRACE_TEST_DATABASE_URL names a server to use instead of the embedded one (its user may create databases).
"""

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from headrace.db.launcher import EmbeddedPostgres
from headrace.db.migrate import migrate
from headrace.db.pool import Database

settings.register_profile("headrace", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("headrace")

_TEMPLATE = "headrace_template"


class Cluster:
    """The server, started at first use in the controlling process, on a thread that lives until the end of the run."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cluster", daemon=True)
        self._folder: Path | None = None
        self._server: EmbeddedPostgres | None = None
        self._url: str | None = None

    def url(self) -> str:
        """The URL of the migrated template database."""
        if self._url is None:
            self._thread.start()
            self._url = self._call(self._open())
        return self._url

    def close(self) -> None:
        if self._url is not None:
            self._call(self._shut())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(120)

    async def _open(self) -> str:
        base = os.environ.get("HEADRACE_TEST_DATABASE_URL")
        if base is None:
            self._folder = Path(tempfile.mkdtemp(prefix="headrace-tests-"))
            # Durability is tested with servers of their own; the others may forget all at a power cut.
            options = {"fsync": "off", "synchronous_commit": "on", "max_connections": "400", "autovacuum_naptime": "5s"}
            self._server = EmbeddedPostgres(self._folder, options=options)
            base = await self._server.start()
        template = f"{_TEMPLATE}_{os.getpid()}"
        await _execute(base, f'create database "{template}"')
        url = _with_database(base, template)
        await migrate(url)
        return url

    async def _shut(self) -> None:
        assert self._url is not None
        if self._server is not None:
            await self._server.stop()
        else:
            template = _database(self._url)
            await _execute(_with_database(self._url, "postgres"), f'drop database "{template}" with (force)')


def _database(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def _with_database(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


_cluster = Cluster()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Under pytest-xdist: tell each worker where the controller's server is."""
    node.workerinput["headrace_template"] = _cluster.url()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: takes minutes; only `make soak` runs it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("HEADRACE_SOAK") != "1":
        for item in items:
            if item.get_closest_marker("soak"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: make soak"))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        _cluster.close()


@pytest.fixture(scope="session")
def template_url(request: pytest.FixtureRequest) -> str:
    workerinput = getattr(request.config, "workerinput", None)
    return str(workerinput["headrace_template"]) if workerinput is not None else _cluster.url()


@pytest.fixture
async def dsn(template_url: str) -> AsyncIterator[str]:
    """The URL of a fresh, migrated, empty database."""
    name = f"t_{uuid4().hex}"
    server = _with_database(template_url, "postgres")
    await _execute(server, f'create database "{name}" template "{_database(template_url)}"')
    yield _with_database(template_url, name)
    await _execute(server, f'drop database if exists "{name}" with (force)')


@pytest.fixture
async def empty_dsn(template_url: str) -> AsyncIterator[str]:
    """The URL of a database in which nothing is."""
    name = f"e_{uuid4().hex}"
    server = _with_database(template_url, "postgres")
    await _execute(server, f'create database "{name}"')
    yield _with_database(template_url, name)
    await _execute(server, f'drop database if exists "{name}" with (force)')


@pytest.fixture
async def db(dsn: str) -> AsyncIterator[Database]:
    """An opened Database on `dsn`."""
    database = await Database.open(dsn, api_size=8, ingest_size=4)
    yield database
    await database.close()
