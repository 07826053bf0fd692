"""Who is next when many wait for one limit: pure, so that its laws can be tested without a clock."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from enum import IntEnum
from itertools import islice
from typing import Generic, TypeVar


class Priority(IntEnum):
    """What a request is for, the most pressing first."""

    MUTATION = 0
    """A person or program waits for it: writes, the proxy."""
    CHANGES = 1
    SWEEP = 2
    """Sweeps, repairs, settled re-reads."""
    BACKFILL = 3


T = TypeVar("T", bound=Hashable)
FLOOR = 5
"""Every fifth turn goes to a lower priority that waits, so that none starves."""


class FairQueue(Generic[T]):
    """Those who wait, by priority, and within a priority in turns by key (the sync).

    `order` only looks; `remove` takes one out, with `served=True` when its turn came, which moves the turns on. So one
    that was looked at but could not be served has lost nothing.
    """

    def __init__(self) -> None:
        self._levels: dict[Priority, OrderedDict[Hashable, deque[T]]] = {p: OrderedDict() for p in Priority}
        self._places: dict[T, tuple[Priority, Hashable]] = {}
        self._last_served = dict.fromkeys(Priority, 0)
        self._turn = 0

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._places))

    def add(self, item: T, priority: Priority, key: Hashable) -> None:
        self._places[item] = (priority, key)
        self._levels[priority].setdefault(key, deque()).append(item)

    def remove(self, item: T, *, served: bool = False) -> None:
        """Take `item` out; one that is not there is no error."""
        place = self._places.pop(item, None)
        if place is None:
            return
        priority, key = place
        level = self._levels[priority]
        level[key].remove(item)
        if served:
            self._turn += 1
            self._last_served[priority] = self._turn
            level.move_to_end(key)
        if not level[key]:
            del level[key]

    def order(self, most: int, ready: Callable[[T], bool]) -> list[T]:
        """Up to `most` of those that are `ready`, in the order in which they should be served."""
        levels = {p: deque(islice(_in_turns(level, ready), most)) for p, level in self._levels.items()}
        last_served = dict(self._last_served)
        chosen: list[T] = []
        for turn in range(self._turn + 1, self._turn + most + 1):
            waiting = [p for p, items in levels.items() if items]
            if not waiting:
                break
            lower = waiting[1:]
            priority = min(lower, key=last_served.__getitem__) if lower and turn % FLOOR == 0 else waiting[0]
            last_served[priority] = turn
            chosen.append(levels[priority].popleft())
        return chosen


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
