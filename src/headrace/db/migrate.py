"""Migrations: numbered `.sql` files, each applied once, in order, in a transaction of its own."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from headrace.db import citus

OLDEST_MAJOR = 15
_LOCK = 0x6865_6164_7261_6365  # "headrace": the advisory lock that lets one process at a time migrate

_TABLE = """
create table if not exists schema_migrations (
  name text primary key,
  checksum bytea not null,
  applied_at timestamptz not null
)
"""


class MigrationRefused(RuntimeError):
    """The database and this version of headrace do not belong together; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    sql: str

    @property
    def checksum(self) -> bytes:
        return hashlib.sha256(self.sql.encode()).digest()


def shipped() -> list[Migration]:
    """The migrations of this version, in order."""
    folder = files("headrace.db").joinpath("migrations")
    found = [
        Migration(f.name.removesuffix(".sql"), f.read_text("utf-8")) for f in folder.iterdir() if f.name[0].isdigit()
    ]
    return sorted(found, key=lambda migration: migration.name)


async def migrate(dsn: str) -> list[str]:
    """Bring the database at `dsn` to the newest schema; return the names of what was applied.

    Any number of processes may call this at once: one does the work, the others wait for it. Where the extension citus
    is installed the data plane's tables are then distributed over its nodes. Raises MigrationRefused,
    with nothing applied, when the database is older than PostgreSQL 15, was migrated by a newer headrace, or holds
    a migration that reads otherwise than the one shipped.
    """
    connection = await asyncpg.connect(dsn)
    try:
        major = connection.get_server_version().major
        if major < OLDEST_MAJOR:
            raise MigrationRefused(f"This is PostgreSQL {major}; headrace needs {OLDEST_MAJOR} or newer.")
        # Held by the session, so it is given back when the connection ends, whatever becomes of this process.
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(_TABLE)
        outstanding = await _outstanding(connection)
        for migration in outstanding:
            await _apply(connection, migration)
        await citus.distribute(connection)
        return [migration.name for migration in outstanding]
    finally:
        await connection.close()


async def _outstanding(connection: asyncpg.Connection) -> list[Migration]:
    known = {migration.name: migration for migration in shipped()}
    applied = {row["name"]: row["checksum"] for row in await connection.fetch("select * from schema_migrations")}
    if unknown := sorted(applied.keys() - known.keys()):
        raise MigrationRefused(
            f"The database was migrated by a newer headrace (unknown here: {', '.join(unknown)}). Run that version."
        )
    for name, checksum in applied.items():
        if checksum != known[name].checksum:
            raise MigrationRefused(
                f"Migration {name} in the database is not the one shipped with this version: one of the two was "
                "changed after it was applied. Run the version that made this database, or start with an empty one."
            )
    return [migration for name, migration in known.items() if name not in applied]


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "insert into schema_migrations (name, checksum, applied_at) values ($1, $2, clock_timestamp())",
            migration.name,
            migration.checksum,
        )
