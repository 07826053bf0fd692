"""What a change would do, told before it is done: which backfills it begins, which records would go.

What the backfills cost stands in the plan as far as the database knows it, from the last time that they were read;
`forecast.py` asks the provider, and works out the time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

from headrace.control.syncs import Sync
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.engine.backfill import cut_by_age, listed_in
from headrace.engine.checkpoints import BackfillMark, decode
from headrace.providers.kit import EVERYTHING, Provider, Window

SQL = load(__package__, "patch.sql")
COUNT_VISIBLE, COUNT_OLDER, LAST_READ = SQL.count_visible, SQL.count_older, SQL.last_read

_SAME_SPAN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Backfilling:
    """The backfill of one collection. `window` is what it reads of the listing.

    `requests` are those of its pages; None: nobody knows. `seconds` is how long they take at the least when nothing
    else uses the pace; those of several backfills add up. `exact`: the provider has counted just now, and the requests
    follow from it; else they are near its count, or judged by the last time that it was read. A collection that comes
    back after it was taken away is swept as well, which takes as many requests again, at a gentler pace.
    """

    collection_id: str
    window: Window = EVERYTHING
    requests: int | None = None
    seconds: float | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Purging:
    collection_id: str
    records: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`affects` are the ids of the objects that the change reaches; `sync` is the sync as it would then be, where the
    plan reads anything."""

    backfill: list[Backfilling] = field(default_factory=list)
    purge: list[Purging] = field(default_factory=list)
    affects: list[UUID] = field(default_factory=list)
    sync: Sync | None = None

    def render(self) -> dict[str, Any]:
        """The form of the HTTP contract."""
        return {
            "dry_run": True,
            "backfill": [
                {
                    "collection_id": each.collection_id,
                    "requests": each.requests,
                    "seconds": each.seconds,
                    "exact": each.exact,
                }
                for each in self.backfill
            ],
            "purge": [{"collection_id": each.collection_id, "records": each.records} for each in self.purge],
            "affects": [str(each) for each in self.affects],
        }


async def plan_backfills(
    conn: Conn,
    sync: Sync,
    provider: Provider | None,
    collection_ids: Iterable[str],
    now: datetime,
    *,
    widened: Iterable[str] = (),
    former: datetime | None = None,
) -> list[Backfilling]:
    """Reading these collections from the beginning; and of the `widened` ones what is older than the `former` limit,
    where the provider can cut by age. `now` is the provider's clock.

    What is embedded in another's listing is read along with it, and takes nothing of its own.
    """
    limit = None if sync.max_age_days is None else now - timedelta(days=sync.max_age_days)
    windows: dict[str, Window] = {}
    for key in sorted({*collection_ids, *widened}):
        cuts = provider is not None and provider.collection(key) is not None and cut_by_age(provider, key)
        windows[key] = Window(limit if cuts else None, former if cuts and key in set(widened) else None)
    if not windows:
        return []
    listings = {key: _listing(provider, key) for key in windows}
    last = await _last_read(conn, sync, {*windows, *listings.values()})
    found = []
    for key, window in windows.items():
        above = listings[key]
        if above != key and windows.get(above) == window:
            found.append(Backfilling(key, window, requests=0, exact=True))
        else:
            known = [last[each] for each in (key, above) if each in last]
            requests = next((each.requests for each in known if each.covers(window, now)), None)
            found.append(Backfilling(key, window, requests))
    return found


async def plan_purge(conn: Conn, sync: Sync, collection_ids: Sequence[str] | None = None) -> list[Purging]:
    """Every record that readers see of the sync, or of some of its collections."""
    rows = await conn.fetch(COUNT_VISIBLE, sync.stream_id, sync.id, collection_ids)
    return [Purging(row["collection_id"], row["records"]) for row in rows]


async def plan_ageing(conn: Conn, sync: Sync, older_than: datetime) -> list[Purging]:
    """The records that readers see and that leave when the age limit is `older_than`, by the provider's clock."""
    rows = await conn.fetch(COUNT_OLDER, sync.stream_id, sync.id, older_than)
    return [Purging(row["collection_id"], row["records"]) for row in rows]


@dataclass(frozen=True, slots=True)
class _LastRead:
    """The last whole backfill of a collection: its requests, more where the collection has grown since."""

    window: Window
    began: datetime | None
    requests: int

    def covers(self, window: Window, now: datetime) -> bool:
        """Whether it read what this window would: everything, or a span of the same length up to its present."""
        if self.window.hi is not None or window.hi is not None or self.began is None:
            return False
        if self.window.lo is None or window.lo is None:
            return self.window.lo == window.lo
        return abs((self.began - self.window.lo) - (now - window.lo)) < _SAME_SPAN


async def _last_read(conn: Conn, sync: Sync, keys: Iterable[str]) -> Mapping[str, _LastRead]:
    rows = await conn.fetch(LAST_READ, sync.stream_id, sync.id, sorted(keys))
    found = {}
    for row in rows:
        mark = decode(BackfillMark, row["form"], row["value"])
        if mark.state == "done":
            grown = row["held"] / row["records"] if row["records"] and mark.window == EVERYTHING else 1.0
            requests = ceil(row["requests"] * max(grown, 1.0))
            found[row["collection_id"]] = _LastRead(mark.window, mark.began, requests)
    return found


def _listing(provider: Provider | None, key: str) -> str:
    known = provider.collection(key) if provider is not None else None
    return key if provider is None or known is None else listed_in(provider, key).id


def priced(plan: Plan, backfill: Sequence[Backfilling]) -> Plan:
    """The plan with these in place of its backfills."""
    return replace(plan, backfill=list(backfill))
