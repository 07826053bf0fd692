"""A turn: the acks and receives of a moment, of all callers in this process, in one transaction under the lock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import TypeAlias
from uuid import UUID

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.stream.consumers import storage
from headrace.stream.consumers.state import Message, Settle, State
from headrace.stream.consumers.storage import Key
from headrace.stream.read import MOST_BYTES, StoredRecord, stored

_SQL = load(__package__, "turn.sql")
_READ_NEW = _SQL.read_new
_READ_DUE = _SQL.read_due
_READ_AGAIN = _SQL.read_again
_FIND_DEAD = _SQL.find_dead_letters
_SUPERSEDE = _SQL.supersede_dead_letter

_FIRST_WINDOW = 4096
_LAST_WINDOW = 1 << 20
_MOST_WINDOWS = 16


@dataclass(slots=True)
class Taken:
    """What a turn gave to each receive; `turn` and `generation` belong to the tokens of all of it.

    `passed` is how many records that pass the filters lie between `position_before` and the position now.
    """

    turn: int
    generation: int
    position_before: int
    answers: list[list[StoredRecord]]
    passed: int = 0
    head: int | None = None
    """The stream's head as it was seen, None when no new messages were looked for."""


_Due: TypeAlias = tuple[Message, tuple[int, int]]
"""A message with number and bytes of the version that is to be handed out."""


@dataclass(slots=True)
class _Scan:
    fresh: list[StoredRecord]
    position: int
    passed: int
    head: int | None


async def take_turn(
    conn: Conn,
    key: Key,
    known: State | None,
    settles: Sequence[Settle],
    sizes: Sequence[int],
    now: datetime,
    *,
    again_first: bool,
) -> tuple[State, Taken]:
    """Settle, then fill one answer for each of `sizes`, as far as there is something.

    Returns the state as of this turn. When it raises, nothing was done, or the outcome is unknown: `known` must not be
    used again. `again_first` tells who gets the odd place where redeliveries and new messages share an answer.
    """
    async with storage.turn(conn, key, known) as state:
        for settle in settles:
            state.settle(settle, now)
        position = state.position
        taken = Taken(state.turn, state.settings.generation, position, [[] for _ in sizes])
        if sizes:
            position = await _fill(conn, key, state, sizes, now, taken, again_first=again_first)
        if state.changed or position != state.position:
            await storage.commit(conn, key, state, position, now)
    return state, taken


