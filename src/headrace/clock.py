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


def steady() -> float:
    """CLOCK_BOOTTIME on Linux, CLOCK_MONOTONIC elsewhere: seconds."""
    return time.clock_gettime(_BOOTTIME)


class DatabaseClock:
    """The kept offset to the database's clock, put right at each heartbeat.

    The present is the steady clock plus the offset, so a jump of this machine's wall clock changes nothing.
    """

    def __init__(self) -> None:
        self._offset = time.time() - steady()

    def now(self) -> datetime:
        return datetime.fromtimestamp(steady() + self._offset, UTC)

    def monotonic(self) -> float:
        return steady()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def learn(self, database_now: datetime, asked_at: float, answered_at: float) -> None:
        """Take the database's `clock_timestamp()` read between the steady moments `asked_at` and `answered_at`."""
        self._offset = database_now.timestamp() - (asked_at + answered_at) / 2


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
