"""What a consumer reads: the records, each in its newest version, or the events, each of them."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from headrace.db.pool import Conn
from headrace.db.queries import Queries, load
from headrace.stream.consumers.state import Message, State
from headrace.stream.dictionaries import read_again
from headrace.stream.events.reading import StoredEvent, packed_events
from headrace.stream.read import MOST_BYTES, PLAN_ANEW, StoredRecord, attach, opened, packed

MOST_NUMBER = 2**53 - 1

Entry: TypeAlias = StoredRecord | StoredEvent


class Head(NamedTuple):
    """The stream's last number, and how often records had been taken away by then."""

    number: int
    removals: int


@dataclass(slots=True)
class Window:
    """Entries past a position, packed, of `size` bytes of data. `heavy`: more follow, but of more bytes than there was
    room for."""

    head: Head
    entries: Sequence[Entry]
    size: int
    heavy: bool


@dataclass(frozen=True, slots=True)
class Due:
    """A message with what is to be handed out for it: number, bytes, and what then waits behind it (0: nothing)."""

    message: Message
    idx: int
    size: int
    waiting: int
    wanted: bool
    """Whether the filters let it through."""

    def spent(self, state: State) -> bool:
        """Whether it was delivered as often as it may be, and there is nothing newer of the record."""
        return self.idx == self.message.idx and state.exhausted(self.message)


@asynccontextmanager
async def _planned_anew(conn: Conn) -> AsyncIterator[None]:
    """None of the statements within uses a plan that was kept (`PLAN_ANEW`). What is left open where this is cancelled,
    the pool rolls back when it takes the connection."""
    within = conn.is_in_transaction()
    await conn.execute(PLAN_ANEW if within else f"begin; {PLAN_ANEW}")
    try:
        yield
    finally:
        if not within:
            await conn.execute("rollback")  # nothing was written


class Source(ABC):
    """The reading statements of one kind of consumer. They take the same parameters and give the same columns."""

    def __init__(self, statements: Queries) -> None:
        self._read_new = statements.read_new
        self._read_due = statements.read_due
        self._read_again = statements.read_again
        self._count_new = statements.count_new
        self._count_held_back = statements.count_held_back
        self._reaches_bytes = statements.reaches_bytes
        self.place_last = statements.place_last
        self._list_dead = statements.list_dead
        self._take_dead = statements.take_dead

    @read_again
    async def window(
        self, conn: Conn, stream_id: UUID, state: State, after: int, up_to: int, limit: int, left: int
    ) -> Window:
        """Visible entries with numbers of (after, up_to] that the filters let through, at most `limit`, of at most
        `left` bytes."""
        filters = state.settings.filters.parameters()
        rows = await conn.fetch(self._read_new, stream_id, after, up_to, limit, left, *filters)
        head, total = Head(rows[0]["head"], rows[0]["removals"]), rows[-1]["total"]
        if total is None:
            return Window(head, [], 0, heavy=False)
        fitting = rows if total <= left else list(takewhile(lambda row: row["data"] is not None, rows))
        size = fitting[-1]["total"] if fitting else 0
        entries = self.entries(fitting, beside=3)
        await attach(conn, stream_id, entries)
        return Window(head, entries, size, heavy=len(fitting) < len(rows))

    async def count_new(self, conn: Conn, stream_id: UUID, state: State, most: int) -> tuple[int, int]:
        """(messages past the position that are not held back, those that are), counted up to `most`."""
        filters = state.settings.filters.parameters()
        past = int(await conn.fetchval(self._count_new, stream_id, state.position, most, *filters))
        if not past or not state.messages:
            return past, 0
        ids = list(state.messages)
        held_back = int(await conn.fetchval(self._count_held_back, stream_id, state.position, ids, *filters))
        return max(0, past - held_back), held_back

    async def reaches_bytes(self, conn: Conn, stream_id: UUID, state: State, most: int) -> bool:
        """Whether an answer of fewer than `most` messages is full because of its bytes."""
        return bool(await conn.fetchval(self._reaches_bytes, stream_id, state.position, most, MOST_BYTES))

    async def due(self, conn: Conn, stream_id: UUID, state: State, messages: Sequence[Message]) -> dict[UUID, Due]:
        """By record, what is to be handed out for messages that are due; nothing for what is gone."""
        by_record = {message.record_id: message for message in messages}
        matches = state.settings.filters.match
        async with _planned_anew(conn):
            rows = await self._due_rows(conn, stream_id, state, messages)
        return {
            row["record_id"]: Due(
                by_record[row["record_id"]],
                row["updated_idx"],
                row["size"],
                row["waiting"] or 0,
                matches(row["sync_id"], row["collection_id"]),
            )
            for row in rows
        }

    async def count_due(self, conn: Conn, stream_id: UUID, state: State) -> int:
        """How many of the messages that are due would be handed out."""
        due = await self.due(conn, stream_id, state, list(state.due.values())) if state.due else {}
        return sum(each.wanted and not each.spent(state) for each in due.values())

    @read_again
    async def dead(
        self, conn: Conn, stream_id: UUID, consumer_id: UUID, after: UUID | None, limit: int
    ) -> list[tuple[Any, Entry]]:
        """(idx, deliveries, reason, dead_at) with the entry of messages set aside, behind the place `after`."""
        rows = await conn.fetch(self._list_dead, stream_id, consumer_id, self._behind(after), limit)
        entries = self.entries(rows, beside=4)
        await attach(conn, stream_id, entries)
        await opened(entries)
        return [(tuple(row)[-4:], entry) for row, entry in zip(rows, entries, strict=True)]

    @abstractmethod
    async def take_dead(
        self, conn: Conn, stream_id: UUID, consumer_id: UUID, state: State, record_ids: Sequence[UUID] | None
    ) -> list[tuple[UUID, int]]:
        """Take those of the given records (None: of all) out of the dead letters that may be delivered now, as (record
        id, number)."""

    @abstractmethod
    def _behind(self, place: UUID | None) -> Any:
        """The parameter that lists dead letters behind a place."""

    @read_again
    async def again(self, conn: Conn, stream_id: UUID, due: Sequence[Due]) -> Sequence[Entry]:
        """What is to be handed out again, packed, as far as it still stands."""
        async with _planned_anew(conn):
            entries = await self._entries_again(conn, stream_id, due)
        await attach(conn, stream_id, entries)
        return entries

    @abstractmethod
    async def _entries_again(self, conn: Conn, stream_id: UUID, due: Sequence[Due]) -> Sequence[Entry]:
        """The same without their dictionaries."""

    @abstractmethod
    def entries(self, rows: Iterable[Any], *, beside: int) -> Sequence[Entry]:
        """Of rows that the statements give, packed. The last `beside` columns are not the entry's."""

    @abstractmethod
    async def _due_rows(self, conn: Conn, stream_id: UUID, state: State, messages: Sequence[Message]) -> Sequence[Any]:
        """Rows of (record id, sync id, collection id, number, bytes, what waits)."""


