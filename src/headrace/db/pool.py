"""The process's connections to the database, and its clock."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Self, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from headrace.clock import DatabaseClock, steady
from headrace.db.listener import Listener

Conn: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

AWAY: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
)
"""What is raised while the database is away or goes away. The outcome of a transaction cut short by one of these is
unknown: repeat it, or report it as not done."""

_RENEW_EVERY_S = 5.0

# Keepalives end a dead connection within 10 s: a machine that froze or vanished must not hold a stream's lock.
_EVERY_CONNECTION = {
    "application_name": "headrace",
    "timezone": "UTC",
    "tcp_keepalives_idle": "4",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
# No bitmap scans: they give up the order of an index, and a page of a stream would read the whole rest of it.
_API = {"statement_timeout": "30s", "idle_in_transaction_session_timeout": "30s", "enable_bitmapscan": "off"}
# Custom plans: a generic plan made while a table is cold was measured to cost a factor of twenty on PostgreSQL 15.
_INGEST = {
    "plan_cache_mode": "force_custom_plan",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "5s",
}


class Database:
    """Two pools on one database: `api` for the control plane and readers, `ingest` for appends and the workers."""

    def __init__(self, dsn: str, api: Pool, ingest: Pool) -> None:
        self.dsn = dsn
        self.api = api
        self.ingest = ingest
        self.clock = DatabaseClock()
        self.sharded = False
        """Whether rows lie on several servers (Citus): a commit here then says nothing about the others."""
        self._renewed_at = -_RENEW_EVERY_S
        self._listener = Listener(lambda: asyncpg.connect(dsn, server_settings=_EVERY_CONNECTION))

    @classmethod
    async def open(cls, dsn: str, *, api_size: int = 10, ingest_size: int = 6) -> Self:
        """Open both pools and read the database's clock. Raises one of AWAY when it cannot be reached."""
        api = await _pool(dsn, api_size, _API)
        try:
            ingest = await _pool(dsn, ingest_size, _INGEST)
        except BaseException:
            await api.close()
            raise
        database = cls(dsn, api, ingest)
        await database.set_clock()
        database.sharded = await api.fetchval("select exists (select from pg_extension where extname = 'citus')")
        return database

    async def close(self) -> None:
        """Close every connection; statements under way are given five seconds, then cut."""
        await self._listener.stop()
        for pool in (self.api, self.ingest):
            try:
                async with asyncio.timeout(5.0):
                    await pool.close()
            except AWAY:
                pool.terminate()

    async def renew(self) -> None:
        """Make every connection anew before its next use: the server that they lead to is not the one to write to any
        more, and with several hosts in the URL (`target_session_attrs=read-write`) another is. At most every 5 s."""
        if steady() - self._renewed_at < _RENEW_EVERY_S:
            return
        self._renewed_at = steady()
        await self.api.expire_connections()
        await self.ingest.expire_connections()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Conn]:
        """A connection of `api` in a transaction: committed at the end of the block, rolled back on any exception."""
        async with self.api.acquire() as connection, connection.transaction():
            yield connection

    async def listen(self, channel: str, callback: Callable[[str], None]) -> None:
        """Call `callback(payload)` for each notification on `channel`, from one connection that all channels share.

        After that connection was lost and made again, `callback("")` is called, since notifications may be missing.
        """
        await self._listener.listen(channel, callback)

    async def set_clock(self) -> None:
        """Measure the offset to the database's clock anew."""
        async with self.api.acquire() as connection:
            asked = steady()
            now = await connection.fetchval("select clock_timestamp()")
            self.clock.learn(now, asked, steady())


async def _give_back(connection: Conn) -> None:
    """Nothing is set or locked for a session here, so that giving a connection back costs no trip to the server."""
    if connection.is_in_transaction():
        await connection.execute("rollback")


async def _pool(dsn: str, size: int, settings: Mapping[str, str]) -> Pool:
    pool = asyncpg.create_pool(
        dsn,
        min_size=min(2, size),
        max_size=size,
        max_inactive_connection_lifetime=0,  # warm and long-lived
        command_timeout=90.0,
        reset=_give_back,
        server_settings={**_EVERY_CONNECTION, **settings},
    )
    return await pool
