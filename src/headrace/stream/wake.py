"""Waking those who wait for a stream to grow: at once within the process, by NOTIFY across processes, else by a look.

Nothing depends on a wake-up arriving. A notification is sent at once for the first commit after a quiet moment, then at
most one per 100 ms and stream: each costs every commit of the database a lock.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from headrace.db.pool import AWAY, Database
from headrace.db.queries import load
from headrace.ids import parse_uuid

CHANNEL = "headrace_stream"
_APART_S = 0.1
_LOOK_EVERY_S = 1.0

_SQL = load(__package__, "wake.sql")
_NOTIFY = _SQL.notify
_READ_HEADS = _SQL.read_heads

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Stream:
    ticket: int = 0
    head: int = -1
    waiting: int = 0
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    notified_at: float = float("-inf")
    announcing: bool = False


class Wakeups:
    """One for a process. `start` before use, `stop` at the end."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._streams: dict[UUID, _Stream] = {}
        self._looking: asyncio.Task[None] | None = None
        self._announcements: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen to the other processes. Raises when the database is away."""
        await self._db.listen(CHANNEL, self._heard)
        self._looking = asyncio.create_task(self._look_for_ever(), name="wakeups")

    async def stop(self) -> None:
        tasks = [task for task in (self._looking, *self._announcements) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def appended(self, stream_id: UUID) -> None:
        """Say that the stream has grown, or that what a consumer of it waits for may be there; after the commit."""
        stream = self._wake(stream_id)
        if not stream.announcing:
            stream.announcing = True
            task = asyncio.create_task(self._announce(stream_id, stream))
            self._announcements.add(task)
            task.add_done_callback(self._announcements.discard)

    def ticket(self, stream_id: UUID) -> int:
        """What to give to `wait`: take it before looking whether there is something."""
        return self._streams.setdefault(stream_id, _Stream()).ticket

    async def wait(self, stream_id: UUID, ticket: int, timeout_s: float) -> int:
        """Until the stream may have grown since `ticket` was taken, or the time is over; the new ticket, which is the
        old one when the time is over. May wake without cause."""
        stream = self._streams.setdefault(stream_id, _Stream())
        if stream.ticket == ticket:
            stream.waiting += 1
            try:
                async with asyncio.timeout(timeout_s):
                    while stream.ticket == ticket:
                        await stream.grown.wait()
            except TimeoutError:
                pass
            finally:
                stream.waiting -= 1
        return stream.ticket

    def _wake(self, stream_id: UUID) -> _Stream:
        stream = self._streams.setdefault(stream_id, _Stream())
        stream.ticket += 1
        stream.grown.set()
        stream.grown = asyncio.Event()
        return stream

    def _heard(self, payload: str) -> None:
        stream_id = parse_uuid(payload)
        if stream_id is None:  # the listening connection was made anew: what was said meanwhile is lost
            for each in list(self._streams):
                self._wake(each)
        elif stream_id in self._streams:
            self._wake(stream_id)

    async def _announce(self, stream_id: UUID, stream: _Stream) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, stream.notified_at + _APART_S - loop.time()))
        stream.announcing = False  # what is appended from here on may come after the notification
        stream.notified_at = loop.time()
        with contextlib.suppress(*AWAY):
            await self._db.api.execute(_NOTIFY, CHANNEL, str(stream_id))

    async def _look_for_ever(self) -> None:
        """The fallback: one look a second at the heads of all streams that are waited for."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            waited_for = [stream_id for stream_id, stream in self._streams.items() if stream.waiting]
            if not waited_for:
                continue
            try:
                rows = await self._db.api.fetch(_READ_HEADS, waited_for)
            except AWAY as error:
                log.warning("stream_heads_not_read", reason=str(error) or type(error).__name__)
                continue
            for row in rows:
                stream = self._streams[row["stream_id"]]
                if stream.head != row["head"]:
                    stream.head = row["head"]
                    self._wake(row["stream_id"])
