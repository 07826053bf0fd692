"""The embedded server: private, unprivileged, gone with its parent, up again after every death."""

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from headrace.db import binaries, child, launcher
from headrace.db.launcher import EmbeddedPostgres

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="asks what happens under root")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path that everybody may pass through, as a fresh machine has them."""
    made = Path(tempfile.mkdtemp(prefix="hr-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@contextlib.asynccontextmanager
async def up(data_dir: Path, **given: Any) -> AsyncIterator[tuple[EmbeddedPostgres, str]]:
    server = EmbeddedPostgres(data_dir, **given)
    dsn = await server.start()
    try:
        yield server, dsn
    finally:
        await server.stop()


async def ask(dsn: str, query: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def parent_of_a_server(folder: Path, way: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", textwrap.dedent(_PARENT), str(folder), way]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def gone(pid: int) -> None:
    async with asyncio.timeout(60):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)


async def test_it_is_made_once_and_keeps_what_is_in_it(folder: Path) -> None:
    async with up(folder / "data") as (server, dsn):
        await ask(dsn, "create table kept as select 1 as x")
        pid = server.pid
    assert pid is not None
    assert not psutil.pid_exists(pid)
    async with up(folder / "data") as (_, dsn):
        assert await ask(dsn, "select x from kept") == 1
        assert await ask(dsn, "show server_encoding") == "UTF8"
        assert await ask(dsn, "select current_setting('fsync') || current_setting('synchronous_commit')") == "onon"


async def test_nobody_else_can_reach_it(folder: Path) -> None:
    above = mode(folder)
    async with up(folder / "data") as (server, dsn):
        assert mode(folder / "data" / "postgres") == 0o700
        assert mode(folder / "data" / "postgres" / "pgdata") == 0o700
        assert await ask(dsn, "show listen_addresses") == ""
        assert server.pid is not None
        assert psutil.Process(server.pid).uids().effective != 0
        assert psutil.Process(server.pid).net_connections() == [] or all(
            c.family.name == "AF_UNIX" for c in psutil.Process(server.pid).net_connections(kind="all")
        )
    assert mode(folder) == above, "folders above are left as they are"


@as_root
async def test_under_a_private_home_it_runs_without_opening_the_home(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    async with up(home / "a" / "data") as (_, dsn):
        assert await ask(dsn, "select 1") == 1
    async with up(home / "a" / "data") as (_, dsn):
        assert await ask(dsn, "select 1") == 1
    assert mode(home) == 0o700


@as_root
async def test_programs_under_a_private_home_are_copied_to_where_the_server_can_run_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = binaries._wheel()
    home = folder / "home"
    home.mkdir(mode=0o700)
    shutil.copytree(package, home / package.name)
    if (libraries := package.parent / f"{package.name}.libs").is_dir():
        shutil.copytree(libraries, home / libraries.name)
    monkeypatch.setattr(binaries, "_wheel", lambda: home / package.name)
    monkeypatch.setattr(binaries, "_CACHES", (folder / "cache",))
    for _ in range(2):
        found = binaries.find(child.unprivileged())
        assert found.bin_dir.is_relative_to(folder / "cache")
    assert len(list((folder / "cache").iterdir())) == 1, "copied once"
    async with up(folder / "data") as (_, dsn):
        assert await ask(dsn, "select 1") == 1


@as_root
def test_a_cache_that_another_user_could_write_to_is_not_run_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "cache").mkdir()
    (folder / "cache").chmod(0o777)
    monkeypatch.setattr(binaries, "_CACHES", (folder / "cache",))
    with pytest.raises(RuntimeError, match="can hold a copy"):
        binaries._copy(binaries._wheel())


async def test_a_path_too_long_for_a_socket_is_reached_through_a_short_one(folder: Path) -> None:
    deep = folder / ("long" * 30) / "with, comma and ü"
    async with up(deep) as (_, dsn):
        assert await ask(dsn, "select 1") == 1


async def test_two_cannot_share_a_folder_and_the_second_is_told(folder: Path) -> None:
    async with up(folder):
        with pytest.raises(RuntimeError, match="Another headrace uses"):
            await EmbeddedPostgres(folder).start()
    async with up(folder) as (_, dsn):
        assert await ask(dsn, "select 1") == 1


async def test_a_folder_made_by_another_major_version_is_refused(folder: Path) -> None:
    async with up(folder):
        pass
    version = folder / "postgres" / "pgdata" / "PG_VERSION"
    version.write_text("14\n")
    with pytest.raises(RuntimeError, match="was made by PostgreSQL 14"):
        await EmbeddedPostgres(folder).start()


async def test_a_setting_it_refuses_is_shown(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="no_such_setting"):
        await EmbeddedPostgres(folder, options={"no_such_setting": "1"}).start()


async def test_a_first_start_that_was_cut_short_is_begun_anew(folder: Path) -> None:
    async with up(folder):
        pass
    (folder / "postgres" / "pgdata").rename(folder / "postgres" / "making")
    (folder / "postgres" / "making" / "PG_VERSION").unlink()
    async with up(folder) as (_, dsn):
        assert await ask(dsn, "select 1") == 1


async def test_when_the_server_dies_it_is_started_again_with_all_that_was_committed(folder: Path) -> None:
    async with up(folder) as (server, dsn):
        await ask(dsn, "create table kept as select 1 as x")
        for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGQUIT):
            before = server.pid
            assert before is not None
            os.kill(before, number)
            async with asyncio.timeout(60):
                while True:
                    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                        if server.pid != before and await ask(dsn, "select x from kept") == 1:
                            break
                    await asyncio.sleep(0.05)


_PARENT = """
    import asyncio, sys
    from pathlib import Path
    from headrace.db import child, launcher
    if sys.argv[2] == "pipe":
        whole = child.Child
        launcher.Child = lambda *args: whole(*args, by_pipe=True)
    async def main():
        server = launcher.EmbeddedPostgres(Path(sys.argv[1]))
        print(await server.start(), server.pid, flush=True)
        await asyncio.sleep(600)
    asyncio.run(main())
