"""A turn: the acks and receives of a moment, of all callers in this process, in one transaction.

A process that knows the state reads and reckons without the consumer's lock, and takes it in the same trip that checks
whether the state still was the last, writes and commits. Where it was not, the turn is begun anew under the lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.stream.consumers import storage
from headrace.stream.consumers.source import Due, Entry, Head, source_of
from headrace.stream.consumers.state import Settle, State
from headrace.stream.consumers.storage import Key
from headrace.stream.read import MOST_BYTES

_SQL = load(__package__, "turn.sql")
_FIND_DEAD = _SQL.find_dead_letters

_FIRST_WINDOW = 4096
_LAST_WINDOW = 1 << 20
_MOST_WINDOWS = 16
_LOOKED_AT = 1000  # messages that are due


@dataclass(slots=True)
class Taken:
    """What a turn gave to each receive; `turn` and `generation` belong to the tokens of all of it.

    `passed` is how many records that pass the filters lie between `position_before` and the position now.
    """

    turn: int
    generation: int
    position_before: int
    answers: list[list[Entry]]
    passed: int = 0
    head: Head | None = None
    """The stream's head as it was seen, None when no new messages were looked for."""
    overtaken: bool = False
    """Whether another process has taken a turn since the state was known."""


@dataclass(slots=True)
class _Scan:
    """`behind`: by record, the first event that was passed since another of the same record is in `fresh`, or out: in
    this very turn that one may be handed out again."""

    fresh: list[Entry]
    behind: dict[UUID, int]
    position: int
    size: int
    passed: int
    head: Head | None


async def take_turn(
    conn: Conn,
    key: Key,
    known: State | None,
    settles: Sequence[Settle],
    sizes: Sequence[int],
    now: datetime,
    *,
    alone: bool,
    again_first: bool,
    flushed: bool,
) -> tuple[State, Taken]:
    """Settle, then fill one answer for each of `sizes`, as far as there is something.

    Returns the state as of this turn, and the answers, packed. When it raises, nothing was done, or the outcome is
    unknown: `known` must not be used again. `alone`: nobody else is expected to have taken a turn. `again_first` tells
    who gets the odd place where redeliveries and new messages share an answer; `flushed`, whether the commit waits for
    the disk.
    """
    asked = (settles, sizes, now)
    overtaken = False
    if known is not None and alone:
        try:
            position, taken = await _filled(conn, key, known, *asked, again_first=again_first)
            await storage.commit_if_last(conn, key, known, position, now, flushed=flushed)
            return known, taken
        except storage.Overtaken:
            known, overtaken = None, True
    async with storage.locked(conn, key, known, flushed=flushed) as state:
        position, taken = await _filled(conn, key, state, *asked, again_first=again_first)
        taken.overtaken = overtaken or (known is not None and state is not known)
        await storage.commit(conn, key, state, position, now)
    return state, taken


async def _filled(
    conn: Conn,
    key: Key,
    state: State,
    settles: Sequence[Settle],
    sizes: Sequence[int],
    now: datetime,
    *,
    again_first: bool,
) -> tuple[int, Taken]:
    """What the turn does to the state; the new position, and the answers."""
    for settle in settles:
        state.settle(settle, now, await _held(conn, key, state, settle))
    position = state.position
    taken = Taken(state.turn, state.settings.generation, position, [[] for _ in sizes])
    if sizes:
        position = await _fill(conn, key, state, sizes, now, taken, again_first=again_first)
    return position, taken


async def _held(conn: Conn, key: Key, state: State, settle: Settle) -> dict[UUID, int]:
    """What would be handed out now for the messages that `settle` would set aside, which are few."""
    doubtful = state.would_bury(settle)
    if not doubtful:
        return {}
    due = await source_of(every=state.settings.every).due(conn, key.stream_id, state, doubtful)
    return {message.record_id: due[message.record_id].idx for message in doubtful if message.record_id in due}


