"""The database is restarted, cut off, read-only, full, its clock is set: the process waits, says so, and goes on by
itself."""

import asyncio
import os
import random
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx2
import pytest
from processes import complete, differences, eventually, start_sync

from headrace.client import AsyncClient, RetryPolicy, Sync
from headrace.db.launcher import EmbeddedPostgres
from headrace.testing.chaos import ChaosProxy
from headrace.testing.processes import ServeProcess
from headrace.testing.stripe import StripeServer

PATIENT = RetryPolicy(attempts=1000, first_s=0.1, most_s=0.5)

NO_ROOM = """
create function no_room() returns trigger language plpgsql as
  $$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;
do $$ declare t text; begin
  for t in select tablename from pg_tables where schemaname = 'public' loop
    execute format('create trigger no_room before insert or update on %I execute function no_room()', t);
  end loop;
end $$
"""

MOVABLE = """
create table moved (by_s float8);
insert into moved values (0);
create function public.clock_timestamp() returns timestamptz language sql volatile as
  $$ select pg_catalog.clock_timestamp() + (select by_s from public.moved) * interval '1 second' $$
"""
"""The database's clock as the process reads it: found before PostgreSQL's own, and set by what stands in `moved`."""


@dataclass
class Stand:
    """A server under test, between a provider and a database that a test may spoil."""

    postgres: EmbeddedPostgres
    proxy: ChaosProxy
    dsn: str
    provider: StripeServer
    server: ServeProcess
    api: AsyncClient
    sync: Sync

    async def readiness(self) -> dict[str, Any] | None:
        """What /ready says; None while it answers nothing."""
        try:
            async with httpx2.AsyncClient(timeout=10) as http:
                answer = await http.get(f"{self.server.url}/ready")
        except httpx2.HTTPError:
            return None
        return {"status": answer.status_code, **answer.json()}

    async def tells(self, *words: str) -> None:
        """Wait until /ready is 503 and says one of these in its notes."""

        async def told() -> bool:
            found = await self.readiness()
            notes = "" if found is None else f"{found['database']['note']} {found['engine']['note']}"
            return found is not None and found["status"] == 503 and any(word in notes for word in words)

        await eventually(told)

    async def tells_of_the_sync(self, words: str) -> None:
        """Wait until the sync's own health says so."""

        async def told() -> bool:
            health = (await self.api.syncs.get(self.sync["id"]))["health"]
            return health["status"] in ("warning", "error") and any(words in note for note in health["notes"])

        await eventually(told)

    async def has_let_go(self) -> None:
        """Wait until the engine has dropped its syncs, since others may take them."""

        async def dropped() -> bool:
            found = await self.readiness()
            return found is not None and not found["engine"]["alive"] and found["engine"]["syncs_held"] == 0

        await eventually(dropped)

    async def execute(self, statements: str) -> None:
        await _execute(self.dsn, *statements.split(";;"))

    async def clock_set(self, by_s: float) -> None:
        """Set the database's clock so far from the true time, and wait until the process has noticed."""

        def told() -> int:
            return sum("database_clock_jumped" in line for line in self.server.lines)

        before = told()
        await self.execute(f"update moved set by_s = {by_s}")

        async def noticed() -> bool:
            return told() > before

        await eventually(noticed)

    async def goes_on(self) -> None:
        """Wait until the process is ready and the stream equals the provider, which has changed meanwhile."""
        self.provider.mutator.changes_per_s = 0
        self.provider.account.create("customers", {"name": "Born in the outage"})

        async def ready() -> bool:
            found = await self.readiness()
            return found is not None and found["status"] == 200

        async def equal() -> bool:
            return await differences(self.api, self.sync, self.provider) == {}

        await eventually(ready)
        await eventually(equal)
        assert self.server.returncode is None
        assert not [line for line in self.server.lines if "Traceback" in line], "an outage is a line of the log"


