"""Making, changing and ending consumers, and their dead letters. Each function runs in the caller's transaction."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import orjson

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.errors import NotFound
from headrace.stream.consumers import pending, storage
from headrace.stream.consumers.source import Entry, Source, source_of
from headrace.stream.consumers.state import State
from headrace.stream.consumers.storage import Key
from headrace.stream.events.reading import StoredEvent

_SQL = load(__package__, "lifecycle.sql")
_TURN = load(__package__, "turn.sql")
_INSERT_CONSUMER = _SQL.insert_consumer
_UPDATE_SETTINGS = _SQL.update_settings
_NEXT_GENERATION = _SQL.next_generation
_DELETE_DELIVERIES = _SQL.delete_deliveries
_DELETE_DEAD_LETTERS = _SQL.delete_dead_letters
_DELETE_CONSUMER = (
    _SQL.delete_consumer,
    _SQL.delete_deliveries,
    _SQL.delete_positions,
    _SQL.delete_dead_letters,
    _SQL.delete_losses,
)
_PLACE_NEW = _SQL.place_new
_PLACE_SINCE = _SQL.place_since
_COUNT_DEAD = _SQL.count_dead
_COUNT_LOST = _SQL.count_lost
_DELETE_LOSSES = _SQL.delete_losses
_APPEND_POSITION = _TURN.append_position

DeliverPolicy = Literal["all", "new", "last", "1h"]
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """`filters` maps provider, sync_id and collection_id to "*", a value, or a list of values."""

    kind: str
    ack_wait_ms: int
    max_deliver: int
    max_ack_pending: int
    filters: Mapping[str, Any]

    @property
    def source(self) -> Source:
        return source_of(every=self.kind == "events")


@dataclass(frozen=True, slots=True)
class Counts:
    """`num_pending` is exact up to 10 000, and at least that where it is more. `num_lost` is for consumers of events,
    which may miss some; nothing is lost to a consumer of records."""

    num_pending: int
    num_ack_pending: int
    num_dead: int
    num_lost: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message set aside: the record as it stands now, and the version (`idx`) that was set aside; or the event."""

    entry: Entry
    idx: int
    deliveries: int
    reason: str | None
    dead_at: datetime

    @property
    def place(self) -> UUID:
        """Where it stands in the list: what to give as `after` to go on behind it."""
        return UUID(int=self.idx) if isinstance(self.entry, StoredEvent) else self.entry.record_id


async def create_consumer(
    conn: Conn,
    stream_id: UUID,
    consumer_id: UUID,
    org_id: UUID,
    settings: ConsumerSettings,
    deliver_policy: DeliverPolicy,
    now: datetime,
) -> None:
    """A consumer that stands where its policy says: `all` at the start, `new` at the end, `last` just before the last
    record, `1h` just before the first record appended within the last hour."""
    key = os.urandom(32)
    await conn.execute(_INSERT_CONSUMER, stream_id, consumer_id, org_id, settings.kind, key, *_values(settings))
    position = await _place(conn, settings.source, stream_id, deliver_policy, now)
    await conn.execute(_APPEND_POSITION, stream_id, consumer_id, 1, 1, position, 0, 0, storage.new_mark())


async def alter_consumer(
    conn: Conn,
    stream_id: UUID,
    consumer_id: UUID,
    settings: ConsumerSettings,
    deliver_policy: DeliverPolicy | None,
    now: datetime,
) -> None:
    """New settings, in force from the next delivery on; with a policy the consumer is moved too, as `reset` does.

    Another kind needs a policy: what was out and set aside of the old kind is given up. Raises NotFound.
    """
    key = Key(stream_id, consumer_id)
    if (await storage.lock(conn, key)).settings.every != (settings.kind == "events"):
        await conn.execute(_DELETE_DEAD_LETTERS, stream_id, consumer_id)
    if not await conn.fetchval(_UPDATE_SETTINGS, stream_id, consumer_id, settings.kind, *_values(settings)):
        raise NotFound(f"There is no consumer {consumer_id}. List those there are with GET /v1/http-consumers.")
    if deliver_policy is not None:
        await reset(conn, stream_id, consumer_id, deliver_policy, now)
        return
    # A turn of its own, so that no process goes on with the settings that it knows.
    await storage.write(conn, key, await storage.lock(conn, key), now)


