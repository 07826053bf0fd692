"""The calls of this process on one consumer: gathered, and served together, a turn at a time.

While one turn is under way the next calls gather, so that under load a transaction serves many. Calls that wait are
looked after by one task for all of them: it sleeps until the stream grows, a message falls due, or a call's time is
over.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from headrace.db.pool import Database
from headrace.errors import TooManyRequests
from headrace.stream.consumers import pending, storage
from headrace.stream.consumers.flush import Flush
from headrace.stream.consumers.pending import Estimate, Pending
from headrace.stream.consumers.source import Entry
from headrace.stream.consumers.state import Settle, State
from headrace.stream.consumers.storage import Key
from headrace.stream.consumers.tokens import Delivery, Tokens
from headrace.stream.consumers.turn import Taken, take_turn
from headrace.stream.read import opened
from headrace.stream.wake import Wakeups

MOST_WAITING = 100
_MOST_A_TURN = 5000  # messages asked for, and tokens settled, in one transaction
_LOOK_AGAIN_S = 5.0
_SHARED_S = 1.0  # after a turn of another process


@dataclass(frozen=True, slots=True)
class Delivered:
    """An answer: (ack token, record) each, and what waits and is out after it."""

    messages: list[tuple[str, Entry]]
    num_pending: int
    num_ack_pending: int


@dataclass(slots=True, eq=False)
class _Receive:
    size: int
    waits: bool
    deadline: float
    gone: asyncio.Event
    answer: "asyncio.Future[Delivered]"


@dataclass(slots=True, eq=False)
class _Settling:
    settle: Settle
    done: "asyncio.Future[None]"


@dataclass(slots=True)
class _Work:
    settlings: list[_Settling] = field(default_factory=list)
    receives: list[_Receive] = field(default_factory=list)


class Desk:
    """Serves one consumer. `idle` is called when it has nothing more to do."""

    def __init__(
        self, db: Database, wakeups: Wakeups, flush: Flush, key: Key, tokens: Tokens, idle: Callable[[], None]
    ) -> None:
        self.tokens = tokens
        self._flush = flush
        self._answering: set[asyncio.Task[None]] = set()
        self._db = db
        self._wakeups = wakeups
        self._key = key
        self._idle = idle
        self._state: State | None = None
        self._estimate = Estimate()
        self._pending: Pending | None = None  # None: to be looked at before a waiting call is told to wait on
        self._settlings: deque[_Settling] = deque()
        self._receives: list[_Receive] = []
        self._called = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self._again_first = False
        self._shared_until = 0.0

    @property
    def busy(self) -> bool:
        return self._serving is not None

    async def receive(self, size: int, wait_ms: int, gone: asyncio.Event) -> Delivered:
        """See `Dispatcher.next`."""
        if wait_ms and sum(receive.waits for receive in self._receives) >= MOST_WAITING:
            raise TooManyRequests(
                f"{MOST_WAITING} calls wait on this consumer already. Ask again in a second, or with fewer workers.",
                1.0,
            )
        loop = asyncio.get_running_loop()
        receive = _Receive(size, wait_ms > 0, loop.time() + wait_ms / 1000, gone, loop.create_future())
        self._receives.append(receive)
        self._call()
        hung_up = asyncio.create_task(gone.wait()) if wait_ms else None
        try:
            if hung_up is None:
                return await receive.answer
            await asyncio.wait((receive.answer, hung_up), return_when=asyncio.FIRST_COMPLETED)
            return receive.answer.result() if receive.answer.done() else Delivered([], 0, 0)
        finally:
            if hung_up is not None:
                hung_up.cancel()
            if not receive.answer.done():
                receive.answer.cancel()
                if receive in self._receives:
                    self._receives.remove(receive)
                    self._call()

    async def settle(self, settle: Settle) -> None:
        """Returns when what the call says is committed."""
        settling = _Settling(settle, asyncio.get_running_loop().create_future())
        self._settlings.append(settling)
        self._call()
        await settling.done

    async def close(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving
        for answering in self._answering:
            answering.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    def _call(self) -> None:
        self._called.set()
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve(), name=f"consumer-{self._key.consumer_id}")

    async def _serve(self) -> None:
        try:
            while self._settlings or self._receives:
                self._called.clear()
                ticket = self._wakeups.ticket(self._key.stream_id)
                work = await self._ready()
                if work.settlings or work.receives:
                    await self._take(work)
                elif self._receives:
                    await self._wait(ticket)
        except BaseException as error:
            self._fail(_Work([*self._settlings], [*self._receives]), error)
            self._settlings.clear()
            raise
        finally:
            self._serving = None
            self._idle()

    async def _ready(self) -> _Work:
        """What can be done now: settle, and answer the calls whose time is over or whose answer would be full."""
        work = _Work()
        budget = _MOST_A_TURN
        while self._settlings and budget > 0:
            settling = self._settlings.popleft()
            budget -= len(settling.settle.deliveries)
            work.settlings.append(settling)
        now = asyncio.get_running_loop().time()
        waiting = [receive for receive in self._receives if not receive.gone.is_set()]
        over = [receive for receive in waiting if receive.deadline <= now]
        rest = [receive for receive in waiting if receive.deadline > now]
        if rest and not work.settlings:
            over += await self._filled(rest, sum(receive.size for receive in over))
        budget = _MOST_A_TURN
        for receive in over:
            if budget > 0:
                budget -= receive.size
                work.receives.append(receive)
        return work

    async def _filled(self, receives: Sequence[_Receive], promised: int) -> list[_Receive]:
        """Of the calls that may still wait, in order, those that would get all that they can get."""
        try:
            if self._pending is None:
                self._pending = await self._look()
        except BaseException as error:
            self._fail(_Work(receives=list(receives)), error)
            return []
        assert self._state is not None
        room, again = self._state.room, self._state.room_again
        found: list[_Receive] = []
        for receive in receives:
            full = min(receive.size, again + room)
            there = again + min(room, self._pending.new) - promised
            if full > 0 and (there >= full or (there > 1 and await self._heavy(receive.size))):
                found.append(receive)
                promised += full
        return found

    async def _look(self) -> Pending:
        now = self._db.clock.now()
        async with self._db.api.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
            self._state = await storage.look(conn, self._key, self._state)
            return await self._estimate.after(conn, self._key, self._state, None, now)

    async def _heavy(self, size: int) -> bool:
        assert self._state is not None
        async with self._db.api.acquire() as conn:
            return await pending.reaches_bytes(conn, self._key, self._state, size)

    async def _take(self, work: _Work) -> None:
        """One turn. An error is every caller's: what it did is nothing, or is not known."""
        sizes = [receive.size for receive in work.receives]
        settles = [settling.settle for settling in work.settlings]
        known, self._state = self._state, None
        was_full = known is not None and not known.room
        loop = asyncio.get_running_loop()
        if sizes:
            self._again_first = not self._again_first
        try:
            now = self._db.clock.now()
            async with self._db.api.acquire() as conn:
                state, taken = await take_turn(
                    conn,
                    self._key,
                    known,
                    settles,
                    sizes,
                    now,
                    alone=loop.time() >= self._shared_until,
                    again_first=self._again_first,
                    flushed=not self._flush.needed,
                )
                waiting = await self._estimate.after(conn, self._key, state, taken, now) if sizes else None
        except BaseException as error:
            self._pending = None
            self._fail(work, error)
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        self._state, self._pending = state, waiting
        if taken.overtaken:
            self._shared_until = loop.time() + _SHARED_S
        state.ripen(now)
        if settles and (was_full or state.due):
            self._wakeups.appended(self._key.stream_id)  # the room or the message that another process waits for
        answers = self._answers(work.receives, taken, waiting) if waiting is not None else []
        answering = asyncio.create_task(self._tell(work.settlings, answers))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)

    def _answers(
        self, receives: Sequence[_Receive], taken: Taken, waiting: Pending
    ) -> "list[tuple[_Receive, list[Entry], Taken, Delivered]]":
        """Of the calls that a turn served: those that are now answered, which no longer wait."""
        now = asyncio.get_running_loop().time()
        answers = []
        for receive, records in zip(receives, taken.answers, strict=True):
            if receive.answer.done():
                self._release(records, taken)
            elif records or receive.deadline <= now:
                handed_out = [(each.record_id, each.updated_idx) for each in records]
                tokens = self.tokens.mint(handed_out, taken.turn, taken.generation)
                messages = list(zip(tokens, records, strict=True))
                answers.append((receive, records, taken, Delivered(messages, waiting.num_pending, waiting.out)))
                self._receives.remove(receive)
        return answers

    async def _tell(
        self,
        settlings: Sequence[_Settling],
        answers: "Sequence[tuple[_Receive, list[Entry], Taken, Delivered]]",
    ) -> None:
        """Answer what a turn did, once it is on the disk."""
        try:
            entries = [entry for _, records, *_ in answers for entry in records]
            if settlings or entries:
                await asyncio.gather(self._flush.wait(), opened(entries))
        except BaseException as error:
            self._fail(_Work([*settlings], [receive for receive, *_ in answers]), error)
            return
        for settling in settlings:
            if not settling.done.done():
                settling.done.set_result(None)
        for receive, records, taken, delivered in answers:
            if receive.answer.done():
                self._release(records, taken)
            else:
                receive.answer.set_result(delivered)

    def _release(self, records: Sequence[Entry], taken: Taken) -> None:
        """The caller hung up while the turn was under way: its messages go back as if they had not been handed out."""
        if records:
            deliveries = [Delivery(r.record_id, r.updated_idx, taken.turn, taken.generation) for r in records]
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.add_done_callback(lambda each: each.cancelled() or each.exception())  # nobody waits for it
            self._settlings.append(_Settling(Settle("release", deliveries), done))
            self._call()

    def _fail(self, work: _Work, error: BaseException) -> None:
        futures: list[asyncio.Future[Any]] = [settling.done for settling in work.settlings]
        futures += [receive.answer for receive in work.receives]
        for future in futures:
            if not future.done():
                if isinstance(error, asyncio.CancelledError):
                    future.cancel()
                else:
                    future.set_exception(error)
        self._receives = [receive for receive in self._receives if receive not in work.receives]

    async def _wait(self, ticket: int) -> None:
        """Until something may have changed: the stream, a call, a message that falls due, a call whose time is over."""
        loop = asyncio.get_running_loop()
        seconds = min(_LOOK_AGAIN_S, min(receive.deadline for receive in self._receives) - loop.time())
        due_at = self._state.next_due_at() if self._state is not None else None
        if due_at is not None:
            seconds = min(seconds, _seconds(due_at - self._db.clock.now()))
        called = asyncio.create_task(self._called.wait())
        grown = asyncio.create_task(self._wakeups.wait(self._key.stream_id, ticket, max(0.0, seconds)))
        try:
            await asyncio.wait((called, grown), return_when=asyncio.FIRST_COMPLETED)
        finally:
            called.cancel()
            grown.cancel()
        if not called.done() or (grown.done() and not grown.cancelled()):
            self._pending = None


def _seconds(span: timedelta) -> float:
    return max(0.0, span.total_seconds())
