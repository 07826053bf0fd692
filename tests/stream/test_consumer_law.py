"""The laws of consumers, against a model in memory, by two processes on one consumer, step by step.

Never two deliveries of a record at a time; never an older version after a newer one; nothing acked comes again unless
it changed; everything comes at last; the counts are true; `max_ack_pending` holds; a reset voids tokens; a purge takes
messages away; a filter holds from the next delivery on.
"""

import contextlib
import functools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stream_consumer import Consumer, Process
from stream_log import THINGS, OnDatabase, delete, new_log, record

from headrace.db.pool import Database
from headrace.stream import retention

OTHERS = "test:other"
IDS = ["r0", "r1", "r2", "o0", "o1"]
"""The last two are of another collection."""
ROOM = 4
MOST = 3  # deliveries
ACK_WAIT_S = 30.0

SETTINGS = {"max_deliver": MOST, "ack_wait_ms": int(ACK_WAIT_S * 1000)}

WEIGHTS = {
    "append": 4,
    "delete": 1,
    "next": 6,
    "ack": 4,
    "nack": 4,
    "nack later": 1,
    "extend": 2,
    "term": 1,
    "pass time": 3,
    "replay": 1,
    "purge": 0.5,
    "reset": 0.5,
    "filter": 0.5,
    "room": 0.5,
}


def steps_of(chance: Random, number: int) -> list[tuple[str, Any]]:
    """So many steps. Drawn by weight and not by hypothesis, whose lists repeat what they hold: in most of its plays
    nothing had been delivered that could be acked. Number k of an ack and its like is the delivery k before the last:
    the last ones are the ones that matter."""
    given_: dict[str, Callable[[], Any]] = {
        "append": lambda: chance.sample(IDS, chance.randint(1, 3)),
        "delete": lambda: chance.choice(IDS),
        "next": lambda: chance.randint(1, 5),
        "pass time": lambda: chance.choice([5.0, 20.0, 31.0]),
        "purge": lambda: (chance.choice([None, THINGS, OTHERS]), chance.random() < 0.5),
        "reset": lambda: chance.choice(["all", "new"]),
        "filter": lambda: chance.choice(["*", THINGS]),
        "room": lambda: chance.choice([1, 2, ROOM]),
    }
    names = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=number)
    return [(name, given_.get(name, lambda: chance.randint(0, 3))()) for name in names]


class MovedClock:
    """The database's clock, moved by hand: moments are parameters, so nothing needs to be waited for."""

    def __init__(self, clock: Any) -> None:
        self._start = clock.now()
        self.passed = 0.0

    def now(self) -> Any:
        return self._start + timedelta(seconds=self.passed)


@dataclass
class Out:
    """A delivery, as the model knows it."""

    id: str
    idx: int
    count: int
    token: str
    due: float
    nacks: int = 0
    with_worker: bool = True
    over: bool = False
    """Acked, or delivered again: its token has no effect."""


@dataclass
class Model:
    newest: dict[str, int] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    """The version of each record that was last delivered and not voided."""
    out: dict[str, Out] = field(default_factory=dict)
    dead: dict[str, int] = field(default_factory=dict)
    replayed: set[str] = field(default_factory=set)
    past: list[Out] = field(default_factory=list)
    filtered: bool = False
    room: int = ROOM
    passed: set[str] = field(default_factory=set)
    """Records that were not wanted at some receive: whether the position has passed them is left open."""

    def deliverable(self, now: float) -> set[str]:
        fresh = {id_ for id_, idx in self.newest.items() if id_ not in self.out and self.taken.get(id_, 0) < idx}
        due = {id_ for id_, out in self.out.items() if out.due <= now and not self.exhausted(out)}
        return {id_ for id_ in fresh | due | self.replayed if id_ in self.newest and self.wants(id_)}

    def wants(self, id_: str) -> bool:
        return not (self.filtered and id_.startswith("o"))

    def void(self) -> None:
        """Every delivery that is out is over."""
        for out in self.out.values():
            out.over = True
        self.out.clear()
        self.replayed.clear()
        self.passed.clear()

    def exhausted(self, out: Out) -> bool:
        return out.count >= MOST and self.newest.get(out.id) == out.idx

    def settings(self) -> dict[str, Any]:
        wanted = THINGS if self.filtered else "*"
        filters = {"provider": "*", "sync_id": "*", "collection_id": wanted}
        return {**SETTINGS, "max_ack_pending": self.room, "filters": filters}