class _Records(Source):
    async def take_dead(
        self, conn: Conn, stream_id: UUID, consumer_id: UUID, state: State, record_ids: Sequence[UUID] | None
    ) -> list[tuple[UUID, int]]:
        return [tuple(row) for row in await conn.fetch(self._take_dead, stream_id, consumer_id, record_ids)]

    def _behind(self, place: UUID | None) -> UUID | None:
        return place

    async def _entries_again(self, conn: Conn, stream_id: UUID, due: Sequence[Due]) -> Sequence[Entry]:
        ids, idxs = [each.message.record_id for each in due], [each.idx for each in due]
        return packed(await conn.fetch(self._read_again, stream_id, ids, idxs))

    def entries(self, rows: Iterable[Any], *, beside: int) -> Sequence[Entry]:
        return packed(row[:-beside] for row in rows)

    async def _due_rows(self, conn: Conn, stream_id: UUID, state: State, messages: Sequence[Message]) -> Sequence[Any]:
        return await conn.fetch(self._read_due, stream_id, [message.record_id for message in messages])


class _Events(Source):
    async def take_dead(
        self, conn: Conn, stream_id: UUID, consumer_id: UUID, state: State, record_ids: Sequence[UUID] | None
    ) -> list[tuple[UUID, int]]:
        out = list(state.messages)
        return [tuple(row) for row in await conn.fetch(self._take_dead, stream_id, consumer_id, record_ids, out)]

    def _behind(self, place: UUID | None) -> int:
        return 0 if place is None else min(place.int, MOST_NUMBER)

    async def _entries_again(self, conn: Conn, stream_id: UUID, due: Sequence[Due]) -> Sequence[Entry]:
        return packed_events(await conn.fetch(self._read_again, stream_id, [each.idx for each in due]))

    def entries(self, rows: Iterable[Any], *, beside: int) -> Sequence[Entry]:
        return packed_events(row[:-beside] for row in rows)

    async def _due_rows(self, conn: Conn, stream_id: UUID, state: State, messages: Sequence[Message]) -> Sequence[Any]:
        columns = [(message.record_id, message.idx, message.waiting) for message in messages]
        given = list(map(list, zip(*columns, strict=True)))
        return await conn.fetch(self._read_due, stream_id, *given, state.position)


_RECORDS: Source = _Records(load(__package__, "records.sql"))
_EVENTS: Source = _Events(load(__package__, "events.sql"))


def source_of(*, every: bool) -> Source:
    return _EVENTS if every else _RECORDS
