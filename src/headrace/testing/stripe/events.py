"""The account's events: those of its objects' births, computed, and those of every change since, kept.

Stripe's rules (docs.stripe.com/api/events): newest first, thirty days, the object as it was then in `data.object`, what
an update changed in `data.previous_attributes`. Times are whole seconds, so the order within one says little; an event
may turn up in the list after one that is younger.
"""

import heapq
import random
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from headrace.testing.faults import Faults
from headrace.testing.stripe.catalog import API_VERSION, INDEX, RESOURCES
from headrace.testing.stripe.ids import IdCodec
from headrace.testing.stripe.population import Population
from headrace.testing.stripe.store import Patch

HORIZON_S = 30 * 86400
Key = tuple[int, int, int, int]
"""(created, 0, collection's index, ordinal) of a birth, (created, 1, tie, sequence) of a change: the list's order."""

_LOGGED = 1 << 46
_COLLECTIONS = 128
_NEWEST: Key = (1 << 62, 1, 0, 0)


@dataclass(frozen=True, slots=True)
class Cause:
    """The request that made a change; both None when Stripe did it by itself."""

    request_id: str | None = None
    idempotency_key: str | None = None


AUTOMATIC = Cause()


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `patch` is the object's state as of then; `visible_from` is when lists begin to show it."""

    sequence: int
    key: Key
    type: str
    collection: str
    ordinal: int
    patch: Patch
    previous: Patch | None = None
    cause: Cause = AUTOMATIC
    visible_from: float = 0.0
    pending_webhooks: int = 0

    @property
    def created(self) -> int:
        return self.key[0]


Snapshot = Callable[[str, int, Patch], bytes]