async def play(db: Database, steps: list[tuple[str, Any]]) -> None:
    log = await new_log(db)
    clock = MovedClock(db.clock)
    processes = [await Process.start(log) for _ in range(2)]
    model = Model()
    consumer = await processes[0].consumer(log, **model.settings())
    hands = [consumer, consumer.elsewhere(processes[1].dispatcher)]
    real, db.clock = db.clock, clock  # type: ignore[assignment]
    try:
        for number, (what, given_) in enumerate(steps):
            hand = hands[number % 2]
            await act(model, hand, clock, what, given_, number)
        await drain(model, hands, clock)
    finally:
        db.clock = real
        for process in processes:
            await process.stop()


async def act(model: Model, hand: Consumer, clock: MovedClock, what: str, given_: Any, number: int) -> None:
    log, now = hand.log, clock.passed
    if what == "append":
        await log.append(*(record(id_, number, collection=collection(id_)) for id_ in given_))
        model.passed -= set(given_)
        await note_numbers(model, hand)
    elif what == "delete":
        if given_ in model.newest:
            await log.append(delete(given_, number, collection=collection(given_)))
            model.passed.discard(given_)
            await note_numbers(model, hand)
    elif what == "next":
        await receive(model, hand, clock, given_)
    elif what == "pass time":
        clock.passed += given_
    elif what == "replay":
        await hand.replay()
        model.replayed |= {id_ for id_ in model.dead if id_ not in model.out}
        model.dead.clear()
    elif what == "purge":
        await purge(model, hand, *given_)
    elif what == "reset":
        await hand.reset(given_)
        model.void()
        model.taken = dict(model.newest) if given_ == "new" else {}
    elif what == "filter":
        model.filtered = given_ != "*"
        await hand.alter(**model.settings())
    elif what == "room":
        model.room = given_
        await hand.alter(**model.settings())
    elif model.past:
        chosen = model.past[-1 - given_ % len(model.past)]
        if what != "ack" and chosen.due <= now and model.newest.get(chosen.id, chosen.idx + 1) > chosen.idx:
            return  # whether it still stands, when the newer version may come at any call, is left open
        settle(model, chosen, what, now)
        token = chosen.token
        calls = {"ack": hand.ack, "nack": hand.nack, "extend": hand.extend, "term": hand.term}
        if what == "nack later":
            await hand.nack(token, delay_ms=10_000)
        else:
            await calls[what](token)


def collection(id_: str) -> str:
    return THINGS if id_.startswith("r") else OTHERS


async def purge(model: Model, hand: Consumer, of: str | None, rows: bool) -> None:
    """All records, or those of one collection, go at once for every reader; their rows with `rows` too, else later."""
    await hand.log.purge(of)
    while rows and await retention.purge_chunk(hand.log.db, hand.log.stream_id):
        pass
    for id_ in IDS:
        if of in (None, collection(id_)):
            for known in (model.newest, model.taken, model.dead):
                known.pop(id_, None)
            model.replayed.discard(id_)
            model.passed.discard(id_)


async def note_numbers(model: Model, hand: Consumer) -> None:
    for each in await hand.log.read():
        model.newest[each.upstream_id] = each.updated_idx


def settle(model: Model, out: Out, what: str, now: float) -> None:
    if out.over:
        return
    if what == "ack":
        out.over = True
        del model.out[out.id]
    elif what == "term" and model.newest.get(out.id) == out.idx:
        bury(model, out)
    elif what == "term":
        out.over = True  # what is gone is not set aside, nor what a newer version takes the place of
        del model.out[out.id]
    elif not out.with_worker:
        return
    elif what == "extend":
        out.due = now + ACK_WAIT_S
    elif out.count >= MOST and out.id not in model.newest:
        out.over = True
        del model.out[out.id]
    elif model.exhausted(out):
        bury(model, out)
    elif what == "nack later":
        out.due, out.with_worker = now + 10, False
    else:
        out.nacks += 1
        out.due, out.with_worker = now + (0 if out.nacks < 3 else 2.0 ** (out.nacks - 3)), False


