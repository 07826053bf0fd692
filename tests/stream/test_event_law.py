"""Consumers of events, against a model in memory: each event of each record comes, in order, one at a time, and tells
what happened."""

from dataclasses import dataclass
from random import Random
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stream_consumer import Consumer, Process
from stream_log import OnDatabase, delete, new_log, record
from test_consumer_law import MovedClock

from headrace.db.pool import Database
from headrace.stream import lifecycle
from headrace.stream.events import reading

IDS = ["a", "b", "c"]
ACK_WAIT_S = 30.0

WEIGHTS = {"append": 4, "delete": 1, "next": 5, "ack": 4, "nack": 2, "pass time": 2}


def steps_of(chance: Random, number: int) -> list[tuple[str, Any]]:
    given_ = {
        "append": lambda: chance.sample(IDS, chance.randint(1, 3)),
        "delete": lambda: chance.choice(IDS),
        "next": lambda: chance.randint(1, 4),
        "pass time": lambda: 31.0,
    }
    names = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=number)
    return [(name, given_.get(name, lambda: chance.randint(0, 2))()) for name in names]


@dataclass
class Token:
    token: str
    id: str
    event: int
    over: bool = False
    """The event was delivered again since, or acked."""


class Model:
    """By record: the events that are not acked, the first of which may be out; until when it is."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, Any, Any]] = []
        self.living: dict[str, Any] = {}
        self.waiting: dict[str, list[int]] = {id_: [] for id_ in IDS}
        self.due: dict[str, float] = {}
        self.tokens: list[Token] = []

    def append(self, id_: str, content: Any) -> None:
        old = self.living.get(id_)
        event = ("created", {}) if old is None else ("updated", {"content": old})
        self.living[id_] = content
        self._tell(event[0], id_, event[1], content)

    def delete(self, id_: str) -> None:
        if (old := self.living.pop(id_, None)) is not None:
            self._tell("deleted", id_, {}, old)

    def _tell(self, event: str, id_: str, changes: Any, content: Any) -> None:
        self.waiting[id_].append(len(self.told))
        self.told.append((event, id_, changes, content))

    def deliverable(self, now: float) -> set[str]:
        return {id_ for id_, events in self.waiting.items() if events and self.due.get(id_, now) <= now}


def shown(event: Any) -> tuple[str, str, Any, Any]:
    content = orjson.loads(event.data)["content"]
    return event.event, event.upstream_id, orjson.loads(event.changes), content


async def receive(model: Model, hand: Consumer, now: float, size: int) -> None:
    may = model.deliverable(now)
    delivered = await hand.next(size)
    assert len(delivered.messages) == min(size, len(may))
    for token, event in delivered.messages:
        id_ = event.upstream_id
        assert id_ in may, "out, or acked"
        may.discard(id_)
        first = model.waiting[id_][0]
        assert shown(event) == model.told[first], "not the next of its record"
        model.due[id_] = now + ACK_WAIT_S
        for earlier in model.tokens:
            earlier.over |= earlier.id == id_
        model.tokens.append(Token(token, id_, first))
    assert delivered.num_pending == len(model.deliverable(now))


async def settle(model: Model, hand: Consumer, what: str, number: int, now: float) -> None:
    if not model.tokens:
        return
    given = model.tokens.pop(-1 - number % len(model.tokens))
    await (hand.ack if what == "ack" else hand.nack)(given.token)
    if given.over:
        return
    if what == "ack":
        assert model.waiting[given.id].pop(0) == given.event
        del model.due[given.id]
    else:
        # The third nack of an event waits; what matters here is that none is lost.
        model.due[given.id] = now
        if (await hand.counts()).num_pending != len(model.deliverable(now)):
            model.due[given.id] = now + ACK_WAIT_S


async def play(db: Database, steps: list[tuple[str, Any]]) -> None:
    log = await new_log(db)
    async with db.transaction() as conn:
        await lifecycle.keep_events(conn, log.stream_id, 7)
    processes = [await Process.start(log) for _ in range(2)]
    consumer = await processes[0].consumer(log, kind="events", ack_wait_ms=int(ACK_WAIT_S * 1000))
    hands = [consumer, consumer.elsewhere(processes[1].dispatcher)]
    real, clock = db.clock, MovedClock(db.clock)
    db.clock = clock  # type: ignore[assignment]
    model = Model()
    try:
        for number, (what, given_) in enumerate(steps):
            hand = hands[number % 2]
            if what == "append":
                await log.append(*(record(id_, number) for id_ in given_))
                for id_ in given_:
                    model.append(id_, number)
            elif what == "delete":
                await log.append(delete(given_, number))
                model.delete(given_)
            elif what == "next":
                await receive(model, hand, clock.passed, given_)
            elif what == "pass time":
                clock.passed += given_
            else:
                await settle(model, hand, what, given_, clock.passed)
        async with db.api.acquire() as conn:
            held = await reading.read_after(conn, log.stream_id, 0, 1000)
        assert sorted(map(repr, map(shown, held))) == sorted(map(repr, model.told))
        for _ in range(len(model.told) + 1):
            clock.passed += 2 * ACK_WAIT_S
            await receive(model, consumer, clock.passed, 10)
            for _ in range(len(model.tokens)):
                await settle(model, consumer, "ack", 0, clock.passed)
        assert not any(model.waiting.values())
        assert (await consumer.counts()).num_pending == 0
    finally:
        db.clock = real
        for process in processes:
            await process.stop()


@settings(
    max_examples=25, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(seed=st.integers(0, 2**32), number=st.integers(20, 50))
def test_every_event_comes_in_its_order_whatever_happens(on_db: OnDatabase, seed: int, number: int) -> None:
    on_db(lambda db: play(db, steps_of(Random(seed), number)))
