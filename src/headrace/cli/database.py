"""The database itself, for the commands that need no API: migrate, keys, doctor."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from headrace.db import socket_path
from headrace.db.launcher import EmbeddedPostgres
from headrace.db.pool import AWAY
from headrace.errors import HeadraceError
from headrace.settings import Settings

_UNREACHABLE: tuple[type[Exception], ...] = (*AWAY, asyncpg.PostgresError)


class Unreachable(HeadraceError):
    """The database does not answer, or there is none."""


class Unmigrated(HeadraceError):
    """The database lacks tables that this version works with."""


@asynccontextmanager
async def database_url(settings: Settings) -> AsyncIterator[str]:
    """The URL of the database that the settings name. An embedded one that a `headrace serve` has up is joined; one
    that nobody has up is started for the time of the block."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with socket_path.within_reach(settings.data_dir.absolute() / "postgres" / "pgdata") as folder:
        url = socket_path.url(folder)
        if await _is_up(url):
            yield url
            return
    embedded = EmbeddedPostgres(settings.data_dir)
    try:
        url = await embedded.start()
    except RuntimeError as error:
        raise Unreachable(str(error)) from error
    try:
        yield url
    finally:
        await embedded.stop()


@asynccontextmanager
async def connection(settings: Settings) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection to the database that the settings name, which must be there. Raises Unreachable, and Unmigrated when
    the block asks for a table that is not there."""
    if settings.database_url is None and not (settings.data_dir / "postgres").is_dir():
        raise Unreachable(
            f"there is no database under {settings.data_dir}: `headrace serve` makes one at its first start; another "
            "place is named by --data-dir or HEADRACE_DATA_DIR"
        )
    async with database_url(settings) as url:
        try:
            conn = await asyncpg.connect(url, timeout=10)
        except _UNREACHABLE as error:
            raise Unreachable(f"the database does not answer ({error or type(error).__name__})") from error
        try:
            yield conn
        except asyncpg.UndefinedTableError as error:
            raise Unmigrated("the database has not the tables of this version; run `headrace migrate`") from error
        finally:
            await conn.close()


async def _is_up(url: str) -> bool:
    with suppress(*_UNREACHABLE):
        await (await asyncpg.connect(url, timeout=5)).close()
        return True
    return False
