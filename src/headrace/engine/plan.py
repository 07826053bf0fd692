"""What a change would do, told before it is done: which backfills with how many requests, which records would go."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from headrace.control.syncs import Sync
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.engine.backfill import cut_by_age
from headrace.providers.kit import Provider

SQL = load(__package__, "patch.sql")
COUNT_VISIBLE, COUNT_OLDER, PAGES_READ, MODE = SQL.count_visible, SQL.count_older, SQL.pages_read, SQL.mode


@dataclass(frozen=True, slots=True)
class Backfilling:
    """`requests` is what the last backfill of the collection took; None where there was none, and nobody can know."""

    collection_id: str
    requests: int | None
    seconds: float | None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Purging:
    collection_id: str
    records: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`affects` are the ids of the objects that the change reaches."""

    backfill: list[Backfilling] = field(default_factory=list)
    purge: list[Purging] = field(default_factory=list)
    affects: list[UUID] = field(default_factory=list)

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
    conn: Conn, sync: Sync, provider: Provider | None, collection_ids: Iterable[str], widened: Iterable[str] = ()
) -> list[Backfilling]:
    """What reading these collections anew takes at the sync's pace, judged by the last time they were read; and what it
    takes to read a longer span of the `widened` ones, which nobody can know where the provider cuts by age."""
    spans = {key for key in widened if provider is not None and _cut_by_age(provider, key)}
    ids = sorted({*collection_ids, *widened})
    if not ids:
        return []
    rows = await conn.fetch(PAGES_READ, sync.stream_id, sync.id, ids)
    pages = {row["collection_id"]: row["pages"] for row in rows if row["collection_id"] not in spans}
    a_second = await _requests_a_second(conn, sync, provider)
    return [
        Backfilling(key, pages.get(key), None if key not in pages else round(pages[key] / a_second, 1)) for key in ids
    ]


async def plan_purge(conn: Conn, sync: Sync, collection_ids: Sequence[str] | None = None) -> list[Purging]:
    """Every record that readers see of the sync, or of some of its collections."""
    rows = await conn.fetch(COUNT_VISIBLE, sync.stream_id, sync.id, collection_ids)
    return [Purging(row["collection_id"], row["records"]) for row in rows]


async def plan_ageing(conn: Conn, sync: Sync, older_than: datetime) -> list[Purging]:
    """The records that leave when the age limit is `older_than`."""
    rows = await conn.fetch(COUNT_OLDER, sync.stream_id, sync.id, older_than)
    return [Purging(row["collection_id"], row["records"]) for row in rows]


def _cut_by_age(provider: Provider, key: str) -> bool:
    return provider.collection(key) is not None and cut_by_age(provider, key)


async def _requests_a_second(conn: Conn, sync: Sync, provider: Provider | None) -> float:
    if sync.rate_limit is not None:
        return sync.rate_limit.allowed_requests / sync.rate_limit.interval
    if provider is None:
        return 1.0
    allowed, interval = provider.default_rate_limit(await conn.fetchval(MODE, sync.org_id, sync.credential_id))
    return allowed / interval
