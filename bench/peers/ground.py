"""What the peers stand on: one PostgreSQL for all of them, over TCP, with a database of its own for each run."""

import os
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg

from bench.peers.program import busy_s
from bench.peers.provider import Provider, provider
from headrace.db.launcher import EmbeddedPostgres


class Database:
    """PostgreSQL as Headrace embeds it, with its settings, which trade no durability for speed."""

    def __init__(self, pid: int, port: int) -> None:
        self.port = port
        self._pid = pid
        self._numbers = count(1)

    def url(self, name: str) -> str:
        return f"postgresql://headrace:trusted@127.0.0.1:{self.port}/{name}"

    async def create(self) -> str:
        """A new, empty database; its name."""
        name = f"peer_{next(self._numbers)}"
        await self._execute(f"create database {name}")
        return name

    async def drop(self, name: str) -> None:
        await self._execute(f"drop database {name} with (force)")

    async def size(self, name: str) -> int:
        """Bytes on disk."""
        return int(await self._execute(f"select pg_database_size('{name}')"))

    async def grant(self) -> None:
        """Make the role that one of the peers' migrations names."""
        await self._execute("create role postgres superuser")

    async def _execute(self, statement: str) -> Any:
        conn = await asyncpg.connect(self.url("postgres"))
        try:
            return await conn.fetchval(statement)
        finally:
            await conn.close()

    def busy_s(self) -> float:
        """Seconds of processor time so far."""
        return busy_s(self._pid)


@asynccontextmanager
async def database(folder: Path) -> AsyncIterator[Database]:
    """A PostgreSQL for the time of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # The peers' drivers do not all take a socket's path, so it listens on TCP too. The launcher's own addresses name
    # no port: asyncpg takes it from here.
    os.environ["PGPORT"] = str(port)
    options = {"listen_addresses": "127.0.0.1", "port": str(port), "max_connections": "200"}
    postgres = EmbeddedPostgres(folder, options=options)
    await postgres.start()
    try:
        assert postgres.pid is not None
        made = Database(postgres.pid, port)
        await made.grant()
        yield made
    finally:
        await postgres.stop()
        del os.environ["PGPORT"]


@dataclass(frozen=True, slots=True)
class Ground:
    """One run of one peer: a provider, an empty database, a folder for what it keeps."""

    provider: Provider
    database: Database
    database_name: str
    folder: Path

    @property
    def database_url(self) -> str:
        return self.database.url(self.database_name)


@asynccontextmanager
async def ground(database: Database, customers: int, invoices: int, *, long: bool = False) -> AsyncIterator[Ground]:
    """A ground for the time of the block; nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="headrace-peer-") as folder:
        async with provider(customers, invoices, long=long) as there:
            name = await database.create()
            try:
                yield Ground(there, database, name, Path(folder))
            finally:
                await database.drop(name)