async def _fill(
    conn: Conn, key: Key, state: State, sizes: Sequence[int], now: datetime, taken: Taken, *, again_first: bool
) -> int:
    """Hand out messages; the new position."""
    wanted = sum(sizes)
    state.ripen(now)
    due = await _deliverable(conn, key, state, min(wanted, state.room_again))
    first = _within_bytes(due[: (wanted + again_first) // 2], 0)
    taken_up = sum(size for _, (_, size) in first)
    scan = await _scan(conn, key, state, min(state.room, wanted - len(first)), MOST_BYTES - taken_up)
    taken.passed, taken.head = scan.passed, scan.head
    again = _within_bytes(due[: wanted - len(scan.fresh)], sum(len(record.data) for record in scan.fresh))
    payloads = await _again(conn, key, again)
    answers = _shares(sizes, [(m, r) for m, _ in again if (r := payloads.get(m.record_id))], scan.fresh)
    for answer, (repeated, fresh) in zip(taken.answers, answers, strict=True):
        if not repeated and not fresh:
            continue
        state.hand_out([(r.record_id, r.updated_idx) for r in fresh], [(m, r.updated_idx) for m, r in repeated], now)
        answer += [r for _, r in repeated]
        answer += fresh
    if state.dead and scan.fresh:
        await _supersede(conn, key, state, [record.record_id for record in scan.fresh])
    return scan.position


async def _deliverable(conn: Conn, key: Key, state: State, most: int) -> list[_Due]:
    """Due messages with (number, bytes) of the version that is to be handed out, oldest first.

    What may not be delivered any more is taken care of on the way: records that are gone, or that the filters no longer
    let through, messages that were delivered as often as they may be, and those that come again by the position.
    """
    found: list[_Due] = []
    walk = list(state.due.values())
    while walk and len(found) < most:
        part, walk = walk[: most - len(found)], walk[most - len(found) :]
        rows = await conn.fetch(_READ_DUE, key.stream_id, [message.record_id for message in part])
        standing = {row["record_id"]: row for row in rows}
        for message in part:
            row = standing.get(message.record_id)
            if row is None or not state.settings.filters.match(row["sync_id"], row["collection_id"]):
                state.drop(message)
            elif row["updated_idx"] == message.idx and state.exhausted(message):
                state.bury(message)
            elif row["updated_idx"] > state.position:
                state.drop(message)
            else:
                found.append((message, (row["updated_idx"], row["size"])))
    return found


def _within_bytes(due: Sequence[_Due], taken: int) -> list[_Due]:
    """As many as fit into an answer beside the bytes that are taken."""
    for count, (_, (_, size)) in enumerate(due):
        taken += size
        if taken > MOST_BYTES:
            return list(due[:count])
    return list(due)


async def _again(conn: Conn, key: Key, again: Sequence[_Due]) -> dict[UUID, StoredRecord]:
    if not again:
        return {}
    ids, idxs = [message.record_id for message, _ in again], [idx for _, (idx, _) in again]
    rows = await conn.fetch(_READ_AGAIN, key.stream_id, ids, idxs)
    return {record.record_id: record for record in stored(rows)}


async def _scan(conn: Conn, key: Key, state: State, most: int, left: int) -> _Scan:
    """At most `most` new records past the position, of at most `left` bytes (one record always fits into an answer).

    Those that an older version of is not acked are passed, and told to wait.

    The search goes in windows that grow, so that neither a filter that lets little through nor a stretch of numbers
    that are gone makes one statement long.
    """
    if most <= 0:
        return _Scan([], state.position, 0, None)
    filters = state.settings.filters.parameters()
    fresh: list[StoredRecord] = []
    position, head, passed = state.position, None, 0
    window = max(_FIRST_WINDOW, 2 * most)
    for _ in range(_MOST_WINDOWS):
        limit = most - len(fresh)
        upper = position + window
        found = await conn.fetch(_READ_NEW, key.stream_id, position, upper, limit, left, *filters)
        head = int(found[0]["head"])
        fitting = list(takewhile(lambda row: row["data"] is not None, found))
        for record in stored(row for _, *row in fitting):
            message = state.messages.get(record.record_id)
            if message is not None:
                state.pass_newer(message)
            else:
                fresh.append(record)
            position = record.updated_idx
            left -= len(record.data)
        passed += len(fitting)
        too_heavy = len(fitting) < len(found) and found[0]["updated_idx"] is not None
        if too_heavy or len(fresh) >= most:
            break
        if len(fitting) < limit:  # all of the window was seen
            position = max(position, min(head, upper))
        if position >= head:
            break
        window = min(4 * window, _LAST_WINDOW)
    return _Scan(fresh, position, passed, head)


async def _supersede(conn: Conn, key: Key, state: State, ids: Sequence[UUID]) -> None:
    """A newer version of a record that was set aside is delivered as usual and takes its place."""
    who = (key.stream_id, key.consumer_id)
    for row in await conn.fetch(_FIND_DEAD, *who, ids):
        await conn.execute(_SUPERSEDE, *who, row["record_id"])
        state.dead -= 1


def _shares(
    sizes: Sequence[int], again: list[tuple[Message, StoredRecord]], fresh: list[StoredRecord]
) -> list[tuple[list[tuple[Message, StoredRecord]], list[StoredRecord]]]:
    """Each answer's redeliveries and new records: both are spread over the answers, so that none is only the one."""
    shares = []
    wanted, repeats, news = sum(sizes), len(again), len(fresh)
    given = taken_again = taken_fresh = 0
    for size in sizes:
        given += size
        until_again = min(repeats, -(-repeats * given // wanted))
        until_again = min(until_again, taken_again + size)
        until_fresh = min(news, taken_fresh + size - (until_again - taken_again))
        until_again = min(repeats, until_again + size - (until_again - taken_again) - (until_fresh - taken_fresh))
        shares.append((again[taken_again:until_again], fresh[taken_fresh:until_fresh]))
        taken_again, taken_fresh = until_again, until_fresh
    return shares
