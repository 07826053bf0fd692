"""Time, given in and never reached for."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The moment by the database's clock, a steady count, and a way to wait."""

    def now(self) -> datetime:
        """The present by the database's clock (UTC, aware)."""

    def monotonic(self) -> float:
        """Seconds of a clock that never jumps and that counts while the machine sleeps, where the system has one."""

    async def sleep(self, seconds: float) -> None: ...


_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


JUMP_S = 0.25
"""From here on a difference is a jump of the database's clock; below, it is an error of measuring, or drift."""


def steady() -> float:
    """CLOCK_BOOTTIME on Linux, CLOCK_MONOTONIC elsewhere: seconds."""
    return time.clock_gettime(_BOOTTIME)


class DatabaseClock:
    """The kept offset to the database's clock, put right at each heartbeat.

    The present is the steady clock plus the offset, so a jump of this machine's wall clock changes nothing. One of the
    database's is found at the next heartbeat, and counted in `jumps`; `jumped_s` is the sum of them all.
    """

    def __init__(self) -> None:
        self._offset = time.time() - steady()
        self._learned = False
        self._jumped_by = 0.0
        self._jumped_at = 0.0
        self.jumps = 0
        self.jumped_s = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(steady() + self._offset, UTC)

    def monotonic(self) -> float:
        return steady()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def learn(self, database_now: datetime, asked_at: float, answered_at: float) -> None:
        """Take the database's `clock_timestamp()` read between the steady moments `asked_at` and `answered_at`."""
        offset = database_now.timestamp() - (asked_at + answered_at) / 2
        if self._learned and abs(offset - self._offset) > JUMP_S:
            self.jumps += 1
            self._jumped_by, self._jumped_at = offset - self._offset, steady()
            self.jumped_s += self._jumped_by
        self._offset, self._learned = offset, True

    def jumped_by_s(self, within_s: float) -> float:
        """By how many seconds the database's clock was found to have jumped in the last `within_s`, 0 for not."""
        return self._jumped_by if self.jumps and steady() - self._jumped_at < within_s else 0.0


def iso(moment: datetime) -> str:
    """ISO 8601, UTC, microseconds, `Z`: the form of every timestamp in the API."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def from_unix(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def micros(moment: datetime) -> int:
    """Microseconds since 1970, the form of a record's version where the provider's version is a time."""
    return (moment - _EPOCH) // _MICRO


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
