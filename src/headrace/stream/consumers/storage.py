"""A consumer's state in the database: read it, lock it, write what a turn changed."""

import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.db.together import Together
from headrace.errors import NotFound
from headrace.stream.consumers.state import Group, Message, Settings, State
from headrace.stream.filters import Filters

_SQL = load(__package__, "turn.sql")
_BEGIN, _COMMIT, _ROLLBACK = _SQL.begin, _SQL.commit, _SQL.rollback
_UNFLUSHED = _SQL.unflushed
_LOCK = _SQL.lock
_READ_TOKEN_KEY = _SQL.read_token_key
_READ_STATE = _SQL.read_state
_READ_GROUPS = _SQL.read_groups
_INSERT_GROUP = _SQL.insert_group
_REWRITE_GROUP = _SQL.rewrite_group
_DELETE_GROUP = _SQL.delete_group
_INSERT_DEAD_LETTERS = _SQL.insert_dead_letters
_SUPERSEDE = _SQL.supersede_dead_letter
_APPEND_POSITION = _SQL.append_position

_TURN = Together(
    "headrace_turn",
    {
        "lock": _LOCK,
        "still_last": _SQL.still_last,
        "insert_group": _INSERT_GROUP,
        "rewrite_group": _REWRITE_GROUP,
        "delete_group": _DELETE_GROUP,
        "supersede": _SUPERSEDE,
        "append_position": _APPEND_POSITION,
    },
)

_LITTLE = 100  # messages; a limit of 5 000 had 0.92 of the rate at batch 1 000


class Overtaken(Exception):
    """Another process has taken a turn, or the consumer was deleted: what was to be committed was not."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which consumer."""

    stream_id: UUID
    consumer_id: UUID


@asynccontextmanager
async def locked(conn: Conn, key: Key, known: State | None, *, flushed: bool) -> AsyncIterator[State]:
    """A transaction under the consumer's lock, with the state in force: `known` where that still is it.

    End it with `commit`; left without, it is rolled back, and the state is not to be used again. What is committed is
    on the disk at once when `flushed`, else only after a `Flush`. Raises NotFound when the consumer was deleted.
    """
    try:
        await _TURN.run(conn, [_BEGIN, *_unflushed(flushed=flushed), _TURN.call("lock", *_who(key))])
        yield await look(conn, key, known)
    finally:
        if conn.is_in_transaction():
            await conn.execute(_ROLLBACK)


async def commit(conn: Conn, key: Key, state: State, position: int, now: datetime) -> None:
    """Write what a turn under the lock changed, with the position, and commit: where that is little, in one trip."""
    if not state.changed and position == state.position:
        await conn.execute(_COMMIT)
        return
    calls = _small(key, state)
    if calls is None:
        calls = []
        await _write_changes(conn, key, state, now)
    mark = new_mark()
    await _TURN.run(conn, [*calls, _ended(key, state, position, mark), _COMMIT])
    state.written(position, mark)


async def commit_if_last(conn: Conn, key: Key, state: State, position: int, now: datetime, *, flushed: bool) -> None:
    """The same for a state that was changed without the lock, which is taken now: in one trip with what is written.

    Raises Overtaken, with nothing done, when the state was not the last any more.
    """
    check = _TURN.call("still_last", *_who(key), state.settings.generation, state.seq, state.mark)
    begun = [*_unflushed(flushed=flushed), _TURN.call("lock", *_who(key)), check]
    try:
        if not state.changed and position == state.position:
            await _TURN.run(conn, [check])
        elif (calls := _small(key, state)) is not None:
            mark = new_mark()
            await _TURN.run(conn, [*begun, *calls, _ended(key, state, position, mark)])
            state.written(position, mark)
        else:
            await _TURN.run(conn, [_BEGIN, *begun])
            await commit(conn, key, state, position, now)
    except asyncpg.DivisionByZeroError:
        raise Overtaken from None
    finally:
        if conn.is_in_transaction():
            await conn.execute(_ROLLBACK)


async def lock(conn: Conn, key: Key) -> State:
    """The state in force, locked until the end of the caller's transaction. Raises NotFound."""
    await conn.execute(_LOCK, *_who(key))
    return await look(conn, key, None)


async def look(conn: Conn, key: Key, known: State | None) -> State:
    """The state in force, or `known` where that still is it. Without the lock `conn` must be in a transaction that
    reads one snapshot. Raises NotFound."""
    row = await conn.fetchrow(_READ_STATE, *_who(key))
    if row is None:
        raise _gone(key)
    settings = _settings(row)
    if known is not None and known.settings == settings and (known.seq, known.mark) == (row["seq"], row["mark"]):
        return known
    rows = await conn.fetch(_READ_GROUPS, *_who(key), row["low_group"])
    return State(settings, row["seq"], row["mark"], row["position"], row["dead"], map(_group, rows))


