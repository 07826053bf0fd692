"""The heartbeat of a process: one row of `workers`, written each second over a connection of its own.

Leases and concurrency slots are tied to it: whoever's heartbeat is older than the lease time has lost them. The process
knows as much of itself by its own steady clock, counted from before the heartbeat was sent, so that it stops before
others believe it dead. The answer also tells the database's clock, from which all times are taken.
"""

import asyncio
import contextlib
import math
import os
import socket
from collections import deque
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import structlog

from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.db.trouble import NO_WRITES, in_words
from headrace.engine import metrics
from headrace.engine.outage import OUTAGE
from headrace.settings import Settings

SQL = load(__package__, "presence.sql")
BEAT = SQL.beat
LEAVE = SQL.leave
FORGET_DEAD = SQL.forget_dead

log = structlog.get_logger(__name__)

EVERY_S = 1.0
_MARGIN_S = 1.0
_TIMEOUT_S = 2.0
_AGAIN_S = 0.25
_SETTLING_S = 2 * EVERY_S + _TIMEOUT_S
_BURY_AFTER = timedelta(hours=1)


class Presence:
    """`start` may be called by every part that needs the heartbeat; it beats from the first call to `stop`."""

    def __init__(self, db: Database, worker_id: UUID, settings: Settings) -> None:
        self.worker_id = worker_id
        self.ttl = timedelta(seconds=settings.lease_ttl_s)
        self.trouble: str | None = None
        """Why the last heartbeat did not reach the database."""
        self._db = db
        self._roles: set[str] = set()
        self._stopping = False
        self._started_at: datetime | None = None
        self._beaten_at = -1e9
        self._unbroken_since = 0.0
        self._round_trips: deque[float] = deque(maxlen=32)
        self._connection: Conn | None = None
        self._task: asyncio.Task[None] | None = None
        self._first = asyncio.Event()

    async def start(self, role: str) -> None:
        """Beat, and return after the first beat has reached the database. `role` is shown in the row."""
        self._roles.add(role)
        if self._first.is_set():
            return
        if self._task is None:
            self._started_at = self._db.clock.now()
            self._task = asyncio.create_task(self._beat_on(), name="heartbeat")
        first = asyncio.create_task(self._first.wait())
        try:
            await asyncio.wait({first, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            first.cancel()
        if not self._first.is_set():
            self._task.result()  # it never ends by itself but by an error

    async def stop(self) -> None:
        """Take the row away: what is tied to it is free at once."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with contextlib.suppress(*OUTAGE):
            if self._connection is not None:
                await self._connection.execute(LEAVE, self.worker_id)
        await self._disconnect()
        self._first.clear()
        self._beaten_at = -1e9

    async def announce_stopping(self) -> None:
        """Say in the row that this process is about to leave, so that the others count it out."""
        self._stopping = True
        with contextlib.suppress(*OUTAGE):
            await self._beat()

    @property
    def age_s(self) -> float:
        """Seconds since the last heartbeat that reached the database was begun, by the steady clock."""
        return self._db.clock.monotonic() - self._beaten_at

    @property
    def alive(self) -> bool:
        """Whether nobody else can hold this process for dead yet."""
        return self.age_s < self.ttl.total_seconds() - _MARGIN_S

    @property
    def unbroken_since(self) -> float:
        """The steady moment since which nobody can have held this process for dead; what it held before may be
        another's. Later than any moment while it may be dead."""
        return self._unbroken_since if self.alive else math.inf

    def lifetime(self) -> tuple[datetime, datetime]:
        """The heartbeats of the living lie between these moments: not too old, and not of a clock that was set back.

        Just after the database's clock jumped, both its times count: not everybody has beaten by the new one yet.
        """
        now, jump_s = self._db.clock.now(), self._db.clock.jumped_by_s(_SETTLING_S)
        return now - self.ttl - timedelta(seconds=max(jump_s, 0)), now + self.ttl + timedelta(seconds=max(-jump_s, 0))

    async def bury_dead(self) -> None:
        """Housekeeping: drop rows of processes that died long ago."""
        earliest, _ = self.lifetime()
        await self._db.api.execute(FORGET_DEAD, earliest - _BURY_AFTER)

    async def _beat_on(self) -> None:
        failing = False
        while True:
            jumps = self._db.clock.jumps
            try:
                await self._beat()
            except OUTAGE as error:
                self.trouble = in_words(error)
                if not failing:
                    log.warning("heartbeat_failed", reason=self.trouble)
                failing = True
                if isinstance(error, NO_WRITES):
                    await self._db.renew()
                await self._disconnect()
                await asyncio.sleep(_AGAIN_S)
            else:
                if failing:
                    log.info("heartbeat_restored")
                failing, self.trouble = False, None
                self._first.set()
                if self._db.clock.jumps == jumps:
                    await asyncio.sleep(EVERY_S)
                else:
                    by_s = round(self._db.clock.jumped_by_s(_SETTLING_S), 3)
                    log.warning("database_clock_jumped", by_s=by_s)
            metrics.HEARTBEAT_AGE.set(self.age_s)

    async def _beat(self) -> None:
        clock = self._db.clock
        async with asyncio.timeout(_TIMEOUT_S):
            connection = self._connection or await self._connect()
            begun, now = clock.monotonic(), clock.now()
            there = await connection.fetchval(
                BEAT, self.worker_id, socket.gethostname(), os.getpid(), sorted(self._roles), self._started_at, now,
                self._stopping,
            )  # fmt: skip
        ended = clock.monotonic()
        if not self.alive:
            self._unbroken_since = ended
        self._beaten_at = begun
        self._round_trips.append(ended - begun)
        # A slow round trip tells the database's clock badly: half of it is the possible error.
        if ended - begun <= 2 * min(self._round_trips):
            clock.learn(there, begun, ended)

    async def _connect(self) -> Conn:
        self._connection = await asyncpg.connect(
            self._db.dsn,
            timeout=_TIMEOUT_S,
            command_timeout=_TIMEOUT_S,
            server_settings={"application_name": "headrace heartbeat", "timezone": "UTC"},
        )
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