def bury(model: Model, out: Out) -> None:
    out.over = True
    model.dead[out.id] = out.idx
    del model.out[out.id]


async def receive(model: Model, hand: Consumer, clock: MovedClock, size: int) -> None:
    now = clock.passed
    before = model.deliverable(now)
    delivered = await hand.next(size)
    for out in [out for out in model.out.values() if out.due <= now]:
        if model.exhausted(out) and model.wants(out.id):
            bury(model, out)  # found out by the call that might have delivered it again
        elif out.id not in model.newest or not model.wants(out.id):
            out.over = True
            del model.out[out.id]
    model.passed |= {id_ for id_ in model.newest if not model.wants(id_)}
    given_ids = [r.upstream_id for _, r in delivered.messages]
    assert len(set(given_ids)) == len(given_ids)
    assert set(given_ids) <= before
    for token, r in delivered.messages:
        deliver(model, token, r, now)
    assert set(await hand.dead()) == model.dead.keys() & model.newest.keys()
    out_now = sum(out.due > now for out in model.out.values())
    assert out_now <= model.room or not given_ids
    left = model.deliverable(now)
    sure = left - model.passed
    assert (delivered.num_pending > 0) or not sure, (delivered.num_pending, left)
    assert len(sure) <= delivered.num_pending <= len(left), (delivered.num_pending, left, model.passed)
    if len(given_ids) < size and sure:
        assert len(model.out) + len(model.replayed) >= model.room, "there was room"
        assert out_now >= model.room or sure <= set(model.newest) - set(model.out) - model.replayed, (
            "what was due had room"
        )


def deliver(model: Model, token: str, r: Any, now: float) -> None:
    id_ = r.upstream_id
    old = model.out.get(id_)
    assert old is None or old.due <= now, "out with another"
    assert r.updated_idx == model.newest[id_], "not the newest"
    again = old is not None and old.idx == r.updated_idx
    new = Out(id_, r.updated_idx, 1, token, now + ACK_WAIT_S)
    if old is not None:
        old.over = True
        if again:
            new.count, new.nacks = old.count + 1, old.nacks
    assert new.count <= MOST
    model.out[id_] = new
    model.past.append(new)
    model.taken[id_] = new.idx
    model.dead.pop(id_, None)
    model.replayed.discard(id_)
    model.passed.discard(id_)


async def drain(model: Model, hands: list[Consumer], clock: MovedClock) -> None:
    """At last everything comes in its newest version, what was not acked too, or was set aside."""
    for turn in range(60):
        clock.passed += 2 * ACK_WAIT_S
        seen = len(model.past)
        await receive(model, hands[turn % 2], clock, 100)
        if seen == len(model.past) and not model.out:
            break
        for out in model.past[seen:]:
            settle(model, out, "ack", clock.passed)
            await hands[(turn + 1) % 2].ack(out.token)
    assert model.deliverable(clock.passed) <= model.passed
    counts = await hands[0].counts()
    assert (counts.num_pending, counts.num_ack_pending) == (0, 0)


@settings(
    max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(seed=st.integers(0, 2**32), number=st.integers(20, 60))
def test_two_processes_keep_the_laws_whatever_happens(on_db: OnDatabase, seed: int, number: int) -> None:
    on_db(lambda db: play(db, steps_of(Random(seed), number)))


@pytest.mark.soak
def test_the_laws_hold_in_plays_drawn_anew(on_db: OnDatabase) -> None:
    for _ in range(500):
        seed = secrets.randbelow(2**32)
        steps = steps_of(Random(seed), 20 + seed % 60)
        with noted(f"seed {seed}"):
            on_db(functools.partial(play, steps=steps))


@contextlib.contextmanager
def noted(what: str) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        error.add_note(what)
        raise
