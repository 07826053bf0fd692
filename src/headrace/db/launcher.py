"""The embedded PostgreSQL: a server of our own in a folder of our own, that lives as long as this process."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import asyncpg
import structlog

from headrace.db import binaries, socket_path
from headrace.db.child import Account, Child, reaches, run, unprivileged
from headrace.db.socket_path import DATABASE

_LOG_LIMIT = 16 << 20

# Modest: the server shares the machine with headrace. Nothing trades durability for speed.
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "wal_buffers": "16MB",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "log_checkpoints": "off",
    "cluster_name": "headrace",
}

log = structlog.get_logger(__name__)


class EmbeddedPostgres:
    """A PostgreSQL under `data_dir`/postgres, reached through a socket in that folder and by nothing else.

    The folder is open to the server's user alone (0700); whoever reaches the socket is trusted. Where this process is
    root the server runs as an existing user without privileges. The server ends with this process, however that ends,
    and is started again when it dies by itself. `options` are settings of PostgreSQL on top of ours; `bin_dir` takes
    the place of the wheel's programs. Call `start` from a thread that outlives the server (see `child.Child`).
    """

    def __init__(
        self, data_dir: Path, *, bin_dir: Path | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        self._folder = data_dir.absolute() / "postgres"
        self._pgdata = self._folder / "pgdata"
        self._bin_dir = bin_dir
        self._options = {**_OPTIONS, **(options or {})}
        self._account: Account | None = None
        self._programs: binaries.Binaries | None = None
        self._lock: IO[str] | None = None
        self._child: Child | None = None
        self._way = contextlib.ExitStack()
        self._socket_dir = self._pgdata
        self._guard: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the server, None while there is none."""
        return self._child.pid if self._child else None

    async def start(self, patience_s: float = 600.0) -> str:
        """Start the server, making the database at first use, and return its URL when it takes connections.

        Waits `patience_s` for a crash recovery. Raises RuntimeError, saying what to do, when the folder is in use, was
        made by another major version, or the server does not come up.
        """
        self._account = unprivileged()
        self._programs = await asyncio.to_thread(binaries.find, self._account, self._bin_dir)
        self._take_folder()
        try:
            await asyncio.to_thread(self._make_cluster)
            self._check_version()
            self._socket_dir = self._way.enter_context(socket_path.within_reach(self._pgdata))
            await self._come_up(patience_s)
            await self._make_database()
        except BaseException:
            await self.stop()
            raise
        self._guard = asyncio.create_task(self._keep_up(), name="embedded-postgres")
        return socket_path.url(self._socket_dir)

    async def stop(self, patience_s: float = 4.0) -> None:
        """Stop the server: open transactions are rolled back and all is written; after `patience_s` the server stops
        without that last writing, which costs the next start a recovery and loses nothing that was committed."""
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await guard
        child, self._child = self._child, None
        if child is not None:
            for number, seconds in ((signal.SIGINT, patience_s), (signal.SIGQUIT, 2.0)):
                if await self._ended(child, number, seconds):
                    break
            else:
                child.kill()
        self._way.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _ended(self, child: Child, number: signal.Signals, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        child.signal(number)
        while child.exited() is None and loop.time() < deadline:  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(0.01)
        return child.exited() is not None

    def _take_folder(self) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            self._folder.mkdir(mode=0o700)
            if self._account is not None:
                os.chown(self._folder, self._account.uid, self._account.gid)
        owner = self._account.uid if self._account else os.geteuid()
        if self._folder.stat().st_uid != owner:
            raise RuntimeError(
                f"{self._folder} belongs to another user than the one PostgreSQL would run as here (uid {owner}). "
                "Start headrace as the user that first started it with this data folder, or choose another one."
            )
        self._lock = (self._folder / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RuntimeError(
                f"Another headrace uses the data folder {self._folder.parent}. Stop it, choose another --data-dir, or "
                "let both use one PostgreSQL with HEADRACE_DATABASE_URL."
            ) from None

    def _make_cluster(self) -> None:
        if self._pgdata.exists():
            return
        assert self._programs is not None
        # Made under another name and renamed when whole: a cluster that is half made is never taken for one.
        half = self._folder / "making"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(half, self._account.uid, self._account.gid)
        command = [self._programs.program("initdb"), "-D", self._seen_by_server(half), "-U", DATABASE]
        command += ["--auth=trust", "--encoding=UTF8", "--locale=C"]
        done = run(command, self._account, half)
        if done.returncode != 0:
            raise RuntimeError(f"PostgreSQL could not make its files in {self._folder}: {done.stderr.strip()}")
        half.rename(self._pgdata)

    def _check_version(self) -> None:
        assert self._programs is not None
        made_by = int((self._pgdata / "PG_VERSION").read_text())
        if made_by != self._programs.major:
            raise RuntimeError(
                f"{self._pgdata} was made by PostgreSQL {made_by}; the programs installed are {self._programs.major}. "
                f"Install the programs of PostgreSQL {made_by} again, dump the database with them (pg_dump), and load "
                "it into a new data folder."
            )

    def _seen_by_server(self, folder: Path) -> str:
        """How the server, whose working directory is `folder`, names it.

        A user without privileges cannot pass through a private home above it. On Linux the server then names its
        working directory through /proc, which needs no passing; permissions above stay as they are.
        """
        if reaches(self._account, folder):
            return str(folder)
        if sys.platform == "linux" and Path("/proc/self/cwd").exists():
            return "/proc/self/cwd"
        assert self._account is not None
        raise RuntimeError(
            f"PostgreSQL runs as the user {self._account.name!r}, which may not enter {folder} or a folder above it. "
            "Choose a --data-dir outside private home folders, for instance /var/lib/headrace."
        )

    def _spawn(self) -> None:
        assert self._programs is not None
        command = [self._programs.program("postgres"), "-D", self._seen_by_server(self._pgdata)]
        for name, value in self._options.items():
            command += ["-c", f"{name}={value}"]
        path = self._log_path
        if path.exists() and path.stat().st_size > _LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as output:
            self._child = Child(command, self._account, self._pgdata, output)

    @property
    def _postgres_url(self) -> str:
        """Of the database that is there before ours is."""
        return socket_path.url(self._socket_dir, "postgres")

    @property
    def _log_path(self) -> Path:
        return self._folder / "postgres.log"

    async def _come_up(self, patience_s: float) -> None:
        """Start the server until it takes connections.

        It may refuse for a moment because of a server before it that was killed and still winds up, or whose process
        number is still in the table; that passes. It may take long to recover; that is waited for.
        """
        loop = asyncio.get_running_loop()
        deadline, refused_until = loop.time() + patience_s, loop.time() + min(30.0, patience_s)
        self._spawn()
        while True:
            assert self._child is not None
            if self._child.exited() is not None:
                last_words = self._last_words()
                if not ("postmaster.pid" in last_words or "is in use" in last_words) or loop.time() > refused_until:
                    raise RuntimeError(f"PostgreSQL did not start; its log ({self._log_path}) ends: {last_words}")
                await asyncio.sleep(0.2)
                self._spawn()
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await (await asyncpg.connect(self._postgres_url, timeout=5.0)).close()
                return
            if loop.time() > deadline:
                raise RuntimeError(
                    f"PostgreSQL did not take connections within {patience_s:.0f} s; its log ({self._log_path}) ends: "
                    f"{self._last_words()}"
                )
            await asyncio.sleep(0.02)

    def _last_words(self) -> str:
        with self._log_path.open("rb") as output:
            output.seek(max(0, output.seek(0, os.SEEK_END) - 1000))
            return output.read().decode(errors="replace").strip()

    async def _make_database(self) -> None:
        connection = await asyncpg.connect(self._postgres_url)
        try:
            if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
                await connection.execute(f'create database "{DATABASE}"')
        finally:
            await connection.close()

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            if self._child is None or (status := self._child.exited()) is None:
                continue
            log.warning("embedded_postgres_died", exit_status=status, log=str(self._log_path))
            try:
                await self._come_up(600.0)
                log.info("embedded_postgres_restarted")
            except RuntimeError as error:
                log.error("embedded_postgres_not_restarted", reason=str(error))
                await asyncio.sleep(5.0)