class EventLog:
    """`snapshot(collection, ordinal, patch)` renders an object as of then; `now` is the provider's clock.

    Faults: `late_events` (after `delay_s`, default 30, lists show the event), `duplicate_events` (a second event, with
    an id of its own, for the same change), `unordered_events` (the order within a second is chance),
    `event_version` (events are rendered in `version`, older than the account's lists: without the fields in `drop`),
    `short_horizon` (events are kept for `horizon_s`). Their `path` is matched with the event's type.
    """

    def __init__(self, population: Population, faults: Faults, snapshot: Snapshot, now: Callable[[], float]) -> None:
        self._population = population
        self._faults = faults
        self._snapshot = snapshot
        self._now = now
        self._ids = IdCodec("evt_1", population.codecs["charges"].encode(0)[-15:], 99)
        self._dice = random.Random("events")
        self._sorted: list[Event] = []
        self._by_sequence: list[Event] = []
        self._births = [(name, born) for name, resource in RESOURCES.items() if (born := resource.events.created)]

    def __len__(self) -> int:
        """How many changes have been told of (births before the account's beginning not counted)."""
        return len(self._by_sequence)

    @property
    def horizon(self) -> int:
        """The moment before which events have aged out."""
        standing = self._faults.standing("short_horizon")
        kept = [float(fault.option("horizon_s", 60)) for fault in standing]
        if standing:
            self._faults.met("short_horizon")
        return int(self._now() - min([HORIZON_S, *kept]))

    def emit(
        self,
        kind: str,
        collection: str,
        ordinal: int,
        patch: Patch,
        previous: Patch | None = None,
        *,
        cause: Cause = AUTOMATIC,
        delay_s: float = 0.0,
        webhooks: int = 0,
    ) -> list[Event]:
        """Write the event of a change; two where `duplicate_events` strikes. `delay_s` holds it back from lists."""
        if late := self._faults.strikes("late_events", kind):
            delay_s = max(delay_s, float(late.option("delay_s", 30)))
        copies = 2 if self._faults.strikes("duplicate_events", kind) else 1
        created = max(int(self._now()), self._population.until + 1)
        events = []
        for _ in range(copies):
            sequence = len(self._by_sequence)
            tie = self._dice.getrandbits(32) if self._faults.strikes("unordered_events", kind) else sequence
            visible_from = self._now() + delay_s if delay_s else 0.0
            key = (created, 1, tie, sequence)
            event = Event(
                sequence, key, kind, collection, ordinal, patch, previous, cause, visible_from, webhooks
            )  # fmt: skip
            self._by_sequence.append(event)
            insort(self._sorted, event, key=_key)
            events.append(event)
        return events

    # Reading.

    def id(self, event: Event) -> str:
        return self._ids.encode(self._number(event))

    def _number(self, event: Event) -> int:
        if event.key[1] == 1:
            return _LOGGED + event.sequence
        return event.ordinal * _COLLECTIONS + INDEX[event.collection]

    def find(self, event_id: str) -> Event | None:
        """The event with this id, aged out or not yet listed ones included; None when there never was one."""
        number = self._ids.decode(event_id)
        if number is None:
            return None
        if number >= _LOGGED:
            sequence = number - _LOGGED
            return self._by_sequence[sequence] if sequence < len(self._by_sequence) else None
        ordinal, index = divmod(number, _COLLECTIONS)
        for name, kind in self._births:
            if INDEX[name] == index and ordinal < self._population.counts[name]:
                return self._birth(name, kind, ordinal)
        return None

    def _birth(self, collection: str, kind: str, ordinal: int) -> Event:
        created = self._population.created(collection, ordinal)
        return Event(-1, (created, 0, INDEX[collection], ordinal), kind, collection, ordinal, {})

    def below(self, key: Key, since: int, types: frozenset[str]) -> Iterator[Event]:
        """What lists show before `key` in the order of creation, newest first, down to the moment `since`."""
        since = max(since, self.horizon)
        births = [
            self._births_down(name, kind, self._bound(name, key, 0), since)
            for name, kind in self._births
            if not types or kind in types
        ]
        changes = self._changes(range(bisect_left(self._sorted, key, key=_key) - 1, -1, -1), types)
        changes = _while(changes, lambda event: event.created >= since)
        return heapq.merge(changes, *births, key=_key, reverse=True)

    def above(self, key: Key, until: int, types: frozenset[str]) -> Iterator[Event]:
        """What lists show after `key` in the order of creation, oldest first, born before the moment `until`."""
        key = max(key, (self.horizon, 0, 0, -1))
        births = [
            self._births_up(name, kind, self._bound(name, key, 1), until)
            for name, kind in self._births
            if not types or kind in types
        ]
        changes = self._changes(range(bisect_right(self._sorted, key, key=_key), len(self._sorted)), types)
        changes = _while(changes, lambda event: event.created < until)
        return heapq.merge(changes, *births, key=_key)

    def newest(self, until: int | None = None) -> Key:
        """A key above everything born before `until`."""
        return _NEWEST if until is None else (until, 0, -1, -1)

    def _bound(self, collection: str, key: Key, own: int) -> int:
        """The lowest ordinal whose birth is not before `key`; `own` is added where the key is such a birth itself."""
        created, change, index, ordinal = key
        mine = INDEX[collection]
        if change == 0 and mine == index:
            return ordinal + own
        after = change == 1 or mine < index
        return self._population.first_since(collection, created + 1 if after else created)

    def _births_down(self, collection: str, kind: str, bound: int, since: int) -> Iterator[Event]:
        for ordinal in range(bound - 1, -1, -1):
            event = self._birth(collection, kind, ordinal)
            if event.created < since:
                return
            yield event

    def _births_up(self, collection: str, kind: str, bound: int, until: int) -> Iterator[Event]:
        for ordinal in range(bound, self._population.counts[collection]):
            event = self._birth(collection, kind, ordinal)
            if event.created >= until:
                return
            yield event

    def _changes(self, places: range, types: frozenset[str]) -> Iterator[Event]:
        now = self._now()
        for place in places:
            event = self._sorted[place]
            if (not types or event.type in types) and event.visible_from <= now:
                yield event

    def render(self, event: Event) -> bytes:
        """The event's JSON."""
        shown = self._snapshot(event.collection, event.ordinal, event.patch)
        version = API_VERSION
        for fault in self._faults.standing("event_version"):
            self._faults.met("event_version")
            version = fault.option("version", "2022-11-15")
            dropped = fault.option("drop", "customer_account").split("+")
            shown = orjson.dumps({name: value for name, value in orjson.loads(shown).items() if name not in dropped})
        before = b"" if event.previous is None else b',"previous_attributes":' + orjson.dumps(event.previous)
        return (
            b'{"id":"%b","object":"event","api_version":"%b","created":%d,"data":{"object":%b%b},"livemode":false,'
            b'"pending_webhooks":%d,"request":{"id":%b,"idempotency_key":%b},"type":"%b"}'
        ) % (
            self._ids.raw(self._number(event)),
            version.encode(),
            event.created,
            shown,
            before,
            event.pending_webhooks,
            orjson.dumps(event.cause.request_id),
            orjson.dumps(event.cause.idempotency_key),
            event.type.encode(),
        )


def _key(event: Event) -> Key:
    return event.key


def _while(events: Iterator[Event], holds: Callable[[Event], bool]) -> Iterator[Event]:
    for event in events:
        if not holds(event):
            return
        yield event
