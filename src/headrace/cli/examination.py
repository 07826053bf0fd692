"""What `headrace doctor` looks at, from the machine up to the syncs."""

import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from headrace.cli.database import Unreachable, connection
from headrace.control.syncs import from_row
from headrace.db.migrate import OLDEST_MAJOR, shipped
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.engine.status import health
from headrace.settings import Settings
from headrace.vault.keys import Keyring
from headrace.vault.master import KeyProblem

SQL = load(__package__, "examination.sql")
_APPLIED, _VERSION, _SIZE, _CLOCK = SQL.applied, SQL.version, SQL.size, SQL.clock
_WORKERS, _ACTIVE_SYNCS = SQL.workers, SQL.active_syncs

_ROOM_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `advice` says what to do when it is not ok."""

    what: str
    verdict: Literal["ok", "warn", "bad"]
    found: str
    advice: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Everything that could be looked at; what stands on something bad is left out."""
    findings = [*_machine(settings)]
    try:
        async with connection(settings) as conn:
            async for finding in _database(conn, settings):
                findings.append(finding)
    except Unreachable as error:
        advice = "Is PostgreSQL up, and HEADRACE_DATABASE_URL right?" if settings.database_url else ""
        findings.append(Finding("database", "bad", error.summary, advice))
    return findings


def _machine(settings: Settings) -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("python", "ok", f"{version} on {sys.platform}")
    if settings.database_url is None:
        yield _disk(settings.data_dir)


def _disk(data_dir: Path) -> Finding:
    there = next(folder for folder in (data_dir.absolute(), *data_dir.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    return Finding(
        "disk",
        "ok" if free > _ROOM_BYTES else "bad",
        f"{free / (1 << 30):.1f} GiB free for {data_dir}",
        "With no room PostgreSQL stops taking writes; nothing is lost, and it goes on when there is room again.",
    )


async def _database(conn: Conn, settings: Settings) -> AsyncIterator[Finding]:
    major = conn.get_server_version().major
    place = "HEADRACE_DATABASE_URL" if settings.database_url else f"embedded, under {settings.data_dir}"
    yield Finding(
        "database",
        "ok" if major >= OLDEST_MAJOR else "bad",
        f"PostgreSQL {await conn.fetchval(_VERSION)} ({place}), {await conn.fetchval(_SIZE)}",
        f"PostgreSQL {OLDEST_MAJOR} or newer is needed.",
    )
    schema = await _schema(conn)
    yield schema
    if schema.verdict == "bad":
        return
    yield await _key(conn, settings)
    async for finding in _engine(conn):
        yield finding


async def _schema(conn: Conn) -> Finding:
    applied = {}
    if await conn.fetchval("select to_regclass('schema_migrations') is not null"):
        applied = {row["name"]: row["checksum"] for row in await conn.fetch(_APPLIED)}
    known = {migration.name: migration.checksum for migration in shipped()}
    if missing := sorted(known.keys() - applied.keys()):
        return Finding("schema", "bad", f"not applied: {', '.join(missing)}", "Run `headrace migrate`.")
    if unknown := sorted(applied.keys() - known.keys()):
        return Finding("schema", "bad", f"of a newer headrace: {', '.join(unknown)}", "Run that version.")
    if changed := sorted(name for name, checksum in known.items() if applied[name] != checksum):
        return Finding("schema", "bad", f"not as shipped: {', '.join(changed)}", "Run the version that made it.")
    return Finding("schema", "ok", f"newest ({max(known)})")


async def _key(conn: Conn, settings: Settings) -> Finding:
    try:
        keyring = Keyring.load(settings, settings.key_dir)
        await keyring.check(conn)
    except KeyProblem as error:
        return Finding("master key", "bad", error.summary)
    status = await keyring.status(conn)
    if status.removable:
        advice = "Take it out of HEADRACE_SECRET_KEY; `headrace keys status` shows which it is."
        return Finding("master key", "warn", "opens this database; an older one wraps nothing more", advice)
    return Finding("master key", "ok", "opens this database")


async def _engine(conn: Conn) -> AsyncIterator[Finding]:
    offset_s = abs(float(await conn.fetchval(_CLOCK)) - time.time())
    yield Finding(
        "clock",
        "ok" if offset_s < 5 else "warn",
        f"{offset_s:.1f} s from the database's",
        "Headrace goes by the database's clock; set this machine's right for the sake of its logs.",
    )
    workers = await conn.fetch(_WORKERS)
    alive = [row for row in workers if row["age_s"] < 10]
    yield Finding(
        "workers",
        "ok" if alive else "bad",
        f"{len(alive)} alive" + "".join(f", {row['host']}:{row['pid']}" for row in alive),
        "No syncs are read. Start `headrace serve` (role all or worker) on this database.",
    )
    async for finding in _syncs(conn):
        yield finding


async def _syncs(conn: Conn) -> AsyncIterator[Finding]:
    """Health as the API tells it: a sync that nobody has read from for too long is in trouble whatever was written."""
    syncs = [from_row(row) for row in await conn.fetch(_ACTIVE_SYNCS)]
    healths = await health(conn, syncs, datetime.now(UTC))
    well = True
    for sync in syncs:
        state = healths[sync.id]
        if state["status"] in ("warning", "error"):
            well = False
            verdict: Literal["warn", "bad"] = "bad" if state["status"] == "error" else "warn"
            notes = " ".join(str(note) for note in state["notes"])
            yield Finding(f"sync {sync.name} ({sync.id})", verdict, f"{state['status']}. {notes}")
    if well:
        yield Finding("syncs", "ok", f"none of {len(syncs)} in trouble")