"""


@pytest.mark.parametrize(
    "way", [pytest.param("signal", marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux")), "pipe"]
)
async def test_it_dies_with_its_parent_and_comes_back_with_the_next(folder: Path, way: str) -> None:
    for attempt in range(2):
        parent = parent_of_a_server(folder, way)
        assert parent.stdout is not None
        dsn, pid = (await asyncio.to_thread(parent.stdout.readline)).split()
        if attempt == 0:
            await ask(dsn, "create table kept as select 1 as x")
        assert await ask(dsn, "select x from kept") == 1
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
        if attempt == 1:
            await gone(int(pid))  # the first time the next start meets the server that still winds up
    async with up(folder) as (_, dsn):
        assert await ask(dsn, "select x from kept") == 1


async def test_stopping_with_open_transactions_is_quick_and_loses_nothing(folder: Path) -> None:
    async with up(folder) as (server, dsn):
        connection = await asyncpg.connect(dsn)
        await connection.execute("create table kept as select 1 as x")
        await connection.execute("begin; insert into kept values (2)")
        await server.stop()
        connection.terminate()
    async with up(folder) as (_, dsn):
        assert await ask(dsn, "select count(*) from kept") == 1


async def test_a_start_that_is_cancelled_leaves_nothing_running(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = EmbeddedPostgres(folder)
    started = asyncio.Event()
    pids: list[int] = []
    spawn = launcher.EmbeddedPostgres._spawn

    def note(self: EmbeddedPostgres) -> None:
        spawn(self)
        assert self.pid is not None
        pids.append(self.pid)
        started.set()

    monkeypatch.setattr(launcher.EmbeddedPostgres, "_spawn", note)
    starting = asyncio.create_task(server.start())
    await started.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert not psutil.pid_exists(pids[0])
    async with up(folder) as (_, dsn):
        assert await ask(dsn, "select 1") == 1


def test_nothing_that_is_started_beside_it_learns_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment can be read by whoever runs as the same user, and it has no use for the master key."""
    monkeypatch.setenv("HEADRACE_SECRET_KEY", "canary")
    for account in (None, child.unprivileged()):
        told = child.run(["/usr/bin/env"], account, Path("/"))
        assert told.returncode == 0
        assert "canary" not in told.stdout
        assert "PATH=" in told.stdout