async def _execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn, server_settings={"default_transaction_read_only": "off"})
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def stand(folder: Path, **options: str) -> AsyncIterator[Stand]:
    """The database listens on an address of its own, and is reached through a proxy."""
    dice = random.Random()
    address = f"127.{dice.randrange(1, 255)}.{dice.randrange(1, 255)}.{dice.randrange(1, 255)}"
    postgres = EmbeddedPostgres(folder, options={"listen_addresses": address, **options})
    dsn = await postgres.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(postgres.stop)
        proxy = await stack.enter_async_context(ChaosProxy(address, 5432))
        await _execute(dsn, MOVABLE)
        url = f"postgresql://headrace@127.0.0.1:{proxy.port}/headrace?search_path={quote('public,pg_catalog')}"
        settings = {"limits_override": "none", "lease_ttl_s": "3"}
        provider = await stack.enter_async_context(StripeServer(400))
        server = await stack.enter_async_context(ServeProcess(database_url=url, settings=settings))
        await server.ready()
        api = await stack.enter_async_context(AsyncClient(server.url, server.token, retries=PATIENT))
        sync = await start_sync(api, provider.base_url)
        await complete(api, sync)
        yield Stand(postgres, proxy, dsn, provider, server, api, sync)


@pytest.fixture
def folder() -> Any:
    with tempfile.TemporaryDirectory(prefix="headrace-") as name:
        yield Path(name)


async def restarted(here: Stand) -> None:
    await here.postgres.stop()
    await here.tells("does not answer")
    await here.postgres.start()


async def killed(here: Stand) -> None:
    """All of it at once; it is started anew, and goes through its log."""
    before = here.postgres.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)

    async def back() -> bool:
        return here.postgres.pid not in (None, before)

    await eventually(back)


async def cut_off(here: Stand) -> None:
    """Half-open: nothing passes, and nobody is told."""
    here.proxy.weather.stalled = True
    await here.tells("does not answer")
    await here.has_let_go()
    here.proxy.weather.stalled = False


async def read_only(here: Stand) -> None:
    await here.execute("alter system set default_transaction_read_only = on;;select pg_reload_conf()")
    await here.tells("takes no writes")
    await here.tells_of_the_sync("takes no writes")
    await here.execute("alter system reset default_transaction_read_only;;select pg_reload_conf()")


async def out_of_room(here: Stand) -> None:
    """Every write is refused as by a full disk."""
    await here.execute(NO_ROOM)
    await here.tells("no room left")
    await here.tells_of_the_sync("no room left")
    await here.has_let_go()
    await here.execute("drop function no_room cascade")


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_the_process_outlives_what_happens_to_its_database(folder: Path) -> None:
    outages: list[Callable[[Stand], Awaitable[None]]] = [restarted, killed, cut_off, read_only, out_of_room]
    async with stand(folder) as here:
        for outage in outages:
            here.provider.mutator.changes_per_s = 20  # so that it strikes while something is read and stored
            await outage(here)
            await here.goes_on()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_the_stream_equals_the_provider_though_the_databases_clock_is_set(folder: Path) -> None:
    """Set back, it lies behind what the last read wrote down, and behind the moment of a read that was asked for."""
    async with stand(folder) as here:
        for by_s in (3600, 0, -3600):
            await here.clock_set(by_s)
            await here.api.syncs.run(here.sync["id"])
            await here.goes_on()


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_a_database_that_is_unreachable_for_two_minutes(folder: Path) -> None:
    async with stand(folder) as here:
        here.proxy.weather.stalled = True
        await here.tells("does not answer")
        await here.has_let_go()
        await asyncio.sleep(120)
        await here.tells("does not answer")
        here.proxy.weather.stalled = False
        await here.goes_on()


@pytest.fixture
def small_disk() -> Any:
    """A disk of 160 MB, where one may be mounted."""
    with tempfile.TemporaryDirectory(prefix="headrace-") as name:
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "disk", name]).returncode:
            pytest.skip("only root may mount a small disk here")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "-l", name], check=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_disk_that_is_full(small_disk: Path) -> None:
    options = {"max_wal_size": "48MB", "min_wal_size": "32MB", "shared_buffers": "16MB"}
    async with stand(small_disk, **options) as here:
        rest = small_disk / "rest"
        with rest.open("wb") as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
                    file.flush()
            except OSError:
                pass
        # What PostgreSQL has set aside is used up by what the provider has now.
        for number in range(3000):
            here.provider.account.create(
                "customers", {"name": f"{number}", "description": random.randbytes(2500).hex()}
            )
        await here.tells("no room left", "does not answer")
        rest.unlink()
        await here.goes_on()
