"""The providers' clocks, by account, read from the Date header of their answers.

Times of records and events are the provider's. For the moment for which an answer speaks to be comparable with them,
it is told in the same clock: the database's plus an offset, which stays 0 unless the Date header contradicts it by more
than two seconds. When the database's clock is set, the provider's stays: the offset takes up the difference at once.
"""

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import structlog

from headrace.db.pool import Database
from headrace.db.queries import load
from headrace.engine.access import Access
from headrace.engine.outage import OUTAGE
from headrace.engine.wire import Answer

SQL = load(__package__, "account_clocks.sql")
SET_OFFSET = SQL.set_offset

log = structlog.get_logger(__name__)

TOLERANCE_S = 2.0
_GRAIN_S = 1.0


class AccountClocks:
    """The offsets as this process knows them; a change is stored, and read by others with the credential."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._offsets: dict[tuple[str, bytes], tuple[float, float]] = {}
        """As they are stored, and by how much the database's clock had jumped in all when each was learned."""

    def offset_s(self, access: Access) -> float:
        """Seconds by which the provider's clock is ahead of the database's."""
        jumped_s = self._db.clock.jumped_s
        offset, jumped_then = self._offsets.setdefault(_key(access), (access.offset_s, jumped_s))
        return offset - (jumped_s - jumped_then)

    def now(self, access: Access) -> datetime:
        """The present by the provider's clock."""
        return self._db.clock.now() + timedelta(seconds=self.offset_s(access))

    async def learn(self, access: Access, answer: Answer, sent: datetime, received: datetime) -> None:
        """Take in the Date header of an answer that was sent and received at these moments of the database's clock, as
        it is now."""
        told = _date(answer)
        if told is None:
            return
        before = self.offset_s(access)
        after = offset_after(before, told, sent, received)
        if after == self._offsets[_key(access)][0]:
            return
        self._offsets[_key(access)] = after, self._db.clock.jumped_s
        log.warning("provider_clock_differs", provider=access.provider.slug, offset_s=after, before_s=before)
        try:
            await self._db.api.execute(SET_OFFSET, access.provider.slug, access.account_hash, round(after), received)
        except OUTAGE as error:
            log.warning("provider_clock_not_stored", error=type(error).__name__)


def _key(access: Access) -> tuple[str, bytes]:
    return access.provider.slug, access.account_hash


def offset_after(before: float, told: datetime, sent: datetime, received: datetime) -> float:
    """The offset after an answer sent and received between these moments said `told`, a whole second cut off.

    The one of `before` is kept while it may be true within the tolerance, so that the offset does not wander.
    """
    earliest = (told - received).total_seconds()
    latest = (told - sent).total_seconds() + _GRAIN_S
    if earliest - TOLERANCE_S <= before <= latest + TOLERANCE_S:
        return before
    if earliest - TOLERANCE_S <= 0.0 <= latest + TOLERANCE_S:
        return 0.0
    return float(round((earliest + latest) / 2))


def _date(answer: Answer) -> datetime | None:
    """The answer's Date; None where it has none, or comes out of a cache and tells the time of then."""
    if "age" in answer.headers:
        return None
    try:
        return parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return None
