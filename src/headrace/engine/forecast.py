"""What the backfills of a plan cost: the provider is asked how much there is, and the pace tells how long it takes.

Whoever shows a person what reading will cost takes it from here, through `dry_run`: of a PATCH, of a sync that is not
made yet, or of a backfill that is asked for.
"""

import asyncio
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from headrace.control.syncs import Sync
from headrace.engine.access import Access
from headrace.engine.backfill import listed_in
from headrace.engine.bucket import Window as Limit
from headrace.engine.limits import Override, SyncLimit, counted
from headrace.engine.partitions import every_partition
from headrace.engine.plan import Backfilling, Plan, priced
from headrace.engine.slices import may_be_shared
from headrace.engine.tally import Tally
from headrace.engine.transport import Priority, ReadFailed, Transport
from headrace.http import Request, Response
from headrace.providers.kit import Context, Partitions, Total

R = TypeVar("R")

log = structlog.get_logger(__name__)

MOST_COUNTS = 60
"""So many counts are asked for one plan, one for each partition of a collection; what would take more is judged by the
last backfill."""
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """Prices plans of one credential. `access` has the account's own collections of the sync (`for_sync`).

    `sync` is the one by whose pace the questions go out: as it is now; None while it is not made yet.
    """

    transport: Transport
    access: Access
    override: Override
    sync: Sync | None = None

    async def price(self, plan: Plan) -> Plan:
        """The plan with requests and seconds, as far as they can be known. Asks the provider; raises nothing for what
        it does not tell within ten seconds."""
        if plan.sync is None or not plan.backfill:
            return plan
        totals = await self._totals(plan.backfill)
        limits = self._limits(plan.sync)
        backfill = []
        for each in plan.backfill:
            total = totals.get(each.collection_id)
            if total is not None:
                each = replace(each, requests=total.requests, exact=total.exact)
            if each.requests is not None:
                each = replace(each, seconds=round(least_seconds(each.requests, limits), 1))
            backfill.append(each)
        return priced(plan, backfill)

    async def _totals(self, backfill: Iterable[Backfilling]) -> dict[str, Total]:
        """What the provider tells of these, by collection."""
        countable = [each for each in backfill if self._counts(each)]
        if not countable:
            return {}
        counting = _Counting(self.transport, self.access, self.sync, MOST_COUNTS)
        tasks = [asyncio.create_task(counting.total(each)) for each in countable]
        try:
            await asyncio.wait(tasks, timeout=PATIENCE_S)
        finally:
            for task in tasks:
                task.cancel()
            told = await asyncio.gather(*tasks, return_exceptions=True)
        for error in told:
            if isinstance(error, Exception) and not isinstance(error, ReadFailed):
                log.error("count_broke", provider=self.access.provider.slug, exc_info=error)
        return {
            each.collection_id: total for each, total in zip(countable, told, strict=True) if isinstance(total, Total)
        }

    def _counts(self, each: Backfilling) -> bool:
        provider = self.access.provider
        if provider.collection(each.collection_id) is None or each.requests == 0:
            return False
        listing = listed_in(provider, each.collection_id).listing
        return listing is not None and listing.count is not None

    def _limits(self, sync: Sync) -> list[Limit]:
        """The windows that count every request of the sync as it would be."""
        known = counted(self.access, SyncLimit.of(sync), Request("/"), self.override)
        return [Limit.of(*limit) for limit in known.published.values()]


class _Counting:
    """The counts of one plan. The partitions that several collections share are listed once."""

    def __init__(self, transport: Transport, access: Access, sync: Sync | None, most: int) -> None:
        self._transport = transport
        self._access = access
        self._sync = sync
        self._left = most
        self._listed: dict[Partitions, tuple[list[str], int]] = {}
        self._listing = asyncio.Lock()

    async def total(self, each: Backfilling) -> Total | None:
        """Of the collection with all its partitions, the requests of their list included; not exact where a backfill
        may cut the listing into slices, since it takes as many requests at the least. None where it is not told.
        Raises ReadFailed."""
        collection = listed_in(self._access.provider, each.collection_id)
        assert collection.listing is not None
        assert collection.listing.count is not None
        keys: Sequence[str | None] = [None]
        requests = 0
        if collection.partitions is not None:
            keys, requests = await self._partitions(collection.partitions)
        if len(keys) > self._left:
            return None
        self._left -= len(keys)
        totals = [Total(0, requests)]
        for key in keys:
            context = self._context(each.collection_id, key)
            total = await self._run(collection.listing.count(context, each.window))
            if total is None:
                return None
            if total.requests > 1 and may_be_shared(collection.listing):
                total = replace(total, exact=False)
            totals.append(total)
        records = sum(total.records for total in totals)
        return Total(records, sum(total.requests for total in totals), all(total.exact for total in totals))

    async def _partitions(self, source: Partitions) -> tuple[list[str], int]:
        """Their ids, and the requests that listing them takes."""
        async with self._listing:
            if source not in self._listed:
                tally = Tally()
                found = await self._run(tally.counting(every_partition(source, self._context(None, None))))
                self._listed[source] = found, tally.take()
            return self._listed[source]

    def _context(self, collection_id: str | None, partition: str | None) -> Context:
        provider = self._access.provider
        reads = provider.reads([] if collection_id is None else [collection_id])
        return Context(
            self._access.public_properties(), self._transport.provider_now(self._access), reads, partition=partition
        )

    async def _run(self, steps: Generator[Request, Response, R]) -> R:
        return await self._transport.run(self._access, self._sync, steps, Priority.MUTATION)


def least_seconds(requests: int, limits: Iterable[Limit]) -> float:
    """The time from the first of so many requests to the last, when all of each limit is theirs and its burst is
    whole."""
    return max((max(0.0, requests - limit.depth) / limit.rate for limit in limits), default=0.0)
