"""How much waits at a consumer: exact where it is little, at least so much where it is much."""

from dataclasses import dataclass
from datetime import datetime

from headrace.clock import steady
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.stream.consumers.source import Head, source_of
from headrace.stream.consumers.state import Settings, State
from headrace.stream.consumers.storage import Key
from headrace.stream.consumers.turn import Taken

_SQL = load(__package__, "turn.sql")
_READ_HEAD = _SQL.read_head
_COUNT_LOSSES = _SQL.count_losses

EXACT_UP_TO = 10_000
COUNTED_UP_TO = 100_000
_DEAR_S = 0.05


@dataclass(frozen=True, slots=True)
class Pending:
    """`new`: past the position and not held back by an older version that is out; `due`: to be handed out again;
    `out`: with a worker, or nacked with a delay."""

    new: int
    due: int
    out: int

    @property
    def num_pending(self) -> int:
        return self.new + self.due


async def count(conn: Conn, key: Key, state: State, now: datetime) -> Pending:
    """Count anew. `state` must be the one in force."""
    state.ripen(now)
    new, _ = await _count_new(conn, key, state)
    due = await source_of(every=state.settings.every).count_due(conn, key.stream_id, state)
    return Pending(new, due, len(state.messages) - len(state.due))


async def reaches_bytes(conn: Conn, key: Key, state: State, most: int) -> bool:
    """Whether an answer of fewer than `most` messages is full because of its bytes."""
    return await source_of(every=state.settings.every).reaches_bytes(conn, key.stream_id, state, most)


class Estimate:
    """The count of new messages kept from turn to turn, so that a long backlog is not counted at each receive.

    Appends only add to what lies past the position (a record that changes goes to the end, and stays past it), so the
    count less what was passed never says too much until something is taken away: by a purge, by age, or, of events,
    with their day. Then it is made anew, as it is after a turn that had no room and looked for nothing.
    """

    def __init__(self) -> None:
        self._position = -1
        self._head = Head(-1, 0)
        self._losses = 0
        self._new = 0
        self._exact = False
        self._held_back = 0
        self._dear_until = 0.0
        self._settings: Settings | None = None

    async def after(self, conn: Conn, key: Key, state: State, taken: Taken | None, now: datetime) -> Pending:
        """What waits after a turn (None: at a look) that left this state."""
        head = taken.head if taken is not None else None
        if head is None:
            head = Head(*(await conn.fetchrow(_READ_HEAD, key.stream_id) or (0, 0)))
        state.ripen(now)
        if state.settings != self._settings:  # other filters, another kind, or moved by a reset
            self._position, self._settings = -1, state.settings
        if state.position >= head.number:
            self._new, self._held_back, self._exact = 0, 0, True
        else:
            self._new, sure = self._kept(state, head, taken)
            losses = (
                int(await conn.fetchval(_COUNT_LOSSES, key.stream_id, key.consumer_id)) if state.settings.every else 0
            )
            if not sure or (head.removals, losses) != (self._head.removals, self._losses):
                began = steady()
                self._new, self._held_back = await _count_new(conn, key, state)
                self._exact = self._new < COUNTED_UP_TO
                self._losses = losses
                seconds = steady() - began
                if seconds > _DEAR_S:  # a filter that lets little of much through
                    self._dear_until = steady() + 20 * seconds
        self._position, self._head = state.position, head
        return _pending(state, self._new)

    def _kept(self, state: State, head: Head, taken: Taken | None) -> tuple[int, bool]:
        """The count of before less what was passed since, and whether it may be given."""
        if self._position == state.position:
            kept = self._new
        elif taken is not None and self._position == taken.position_before:
            kept = max(0, self._new - taken.passed)
        else:
            return 0, False
        # Of events only some at a time may be given, so that what is left is not what was there less what was passed.
        unchanged = self._exact and not self._held_back and head == self._head and not state.settings.every
        looked = taken is None or taken.head is not None
        return kept, (looked and (unchanged or kept > EXACT_UP_TO)) or (kept > 0 and steady() < self._dear_until)


def _pending(state: State, new: int) -> Pending:
    due = len(state.due)
    return Pending(new, due, len(state.messages) - due)


async def _count_new(conn: Conn, key: Key, state: State) -> tuple[int, int]:
    """(messages past the position that are not held back, those that are)."""
    return await source_of(every=state.settings.every).count_new(conn, key.stream_id, state, COUNTED_UP_TO)
