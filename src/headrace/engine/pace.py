"""Pace: every request to a provider waits here for the slot in which it may be sent.

`Pace` is what the transport sees; `AccountQueue` lines up the requests of one account in this process and asks the
ledger for slots, in batches and at most 250 ms ahead, so that a request costs no round trip of its own while there is
much to do. Which limits apply is `limits.counted`, the arithmetic is `bucket`, who is next is `precedence`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from headrace.control.syncs import Sync
from headrace.db.pool import Database
from headrace.engine import limits, metrics
from headrace.engine.access import Access
from headrace.engine.account_queue import AccountQueue, Blocked
from headrace.engine.ledger import Ledger
from headrace.engine.limits import SWEEP, Counted, SyncLimit
from headrace.engine.outage import OUTAGE
from headrace.engine.precedence import Priority
from headrace.engine.presence import Presence
from headrace.engine.retry import backoff_s
from headrace.engine.slots import Slots
from headrace.http import Request, Response
from headrace.providers.kit import TooMany, retry_after_s
from headrace.settings import Settings

log = structlog.get_logger(__name__)

R = TypeVar("R")

__all__ = ["Blocked", "Pace", "Priority"]

_LEAST_WAIT_S = 0.25
_LONGEST_BLOCK = timedelta(days=1)
_IDLE = timedelta(days=2)
_KNOWN_IDLE_S = 600.0


class Pace:
    """The limits as this process keeps them; any number of processes share one ledger.

    `presence` is the process's heartbeat, to which its concurrency slots are tied; it is started at first need.
    """

    def __init__(self, db: Database, worker_id: UUID, settings: Settings) -> None:
        self._clock = db.clock
        self._worker_id = worker_id
        self._ledger = Ledger(db)
        self._override = limits.override_of(settings)
        self.presence = Presence(db, worker_id, settings)
        self._slots = Slots(db, self.presence)
        self._queues: dict[tuple[str, bytes], AccountQueue] = {}
        self._own: dict[UUID, tuple[datetime, SyncLimit]] = {}
        self._sweeping: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def stop(self) -> None:
        """Give back what this process holds. Requests that wait for a permit are cancelled."""
        for queue in self._queues.values():
            await queue.stop()
        self._queues.clear()
        await self._slots.stop()
        await self.presence.stop()

    @asynccontextmanager
    async def permit(
        self, access: Access, sync: Sync | None, request: Request, priority: Priority
    ) -> AsyncIterator[None]:
        """Wait until the request may be sent: enter the block and send at once, leave it when the answer is there.

        Holds a concurrency slot of every limit that has them, and one send slot of every window that counts the
        request. Raises `Blocked` when the provider told us to wait for longer than a minute.
        """
        queue = self._queue(access)
        started = self._clock.monotonic()

        def count() -> Counted:
            sweeping = priority is Priority.SWEEP
            return limits.counted(access, self._newest(sync), request, self._override, sweeping=sweeping)

        sync_id = sync.id if sync is not None else None
        await self.presence.start("requests")  # it keeps the clock true, by which slots are counted
        async with AsyncExitStack() as stack:
            async with self._sweeps_turn(queue, count, sync_id if priority is Priority.SWEEP else None):
                while True:
                    slots = self._slots.hold(access.provider.slug, lambda: count().concurrent, priority, sync_id)
                    hold = await stack.enter_async_context(slots)
                    await queue.slot(count, priority, sync_id)
                    if not hold.lost:
                        break
                    await stack.aclose()
            metrics.PERMIT_WAIT.labels(access.provider.slug, priority.name.lower()).observe(
                self._clock.monotonic() - started
            )
            yield

    def limit_sync(self, sync: Sync) -> None:
        """The sync's configuration changed: requests that wait are counted by its new limit from now on."""
        before = self._own.get(sync.id)
        if before is not None and before[0] >= sync.updated_at:
            return
        self._own[sync.id] = (sync.updated_at, SyncLimit.of(sync))
        for queue in self._queues.values():
            queue.recount(sync.id)

    def forget_sync(self, sync_id: UUID) -> None:
        """The sync is no longer run by this process."""
        self._own.pop(sync_id, None)

    async def learn(
        self, access: Access, request: Request, response: Response, attempt: int = 1, *, refused: bool = False
    ) -> float | None:
        """Take in what an answer says about the limits, for all processes.

        A refusal for too many requests blocks its class until its Retry-After is over (at least a quarter of a second,
        at most a day), or, without one, for a time that grows with `attempt`; returns the Unix time until then, and
        None when the answer was no such refusal. `refused` says that the connector takes it for one, whatever its
        policy of limits can tell. Headers that tell less left than our own count are believed.

        While the database is away this process alone heeds it.
        """
        await self._believe(access, response)
        return await self._heed(access, request, response, attempt, refused)

    async def forget_idle(self) -> None:
        """Housekeeping: drop rows of the ledger that nobody has used for two days."""
        await self._ledger.forget_idle(self._clock.now(), _IDLE)

    async def _believe(self, access: Access, response: Response) -> None:
        for left in _read(access.provider.limits.remaining, response) or ():
            word = limits.word_of(access, left, self._override)
            if word is not None:
                about, holds_s = word
                resets_at = self._clock.now().timestamp() + holds_s
                await self._shared(self._ledger.told(access.provider.slug, about, left.remaining, resets_at))

    async def _heed(
        self, access: Access, request: Request, response: Response, attempt: int, refused: bool
    ) -> float | None:
        now = self._clock.now()
        refusal = _read(access.provider.limits.too_many, response)
        if refusal is None and refused:
            refusal = TooMany(retry_after_s(response), limit_class=None)
        if refusal is None:
            return None
        metrics.REFUSALS.labels(access.provider.slug).inc()
        wait = refusal.retry_after_s if refusal.retry_after_s is not None else backoff_s(attempt)
        told = refusal.until or now + timedelta(seconds=min(max(wait, _LEAST_WAIT_S), _LONGEST_BLOCK.total_seconds()))
        until = min(told, now + _LONGEST_BLOCK)
        limit_class = refusal.limit_class or request.limit_class
        published = limits.published_of_class(access, limit_class, self._override)
        self._queue(access).block(limit_class, until.timestamp())
        await self._shared(
            self._ledger.refused(access.provider.slug, published, access.account_hash, limit_class, until.timestamp())
        )
        return until.timestamp()

    async def _shared(self, write: Awaitable[None]) -> None:
        try:
            await write
        except OUTAGE as error:
            log.warning("limits_not_shared", error=type(error).__name__)

    @asynccontextmanager
    async def _sweeps_turn(
        self, queue: AccountQueue, count: Callable[[], Counted], sync_id: UUID | None
    ) -> AsyncIterator[None]:
        """Where the request is a sweep's, of this sync: one of these at a time goes for its slots, and only when one is
        near. The pause between them may last for minutes, in which nothing else is to be kept from a concurrency slot.
        """
        if sync_id is None:
            yield
            return
        async with self._sweeping.setdefault(sync_id, asyncio.Lock()):
            await queue.room(lambda: [each.bucket for each in count().charges if each.bucket.limit_class == SWEEP])
            yield

    def _newest(self, sync: Sync | None) -> SyncLimit | None:
        if sync is None:
            return None
        known = self._own.get(sync.id)
        if known is None or known[0] < sync.updated_at:
            return SyncLimit.of(sync)
        return known[1]

    def _queue(self, access: Access) -> AccountQueue:
        key = (access.provider.slug, access.account_hash)
        queue = self._queues.get(key)
        if queue is None:
            self._drop_idle()
            queue = self._queues[key] = AccountQueue(*key, self._worker_id, self._ledger, self._clock)
        return queue

    def _drop_idle(self) -> None:
        """Queues hold little, but an instance may see many accounts in its life."""
        oldest = self._clock.monotonic() - _KNOWN_IDLE_S
        for key in [key for key, queue in self._queues.items() if queue.idle_since(oldest)]:
            del self._queues[key]


def _read(policy: Callable[[Response], R], response: Response) -> R | None:
    """What the policy reads out of an answer; nothing, where it trips over one that it did not expect (a proxy's page
    with a 403): that must not stop the sync."""
    try:
        return policy(response)
    except Exception as error:
        log.debug("limits_not_understood", status=response.status, error=type(error).__name__)
        return None