async def reset(conn: Conn, stream_id: UUID, consumer_id: UUID, deliver_policy: DeliverPolicy, now: datetime) -> None:
    """Move the consumer to where the policy says. Tokens that are out are void; dead letters stay; losses are counted
    anew. Raises NotFound."""
    key = Key(stream_id, consumer_id)
    state = await storage.lock(conn, key)
    position = await _place(conn, source_of(every=state.settings.every), stream_id, deliver_policy, now)
    generation = await conn.fetchval(_NEXT_GENERATION, stream_id, consumer_id)
    await conn.execute(_DELETE_DELIVERIES, stream_id, consumer_id)
    await conn.execute(_DELETE_LOSSES, stream_id, consumer_id)
    place = (generation, state.turn, position, 0, state.dead, storage.new_mark())
    await conn.execute(_APPEND_POSITION, stream_id, consumer_id, *place)


async def delete_consumer(conn: Conn, stream_id: UUID, consumer_id: UUID) -> None:
    """End the consumer with its position, what is out, and its dead letters. One that is not there is no error."""
    for statement in _DELETE_CONSUMER:
        await conn.execute(statement, stream_id, consumer_id)


async def counts(conn: Conn, stream_id: UUID, consumer_id: UUID, now: datetime) -> Counts:
    """What waits, what is out, what was set aside. Raises NotFound."""
    key = Key(stream_id, consumer_id)
    state = await _look(conn, key)
    waiting = await pending.count(conn, key, state, now)
    dead = await conn.fetchval(_COUNT_DEAD, stream_id, consumer_id)
    lost = await conn.fetchval(_COUNT_LOST, stream_id, consumer_id) if state.settings.every else 0
    return Counts(waiting.num_pending, waiting.out, int(dead), int(lost))


async def dead_letters(
    conn: Conn, stream_id: UUID, consumer_id: UUID, limit: int, after: UUID | None = None
) -> list[DeadLetter]:
    """Messages set aside, past the `place` of another (records by id, events by number); those whose record is gone are
    not among them. Raises NotFound."""
    state = await _look(conn, Key(stream_id, consumer_id))
    found = await source_of(every=state.settings.every).dead(conn, stream_id, consumer_id, after, limit)
    return [DeadLetter(entry, *said) for said, entry in found]


async def replay(
    conn: Conn, stream_id: UUID, consumer_id: UUID, now: datetime, record_ids: Sequence[UUID] | None = None
) -> int:
    """Let messages set aside (None: all of them) be delivered again, in their newest version; returns how many.

    Of several events of one record only the oldest, and none while another event of the record is not acked. Raises
    NotFound. Tell `Wakeups.appended` after the commit.
    """
    key = Key(stream_id, consumer_id)
    state = await storage.lock(conn, key)
    source = source_of(every=state.settings.every)
    taken = await source.take_dead(conn, stream_id, consumer_id, state, record_ids)
    if taken:
        state.replay(sorted(taken, key=lambda each: each[1]), now)
        await storage.write(conn, key, state, now)
    return len(taken)


async def _look(conn: Conn, key: Key) -> State:
    return await storage.look(conn, key, None)


def _values(settings: ConsumerSettings) -> tuple[int, int, int, str]:
    filters = orjson.dumps(settings.filters).decode()
    return settings.ack_wait_ms, settings.max_deliver, settings.max_ack_pending, filters


async def _place(conn: Conn, source: Source, stream_id: UUID, policy: DeliverPolicy, now: datetime) -> int:
    if policy == "all":
        return 0
    head = int(await conn.fetchval(_PLACE_NEW, stream_id) or 0)
    if policy == "last":
        last = await conn.fetchval(source.place_last, stream_id)
        return head if last is None else int(last)
    if policy == "1h":
        return int(await conn.fetchval(_PLACE_SINCE, stream_id, now - _HOUR) or 0)
    return head
