"""What workers were given and said, by the clock of the test: and which promise that breaks.

A worker knows less than the server: when a call was sent and when it was answered, not when it was done. So each rule
is asked of what is certain: a delivery is out from its answer on, until something that ends it is sent, or the ack
wait after its call was sent is over; and it is of after a reset only if its call was sent after the reset was answered.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Given:
    """One delivery: `sent` and `answered` are of the call that gave it."""

    id: str
    idx: int
    token: str
    sent: float
    answered: float
    out_until: float
    acked_at: float | None = None
    """When the ack was answered, where it was sent in time."""


@dataclass
class Ledger:
    ack_wait_s: float
    max_ack_pending: int
    newest: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    """By record: when each of its versions was surely there, and its number."""
    given: dict[str, list[Given]] = field(default_factory=lambda: defaultdict(list))
    since: float = -1.0
    """Before this moment a reset was sent: what was out is void, what was acked comes again."""
    reset_sent: float = -1.0
    """What is answered from here on may be of after the reset."""
    total: int = 0
    broken: list[str] = field(default_factory=list)

    def appended(self, id_: str, idx: int) -> None:
        self.newest[id_].append((now(), idx))

    def delivered(self, id_: str, idx: int, token: str, sent: float) -> Given:
        """Note it, and what it breaks."""
        at = now()
        new = Given(id_, idx, token, sent, at, sent + self.ack_wait_s)
        known = max((number for moment, number in self.newest[id_] if moment < sent), default=0)
        if idx < known:
            self.broken.append(f"{id_} in version {idx}, though {known} was there")
        for old in self.given[id_]:
            if min(old.sent, sent) < self.since:
                continue
            if old.idx > idx and old.answered < sent:
                self.broken.append(f"{id_} in version {idx} after {old.idx}: {old}, {new}")
            if old.out_until > at:
                self.broken.append(f"{id_} is out twice: {old}, {new}")
            if old.idx == idx and old.acked_at is not None and old.acked_at < sent:
                self.broken.append(f"{id_} was acked: {old}, {new}")
        self.given[id_].append(new)
        self.total += 1
        out = sum(each.out_until > at and each.sent >= self.since for all_ in self.given.values() for each in all_)
        if out > self.max_ack_pending:
            self.broken.append(f"{out} are out")
        return new

    def ends(self, given: Given) -> bool:
        """Something is sent that may end the delivery; whether that is in time."""
        in_time = now() < given.out_until and given.sent >= self.since
        given.out_until = min(given.out_until, now())
        return in_time

    def missed(self) -> set[str]:
        """Records whose newest version nobody was given since the last reset."""
        last = {id_: max(number for _, number in versions) for id_, versions in self.newest.items()}
        return {
            id_
            for id_, idx in last.items()
            if not any(each.idx == idx and each.answered >= self.reset_sent for each in self.given[id_])
        }
