"""Consuming messages one by one, with acks that are sent many at a time.

    with client.consumers.consume(consumer_id) as messages:
        for message in messages:
            with message:
                handle(message.record)

Left without an error, a message is acked; left by one, it is nacked and the error goes on. Acks are gathered and sent
when the batch is done, a second after the last ones at the latest with the next message, and on leaving. What was
fetched and not begun is given back then, so that another worker gets it at once.

A message whose handling takes longer than the consumer's ack wait is delivered again, and its ack comes too late:
`message.extend()` lets the wait begin anew.
"""

import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from headrace.client.errors import ClientError
from headrace.client.objects import Delivery, Event, Record

if TYPE_CHECKING:
    from headrace.client.blocking import Consumers
    from headrace.client.nonblocking import AsyncConsumers

FLUSH_S = 1.0


class Message:
    """One delivery of a record, or of an event. Settle it once: by `with`, or by `ack`, `nack` or `term`."""

    def __init__(self, consumption: "Consumption", delivery: Delivery) -> None:
        self._consumption = consumption
        self.event: Event | None = delivery.get("event")
        self.record: Record = self.event or delivery["record"]
        self.ack_token: str = delivery["ack_token"]

    def ack(self) -> None:
        self._consumption.ack(self.ack_token)

    def nack(self, delay_ms: int | None = None) -> None:
        self._consumption.consumers.nack(self._consumption.consumer_id, [self.ack_token], delay_ms)

    def term(self, reason: str | None = None) -> None:
        self._consumption.consumers.term(self._consumption.consumer_id, [self.ack_token], reason)

    def extend(self) -> None:
        self._consumption.consumers.extend(self._consumption.consumer_id, [self.ack_token])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.ack()
        else:
            with contextlib.suppress(ClientError):  # the caller's own error is the one to be seen
                self.nack()


class Consumption:
    """The messages of a consumer, as they come, for ever."""

    def __init__(self, consumers: "Consumers", consumer_id: str, batch_size: int, wait_ms: int) -> None:
        self.consumers = consumers
        self.consumer_id = consumer_id
        self._batch_size = batch_size
        self._wait_ms = wait_ms
        self._fetched: deque[Delivery] = deque()
        self._acked: list[str] = []
        self._flushed_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or not issubclass(kind, ClientError):
            self.close()

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        if not self._fetched:
            self._fetch()
        elif time.monotonic() - self._flushed_at > FLUSH_S:
            self.flush()
        return Message(self, self._fetched.popleft())

    def _fetch(self) -> None:
        """Fetch a batch of what is there; with nothing there wait for one message, since a call that asks for more
        would be answered only once there are so many."""
        self.flush()
        size, wait_ms = self._batch_size, 0
        while not self._fetched:
            self._fetched.extend(self.consumers.next(self.consumer_id, size, wait_ms)["data"])
            size, wait_ms = 1, self._wait_ms

    def ack(self, ack_token: str) -> None:
        self._acked.append(ack_token)

    def flush(self) -> None:
        """Send the acks that were gathered."""
        if self._acked:
            self.consumers.ack(self.consumer_id, self._acked)
            self._acked = []
        self._flushed_at = time.monotonic()

    def close(self) -> None:
        """Send the acks and give back what was not begun."""
        self.flush()
        if self._fetched:
            self.consumers.nack(self.consumer_id, [delivery["ack_token"] for delivery in self._fetched])
            self._fetched.clear()


class AsyncMessage:
    """One delivery of a record, or of an event. Settle it once: by `async with`, or by `ack`, `nack` or `term`."""

    def __init__(self, consumption: "AsyncConsumption", delivery: Delivery) -> None:
        self._consumption = consumption
        self.event: Event | None = delivery.get("event")
        self.record: Record = self.event or delivery["record"]
        self.ack_token: str = delivery["ack_token"]

    def ack(self) -> None:
        self._consumption.ack(self.ack_token)

    async def nack(self, delay_ms: int | None = None) -> None:
        await self._consumption.consumers.nack(self._consumption.consumer_id, [self.ack_token], delay_ms)

    async def term(self, reason: str | None = None) -> None:
        await self._consumption.consumers.term(self._consumption.consumer_id, [self.ack_token], reason)

    async def extend(self) -> None:
        await self._consumption.consumers.extend(self._consumption.consumer_id, [self.ack_token])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.ack()
        elif issubclass(kind, Exception):  # a cancelled task sends nothing more: the ack wait gives the message back
            with contextlib.suppress(ClientError):
                await self.nack()


class AsyncConsumption:
    """The messages of a consumer, as they come, for ever."""

    def __init__(self, consumers: "AsyncConsumers", consumer_id: str, batch_size: int, wait_ms: int) -> None:
        self.consumers = consumers
        self.consumer_id = consumer_id
        self._batch_size = batch_size
        self._wait_ms = wait_ms
        self._fetched: deque[Delivery] = deque()
        self._acked: list[str] = []
        self._flushed_at = time.monotonic()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or not issubclass(kind, ClientError):
            await self.aclose()

    def __aiter__(self) -> AsyncIterator[AsyncMessage]:
        return self

    async def __anext__(self) -> AsyncMessage:
        if not self._fetched:
            await self._fetch()
        elif time.monotonic() - self._flushed_at > FLUSH_S:
            await self.flush()
        return AsyncMessage(self, self._fetched.popleft())

    async def _fetch(self) -> None:
        await self.flush()
        size, wait_ms = self._batch_size, 0
        while not self._fetched:
            batch = await self.consumers.next(self.consumer_id, size, wait_ms)
            self._fetched.extend(batch["data"])
            size, wait_ms = 1, self._wait_ms

    def ack(self, ack_token: str) -> None:
        self._acked.append(ack_token)

    async def flush(self) -> None:
        """Send the acks that were gathered."""
        if self._acked:
            await self.consumers.ack(self.consumer_id, self._acked)
            self._acked = []
        self._flushed_at = time.monotonic()

    async def aclose(self) -> None:
        """Send the acks and give back what was not begun."""
        await self.flush()
        if self._fetched:
            await self.consumers.nack(self.consumer_id, [delivery["ack_token"] for delivery in self._fetched])
            self._fetched.clear()
