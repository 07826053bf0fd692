"""A consumer of a stream, called as the API calls it, by as many processes as one likes (each a Dispatcher)."""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from stream_log import Log

from headrace.ids import uuid7
from headrace.stream.consumers import Delivered, Dispatcher, lifecycle
from headrace.stream.consumers.lifecycle import ConsumerSettings, Counts
from headrace.stream.wake import Wakeups


def settings(**given: Any) -> ConsumerSettings:
    values: dict[str, Any] = {
        "kind": "records",
        "ack_wait_ms": 30_000,
        "max_deliver": -1,
        "max_ack_pending": 1000,
        "filters": {"provider": "*", "sync_id": "*", "collection_id": "*"},
    }
    return ConsumerSettings(**{**values, **given})


@dataclass
class Consumer:
    log: Log
    dispatcher: Dispatcher
    id: UUID

    async def next(self, size: int = 1, wait_ms: int = 0, gone: asyncio.Event | None = None) -> Delivered:
        return await self.dispatcher.next(self.log.stream_id, self.id, size, wait_ms, gone or asyncio.Event())

    async def take(self, size: int = 1) -> dict[str, str]:
        """Upstream id → token of what one call gives."""
        return {record.upstream_id: token for token, record in (await self.next(size)).messages}

    async def ack(self, *tokens: str) -> None:
        await self.dispatcher.ack(self.log.stream_id, self.id, tokens)

    async def nack(self, *tokens: str, delay_ms: int = 0) -> None:
        await self.dispatcher.nack(self.log.stream_id, self.id, tokens, delay_ms)

    async def extend(self, *tokens: str) -> None:
        await self.dispatcher.extend(self.log.stream_id, self.id, tokens)

    async def term(self, *tokens: str, reason: str | None = None) -> None:
        await self.dispatcher.term(self.log.stream_id, self.id, tokens, reason)

    async def counts(self) -> Counts:
        async with self.log.db.api.acquire() as conn:
            return await lifecycle.counts(conn, self.log.stream_id, self.id, self.log.db.clock.now())

    async def alter(self, policy: Any = None, **given: Any) -> None:
        async with self.log.db.transaction() as conn:
            now = self.log.db.clock.now()
            await lifecycle.alter_consumer(conn, self.log.stream_id, self.id, settings(**given), policy, now)

    async def reset(self, policy: Any = "all") -> None:
        async with self.log.db.transaction() as conn:
            await lifecycle.reset(conn, self.log.stream_id, self.id, policy, self.log.db.clock.now())

    async def dead(self) -> dict[str, tuple[int, str | None]]:
        """Upstream id → (deliveries, reason) of what was set aside."""
        async with self.log.db.api.acquire() as conn:
            letters = await lifecycle.dead_letters(conn, self.log.stream_id, self.id, 100)
        return {each.entry.upstream_id: (each.deliveries, each.reason) for each in letters}

    async def replay(self) -> int:
        async with self.log.db.transaction() as conn:
            return await lifecycle.replay(conn, self.log.stream_id, self.id, self.log.db.clock.now())

    def elsewhere(self, dispatcher: Dispatcher) -> "Consumer":
        """The same consumer served by another process."""
        return Consumer(self.log, dispatcher, self.id)


@dataclass
class Process:
    """What a process of its own would have."""

    wakeups: Wakeups
    dispatcher: Dispatcher

    @classmethod
    async def start(cls, log: Log) -> "Process":
        wakeups = Wakeups(log.db)
        await wakeups.start()
        return cls(wakeups, Dispatcher(log.db, wakeups))

    async def stop(self) -> None:
        await self.dispatcher.close()
        await self.wakeups.stop()

    async def consumer(self, log: Log, policy: Any = "all", **given: Any) -> Consumer:
        consumer = Consumer(log, self.dispatcher, uuid7())
        async with log.db.transaction() as conn:
            await lifecycle.create_consumer(
                conn, log.stream_id, consumer.id, uuid7(), settings(**given), policy, log.db.clock.now()
            )
        return consumer
