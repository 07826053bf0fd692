"""A consumer's state in the database: read it, lock it, write what a turn changed."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from headrace.db.pool import Conn
from headrace.db.queries import inline, load
from headrace.errors import NotFound
from headrace.stream.consumers.state import Group, Message, Settings, State
from headrace.stream.filters import Filters

_SQL = load(__package__, "turn.sql")
_BEGIN = _SQL.begin
_BEGIN_UNFLUSHED = _SQL.begin_unflushed
_LOCK_KNOWN = _SQL.lock_known
_END_TURN = _SQL.end_turn
_LOCK_CONSUMER = _SQL.lock_consumer
_READ_CONSUMER = _SQL.read_consumer
_READ_POSITION = _SQL.read_position
_READ_GROUPS = _SQL.read_groups
_INSERT_GROUP = _SQL.insert_group
_REWRITE_GROUP = _SQL.rewrite_group
_DELETE_GROUP = _SQL.delete_group
_INSERT_DEAD_LETTERS = _SQL.insert_dead_letters
_APPEND_POSITION = _SQL.append_position

_LITTLE = 100  # messages


@dataclass(frozen=True, slots=True)
class Key:
    """Which consumer."""

    stream_id: UUID
    consumer_id: UUID


@asynccontextmanager
async def turn(conn: Conn, key: Key, known: State | None, *, flushed: bool) -> AsyncIterator[State]:
    """A transaction under the consumer's lock, with the state in force: `known` where that still is it.

    End it with `commit`; left without, it is rolled back. What is committed is on the disk at once when `flushed`, else
    only after a `Flush`. Raises NotFound when the consumer was deleted.
    """
    begin = _BEGIN if flushed else _BEGIN_UNFLUSHED
    try:
        if known is not None:
            place = (known.settings.generation, known.seq)
            found = await conn.execute(f"{begin};\n{inline(_LOCK_KNOWN, key.stream_id, key.consumer_id, *place)}")
        if known is not None and found == "SELECT 1":
            yield known
        else:
            if known is None:
                await conn.execute(begin)
            yield await lock(conn, key)
    finally:
        if conn.is_in_transaction():
            await conn.execute("rollback")


async def commit(conn: Conn, key: Key, state: State, position: int, now: datetime) -> None:
    """Write what the turn changed, with the position, and commit: where that is little, in one trip."""
    statements = _small(key, state)
    if statements is None:
        statements = []
        await _write_changes(conn, key, state, now)
    statements.append(inline(_END_TURN, *_place(key, state, position)))
    await conn.execute(";\n".join(statements))
    state.written(position)


async def lock(conn: Conn, key: Key) -> State:
    """The state in force, locked until the end of the caller's transaction. Raises NotFound."""
    return await _state(conn, key, await conn.fetchrow(_LOCK_CONSUMER, key.stream_id, key.consumer_id), None)


async def look(conn: Conn, key: Key, known: State | None) -> State:
    """The same without a lock, for a look; `conn` must be in a transaction that reads one snapshot."""
    row = await conn.fetchrow(_READ_CONSUMER, key.stream_id, key.consumer_id)
    return await _state(conn, key, row, known)


async def token_key(conn: Conn, key: Key) -> bytes:
    """Raises NotFound when the consumer was deleted."""
    row = await conn.fetchrow(_READ_CONSUMER, key.stream_id, key.consumer_id)
    if row is None:
        raise _gone(key)
    return bytes(row["token_key"])


async def write(conn: Conn, key: Key, state: State, now: datetime) -> None:
    """Write what was changed in the caller's transaction; the position stays where it is."""
    await _write_changes(conn, key, state, now)
    await conn.execute(_APPEND_POSITION, *_place(key, state, state.position))


def _place(key: Key, state: State, position: int) -> tuple[UUID, UUID, int, int, int, int, int]:
    generation = state.settings.generation
    return key.stream_id, key.consumer_id, generation, state.turn, position, state.low_group, state.dead


def _small(key: Key, state: State) -> list[str] | None:
    """What the turn changed, as text; None where it is so much that the trips saved are worth less than the text."""
    written = [*state.new.values(), *state.touched.values()]
    if state.dead_letters or len(state.dropped) + sum(len(group.messages) for group in written) > _LITTLE:
        return None
    who = (key.stream_id, key.consumer_id)
    statements = [
        inline(_INSERT_GROUP, *who, each.group_id, each.turn, each.handed_out, each.due_at, *_arrays(each))
        for each in state.new.values()
    ]
    statements += [inline(_REWRITE_GROUP, *who, each.group_id, *_arrays(each)) for each in state.touched.values()]
    statements += [inline(_DELETE_GROUP, *who, group_id) for group_id in state.dropped]
    return statements


async def _write_changes(conn: Conn, key: Key, state: State, now: datetime) -> None:
    who = (key.stream_id, key.consumer_id)
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
    if state.dead_letters:
        letters = [(each.record_id, each.idx, each.deliveries, each.reason) for each in state.dead_letters]
        await conn.execute(_INSERT_DEAD_LETTERS, *who, *map(list, zip(*letters, strict=True)), now)


async def _state(conn: Conn, key: Key, row: Any, known: State | None) -> State:
    if row is None:
        raise _gone(key)
    settings = _settings(row)
    place = await conn.fetchrow(_READ_POSITION, key.stream_id, key.consumer_id, settings.generation)
    assert place is not None, "a consumer is made with a position"
    if known is not None and known.settings == settings and known.seq == place["seq"]:
        return known
    rows = await conn.fetch(_READ_GROUPS, key.stream_id, key.consumer_id, place["low_group"])
    return State(settings, place["seq"], place["position"], place["dead"], map(_group, rows))


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
