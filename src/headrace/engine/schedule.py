"""When the readings of a sync are due. Pure: moments in, moments out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

LIVELY_FOR = timedelta(minutes=10)
"""How long after a change a sync is read as fast as manners allow."""
RUN_EVERY = timedelta(hours=4)
MOST_JITTER = timedelta(minutes=10)
CLOCKS_APART = timedelta(seconds=3)
"""A moment that is farther ahead than this was told by a database's clock that has been set back since: processes and
the provider know the present to within it."""


@dataclass(frozen=True, slots=True)
class Tempo:
    """What the due times of the readings depend on, as the runner knows it at `now` (the database's clock).

    `run_started` is the start of the run that counts for a sync read every four hours, None for a continuous one.
    `asked_at` is when a read was last asked for (a webhook, the run call, a barrier), None if never.
    """

    now: datetime
    max_poll: timedelta
    changed_at: datetime | None = None
    run_started: datetime | None = None
    scheduled: bool = False
    asked_at: datetime | None = None

    @property
    def lively(self) -> bool:
        return self.changed_at is not None and self.now - self.changed_at < LIVELY_FOR


def next_interval(present: timedelta, tempo: Tempo, least: timedelta) -> timedelta:
    """The interval of the next read of the head: `least` while the sync is lively, then doubling up to its maximum."""
    if tempo.lively:
        return min(least, tempo.max_poll)
    return min(max(2 * present, least), tempo.max_poll)


def last_read(read_at: datetime, tempo: Tempo) -> datetime:
    """When the head was last read, as it is to be reckoned with: long ago, if that was by a clock that was set back."""
    return read_at if read_at <= tempo.now + CLOCKS_APART else tempo.now - tempo.max_poll


def tried_again(retry_at: datetime | None, tempo: Tempo) -> datetime | None:
    """When what waits until `retry_at` is tried: then, or in the first run that begins after it. None: nothing waits,
    or not for this run."""
    if retry_at is not None and tempo.scheduled:
        return retry_at if tempo.run_started is not None and retry_at <= tempo.run_started else None
    return retry_at


def jitter(sync_id: UUID) -> timedelta:
    """The same for ever for one sync, spread evenly over ten minutes for many."""
    return MOST_JITTER * (int.from_bytes(sync_id.bytes[-4:], "big") / 2**32)


def first_run(started: datetime, sync_id: UUID) -> datetime:
    """When the first run after the start of a sync is due."""
    return started + RUN_EVERY + jitter(sync_id)


def run_after(due: datetime, now: datetime) -> datetime:
    """The next moment of the grid that `due` stands on, later than `now`: a late run runs once, not several times."""
    if due > now:
        return due
    return due + RUN_EVERY * ((now - due) // RUN_EVERY + 1)


def back_off(failures: int, least: timedelta, most: timedelta) -> timedelta:
    """The wait after so many failures in a row (1 or more): doubling from `least` up to `most`."""
    return min(least * (1 << min(failures - 1, 30)), most)