async def _fill(
    conn: Conn, key: Key, state: State, sizes: Sequence[int], now: datetime, taken: Taken, *, again_first: bool
) -> int:
    """Hand out messages; the new position."""
    wanted = sum(sizes)
    state.ripen(now)
    due = await _deliverable(conn, key, state, min(wanted, state.room_again), now)
    first = _within_bytes(due[: (wanted + again_first) // 2], 0)
    taken_up = sum(each.size for each in first)
    scan = await _scan(conn, key, state, min(state.room, wanted - len(first)), MOST_BYTES - taken_up)
    taken.passed, taken.head = scan.passed, scan.head
    again = _within_bytes(due[: wanted - len(scan.fresh)], scan.size)
    payloads = await _again(conn, key, state, again)
    answers = _shares(sizes, [(each, r) for each in again if (r := payloads.get(each.message.record_id))], scan.fresh)
    for answer, (repeated, fresh) in zip(taken.answers, answers, strict=True):
        if not repeated and not fresh:
            continue
        state.hand_out(
            [(r.record_id, r.updated_idx) for r in fresh],
            [(each.message, each.idx, each.waiting) for each, _ in repeated],
            now,
        )
        answer += [r for _, r in repeated]
        answer += fresh
    for record_id, idx in scan.behind.items():
        state.pass_newer(state.messages[record_id], idx)
    if state.dead and scan.fresh and not state.settings.every:
        await _supersede(conn, key, state, [record.record_id for record in scan.fresh])
    return scan.position


async def _deliverable(conn: Conn, key: Key, state: State, most: int, now: datetime) -> list[Due]:
    """At most `most` due messages with what is to be handed out for them, oldest first.

    More than those are looked at, so that what is due is counted truly: what is done with is taken away. That is what
    was delivered as often as it may be, is gone, is filtered out by now, or comes again by the position.
    """
    source = source_of(every=state.settings.every)
    found: list[Due] = []
    looked_at = 0
    while walk := list(state.due.values())[len(found) : len(found) + max(most, _LOOKED_AT) - looked_at]:
        looked_at += len(walk)
        standing = await source.due(conn, key.stream_id, state, walk)
        for message in walk:
            due = standing.get(message.record_id)
            if due is None or not due.wanted or due.idx > state.position:
                state.drop(message)
            elif due.spent(state):
                state.bury(message, now)
            else:
                found.append(due)
        state.ripen(now)  # the next event of a record of which one was set aside
    return found[:most]


def _within_bytes(due: Sequence[Due], taken: int) -> list[Due]:
    """As many as fit into an answer beside the bytes that are taken."""
    for count, each in enumerate(due):
        taken += each.size
        if taken > MOST_BYTES:
            return list(due[:count])
    return list(due)


async def _again(conn: Conn, key: Key, state: State, again: Sequence[Due]) -> dict[UUID, Entry]:
    if not again:
        return {}
    entries = await source_of(every=state.settings.every).again(conn, key.stream_id, again)
    return {entry.record_id: entry for entry in entries}


async def _scan(conn: Conn, key: Key, state: State, most: int, left: int) -> _Scan:
    """At most `most` new messages past the position, of at most `left` bytes (one record always fits into an answer).

    Those of which an older version or event is not acked are passed, and told to wait.

    The search goes in windows that grow, so that neither a filter that lets little through nor a stretch of numbers
    that are gone makes one statement long.
    """
    scan = _Scan([], {}, state.position, 0, 0, None)
    if most <= 0:
        return scan
    source = source_of(every=state.settings.every)
    fresh: dict[UUID, Entry] = {}
    size = max(_FIRST_WINDOW, 2 * most)
    for _ in range(_MOST_WINDOWS):
        limit, upper = most - len(fresh), scan.position + size
        window = await source.window(conn, key.stream_id, state, scan.position, upper, limit, left)
        scan.head = window.head
        for entry in window.entries:
            message = state.messages.get(entry.record_id)
            if message is not None:
                state.pass_newer(message, entry.updated_idx)
            if entry.record_id in fresh or (message is not None and state.settings.every):
                scan.behind.setdefault(entry.record_id, entry.updated_idx)
            elif message is None:
                fresh[entry.record_id] = entry
            scan.position = entry.updated_idx
        left -= window.size
        scan.size += window.size
        scan.passed += len(window.entries)
        if window.heavy or len(fresh) >= most:
            break
        if len(window.entries) < limit:  # all of the window was seen
            scan.position = max(scan.position, min(window.head.number, upper))
        if scan.position >= window.head.number:
            break
        size = min(4 * size, _LAST_WINDOW)
    scan.fresh = list(fresh.values())
    return scan


async def _supersede(conn: Conn, key: Key, state: State, ids: Sequence[UUID]) -> None:
    """A newer version of a record that was set aside is delivered as usual and takes its place."""
    for row in await conn.fetch(_FIND_DEAD, key.stream_id, key.consumer_id, ids):
        state.supersede(row["record_id"])


def _shares(
    sizes: Sequence[int], again: list[tuple[Due, Entry]], fresh: list[Entry]
) -> list[tuple[list[tuple[Due, Entry]], list[Entry]]]:
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
