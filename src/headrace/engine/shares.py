"""Equal parts for the syncs of an account that wait in different processes: pure, so that its laws need no clock.

Each process counts the turns that the syncs waiting in it have had, and tells the others from time to time. One whose
syncs have had more turns each than those of another is *ahead*: it reaches less far for its next slots, so that the
other's requests come first, and what these leave is still had. So nothing is cut up beforehand and nothing is lost.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from headrace.engine.precedence import Priority

_MOST_APART = 20.0
"""So many turns a sync may be ahead or behind: what was missed longer ago is not made up for."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a process says, by priority: how many of its syncs wait, and how many turns each has had."""

    waiting: Sequence[int]
    turns: Sequence[float]


@dataclass(slots=True)
class _Level:
    """One priority. `wanted`: the syncs that waited since the last word, `waiting`: how many that word named."""

    wanted: set[UUID | None] = field(default_factory=set)
    waiting: int = 0
    turns: float = 0.0
    ahead: bool = False


class Shares:
    """The turns that the syncs of one account have had in this process, and whether these are more than elsewhere."""

    def __init__(self) -> None:
        self._levels = {priority: _Level() for priority in Priority}

    def wants(self, priority: Priority, sync_id: UUID | None) -> None:
        """A request of the sync waits."""
        self._levels[priority].wanted.add(sync_id)

    def served(self, priority: Priority) -> None:
        """A request had its turn."""
        level = self._levels[priority]
        level.turns += 1 / max(1, level.waiting, len(level.wanted))

    def ahead(self, priority: Priority) -> bool:
        """Whether the syncs of another process wait that have had fewer turns each."""
        return self._levels[priority].ahead

    def told(self, waiting: Iterable[tuple[Priority, UUID | None]]) -> Share:
        """What to tell the others; `waiting` are the requests that wait now. Those who waited before count as well: a
        sync that asks for one page after the other always has work, and seldom waits."""
        for priority, sync_id in waiting:
            self.wants(priority, sync_id)
        for level in self._levels.values():
            level.waiting = len(level.wanted)
            level.wanted.clear()
        levels = self._levels.values()
        return Share([level.waiting for level in levels], [level.turns for level in levels])

    def heed(self, others: Sequence[Share]) -> None:
        """What the other processes said, of as many priorities as their release knows. Only those count in which
        somebody waits."""
        for priority, level in self._levels.items():
            turns = [each.turns[priority] for each in others if len(each.turns) > priority and each.waiting[priority]]
            if not turns:
                level.ahead = False
                continue
            level.turns = max(min(level.turns, min(turns) + _MOST_APART), max(turns) - _MOST_APART)
            level.ahead = level.turns > min(turns)
