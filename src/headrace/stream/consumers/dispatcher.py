"""Receiving and acknowledging: what the consume API calls."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from headrace.db.pool import Database
from headrace.db.queries import load
from headrace.stream.consumers import storage
from headrace.stream.consumers.desk import Delivered, Desk
from headrace.stream.consumers.flush import Flush
from headrace.stream.consumers.state import Action, Settle
from headrace.stream.consumers.storage import Key
from headrace.stream.consumers.tally import Tally
from headrace.stream.consumers.tokens import Tokens
from headrace.stream.wake import Wakeups

_FLUSH = load(__package__, "turn.sql").flush
_KEPT_S = 60.0


class Dispatcher:
    """One for a process; any number of processes serve one consumer.

    Everything that returns is committed. Errors of the database pass through (`db.pool.AWAY`): what was asked is then
    not done or its outcome unknown, and asking again does no harm.
    """

    def __init__(self, db: Database, wakeups: Wakeups) -> None:
        self._db = db
        self._wakeups = wakeups
        self._flush = Flush(None if db.sharded else lambda: db.api.execute(_FLUSH))
        self.tally = Tally(db.clock)
        self._desks: dict[Key, Desk] = {}
        self._leaving: set[Key] = set()

    async def next(
        self, stream_id: UUID, consumer_id: UUID, batch_size: int, wait_ms: int, cancelled: asyncio.Event
    ) -> Delivered:
        """Up to `batch_size` messages: at once when so many are there, after `wait_ms` with what there is.

        Nothing is claimed while the call waits; the ack wait begins with the answer. A call whose `cancelled` is set
        before that claims nothing. An answer is full with the smallest of `batch_size`, the room under max_ack_pending,
        and 32 MiB of data. Raises NotFound, and TooManyRequests when 100 calls of this process wait already.
        """
        desk = await self._desk(stream_id, consumer_id)
        delivered = await desk.receive(batch_size, wait_ms, cancelled)
        self.tally.delivered(Key(stream_id, consumer_id), len(delivered.messages))
        return delivered

    async def ack(self, stream_id: UUID, consumer_id: UUID, tokens: Sequence[str]) -> None:
        """The messages are done with. Tokens of deliveries that no longer stand are left in peace.

        Raises BadRequest, with nothing acted on, when one is malformed or another consumer's; the same goes for the
        other three.
        """
        await self._settle(stream_id, consumer_id, "ack", tokens)

    async def nack(self, stream_id: UUID, consumer_id: UUID, tokens: Sequence[str], delay_ms: int = 0) -> None:
        """Available again, after the delay; without one at once, from the third time of a message on with a wait."""
        await self._settle(stream_id, consumer_id, "nack", tokens, delay=timedelta(milliseconds=delay_ms))

    async def extend(self, stream_id: UUID, consumer_id: UUID, tokens: Sequence[str]) -> None:
        """The ack wait begins anew."""
        await self._settle(stream_id, consumer_id, "extend", tokens)

    async def term(self, stream_id: UUID, consumer_id: UUID, tokens: Sequence[str], reason: str | None) -> None:
        """To the dead letters."""
        await self._settle(stream_id, consumer_id, "term", tokens, reason=reason)

    async def close(self) -> None:
        """End what waits; the callers see a CancelledError."""
        await asyncio.gather(*(desk.close() for desk in list(self._desks.values())))
        await self._flush.close()

    async def _settle(
        self,
        stream_id: UUID,
        consumer_id: UUID,
        action: Action,
        tokens: Sequence[str],
        *,
        delay: timedelta = timedelta(0),
        reason: str | None = None,
    ) -> None:
        desk = await self._desk(stream_id, consumer_id)
        await desk.settle(Settle(action, desk.tokens.read(tokens), delay, reason))
        if action == "ack":
            self.tally.acked(Key(stream_id, consumer_id), len(set(tokens)))

    async def _desk(self, stream_id: UUID, consumer_id: UUID) -> Desk:
        key = Key(stream_id, consumer_id)
        desk = self._desks.get(key)
        if desk is None:
            async with self._db.api.acquire() as conn:
                secret = await storage.token_key(conn, key)
            desk = self._desks.get(key)
            if desk is None:
                desk = self._desks[key] = Desk(
                    self._db, self._wakeups, self._flush, key, Tokens(secret), lambda: self._let_go_later(key)
                )
        return desk

    def _let_go_later(self, key: Key) -> None:
        """Forget what is known of a consumer when nobody has called for a while."""
        if key not in self._leaving:
            self._leaving.add(key)
            asyncio.get_running_loop().call_later(_KEPT_S, self._let_go, key)

    def _let_go(self, key: Key) -> None:
        self._leaving.discard(key)
        desk = self._desks.get(key)
        if desk is not None and not desk.busy:
            del self._desks[key]