async def token_key(conn: Conn, key: Key) -> bytes:
    """Raises NotFound when the consumer was deleted."""
    held = await conn.fetchval(_READ_TOKEN_KEY, *_who(key))
    if held is None:
        raise _gone(key)
    return bytes(held)


async def write(conn: Conn, key: Key, state: State, now: datetime) -> None:
    """Write what was changed in the caller's transaction; the position stays where it is."""
    await _write_changes(conn, key, state, now)
    await conn.execute(_APPEND_POSITION, *_place(key, state, state.position, new_mark()))


def new_mark() -> int:
    """Tells a turn from another of its number, of which a crash took one."""
    return secrets.randbits(62)


def _ended(key: Key, state: State, position: int, mark: int) -> str:
    return _TURN.call("append_position", *_place(key, state, position, mark))


def _unflushed(*, flushed: bool) -> list[str]:
    return [] if flushed else [_UNFLUSHED]


def _who(key: Key) -> tuple[UUID, UUID]:
    return key.stream_id, key.consumer_id


def _place(key: Key, state: State, position: int, mark: int) -> tuple[UUID, UUID, int, int, int, int, int, int]:
    generation = state.settings.generation
    return key.stream_id, key.consumer_id, generation, state.turn, position, state.low_group, state.dead, mark


def _small(key: Key, state: State) -> list[str] | None:
    """What the turn changed, as text; None where it is more than a little."""
    written = [*state.new.values(), *state.touched.values()]
    if state.dead_letters or len(state.dropped) + sum(len(group.messages) for group in written) > _LITTLE:
        return None
    who, call = _who(key), _TURN.call
    calls = [
        call("insert_group", *who, each.group_id, each.turn, each.handed_out, each.due_at, *_arrays(each))
        for each in state.new.values()
    ]
    calls += [call("rewrite_group", *who, each.group_id, *_arrays(each)) for each in state.touched.values()]
    calls += [call("delete_group", *who, group_id) for group_id in state.dropped]
    calls += [call("supersede", *who, record_id) for record_id in state.superseded]
    return calls


async def _write_changes(conn: Conn, key: Key, state: State, now: datetime) -> None:
    who = _who(key)
    if state.new:
        await conn.executemany(
            _INSERT_GROUP,
            [
                (*who, group.group_id, group.turn, group.handed_out, group.due_at, *_arrays(group))
                for group in state.new.values()
            ],
        )
    if state.touched:
        await conn.executemany(
            _REWRITE_GROUP, [(*who, each.group_id, *_arrays(each)) for each in state.touched.values()]
        )
    if state.dropped:
        await conn.executemany(_DELETE_GROUP, [(*who, group_id) for group_id in state.dropped])
    if state.superseded:
        await conn.executemany(_SUPERSEDE, [(*who, record_id) for record_id in state.superseded])
    if state.dead_letters:
        letters = [(each.record_id, each.idx, each.deliveries, each.reason) for each in state.dead_letters]
        await conn.execute(_INSERT_DEAD_LETTERS, *who, *map(list, zip(*letters, strict=True)), now)


def _settings(row: Any) -> Settings:
    return Settings(
        row["generation"],
        timedelta(milliseconds=row["ack_wait_ms"]),
        row["max_deliver"],
        row["max_ack_pending"],
        Filters.of(orjson.loads(row["filters"])),
        row["kind"] == "events",
    )


def _group(row: Any) -> Group:
    group = Group(row["group_id"], row["turn"], row["handed_out"], row["due_at"])
    ids, some = row["record_ids"], len(row["record_ids"])
    columns: Iterable[tuple[UUID, int, int, int, int]] = zip(
        ids,
        row["idxs"],
        row["counts"] or [1] * some,
        row["nacks"] or [0] * some,
        row["waiting"] or [0] * some,
        strict=True,
    )
    group.messages = {each[0]: Message(*each, group) for each in columns}
    return group


def _arrays(group: Group) -> tuple[Any, ...]:
    messages = group.messages.values()
    counts, nacks, waiting = zip(*((each.count, each.nacks, each.waiting) for each in messages), strict=True)
    return (
        list(group.messages),
        [each.idx for each in messages],
        counts if any(count != 1 for count in counts) else None,
        nacks if any(nacks) else None,
        waiting if any(waiting) else None,
    )


def _gone(key: Key) -> NotFound:
    return NotFound(f"There is no consumer {key.consumer_id}. List those there are with GET /v1/http-consumers.")
