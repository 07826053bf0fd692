"""Who is next when many wait for one limit: pure, so that its laws can be tested without a clock."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from enum import IntEnum
from itertools import count, islice, zip_longest
from typing import Generic, TypeVar


class Priority(IntEnum):
    """What a request is for, the most pressing first."""

    MUTATION = 0
    """A person or program waits for it: writes, the proxy."""
    CHANGES = 1
    REPAIR = 2
    """Settled re-reads, what was set aside, the search for an account's own collections."""
    SWEEP = 3
    """Whatever a sweep asks for, which may have a part of the sync's pace only (`limits.SWEEP_PART`)."""
    BACKFILL = 4


T = TypeVar("T", bound=Hashable)
_Levels = dict[Priority, deque[T]]
FLOOR = 5
"""Every fifth turn goes to a lower priority that waits, so that none starves."""


class FairQueue(Generic[T]):
    """Those who wait, by priority, and within a priority in turns by key (the sync).

    Turns are counted by place: what the requests that are counted there want the same slots of. So a lower priority has
    its fifth turn in each place, however many turns it has in others. `order` only looks; `remove` takes one out, with
    `served=True` when its turn came, which moves the turns on. So one that was looked at but could not be served has
    lost nothing.
    """

    def __init__(self) -> None:
        self._levels: dict[Priority, OrderedDict[Hashable, deque[T]]] = {p: OrderedDict() for p in Priority}
        self._waiting: dict[T, tuple[Priority, Hashable, Sequence[Hashable]]] = {}
        self._turns: dict[Hashable, _Turns] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._waiting))

    def add(self, item: T, priority: Priority, key: Hashable, places: Sequence[Hashable] = (None,)) -> None:
        """`places` are all those in which a turn of the item counts."""
        self._waiting[item] = (priority, key, places)
        self._levels[priority].setdefault(key, deque()).append(item)
        for place in places:
            self._turns.setdefault(place, _Turns()).waiting += 1

    def remove(self, item: T, *, served: bool = False) -> None:
        """Take `item` out; one that is not there is no error."""
        waited = self._waiting.pop(item, None)
        if waited is None:
            return
        priority, key, places = waited
        level = self._levels[priority]
        level[key].remove(item)
        if served:
            level.move_to_end(key)
        if not level[key]:
            del level[key]
        for place in places:
            turns = self._turns[place]
            turns.waiting -= 1
            if served:
                turns.served(priority)
            if not turns.waiting:
                del self._turns[place]

    def order(
        self, most: int, ready: Callable[[T], bool], place: Callable[[T], Hashable] = lambda item: None
    ) -> list[T]:
        """Up to `most` of those that are `ready`, in the order in which they should be served. `place` tells of each in
        which of its places it has to wait for its turn."""
        places: dict[Hashable, _Levels[T]] = {}
        for priority, level in self._levels.items():
            for item in islice(_in_turns(level, ready), most):
                places.setdefault(place(item), {}).setdefault(priority, deque()).append(item)
        lines = [self._turns.get(where, _NO_TURNS).line(levels) for where, levels in places.items()]
        abreast = (item for rank in zip_longest(*lines) for item in rank if item is not None)
        return list(islice(abreast, most))


class _Turns:
    """The turns of one place: how many there were, and when each priority last had one."""

    def __init__(self) -> None:
        self.waiting = 0
        self._last = 0
        self._last_of = dict.fromkeys(Priority, 0)

    def served(self, priority: Priority) -> None:
        self._last += 1
        self._last_of[priority] = self._last

    def line(self, levels: _Levels[T]) -> Iterator[T]:
        """Those of one place, the more pressing first, but for every fifth turn."""
        last_of = dict(self._last_of)
        for turn in count(self._last + 1):
            waiting = [p for p in Priority if levels.get(p)]
            if not waiting:
                return
            lower = waiting[1:]
            priority = min(lower, key=last_of.__getitem__) if lower and turn % FLOOR == 0 else waiting[0]
            last_of[priority] = turn
            yield levels[priority].popleft()


_NO_TURNS = _Turns()


def _in_turns(level: OrderedDict[Hashable, deque[T]], ready: Callable[[T], bool]) -> Iterator[T]:
    queues = [iter(items) for items in level.values()]
    while queues:
        left = []
        for queue in queues:
            for item in queue:
                if ready(item):
                    yield item
                    left.append(queue)
                    break
        queues = left
