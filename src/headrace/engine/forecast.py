"""What the backfills of a plan cost: the provider is asked how much there is, and the pace tells how long it takes.

Whoever shows a person what reading will cost takes it from here, through `dry_run`: of a PATCH, of a sync that is not
made yet, or of a backfill that is asked for.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

import structlog

from headrace.control.syncs import Sync
from headrace.engine.access import Access
from headrace.engine.backfill import listed_in
from headrace.engine.bucket import Window as Limit
from headrace.engine.limits import Override, SyncLimit, counted
from headrace.engine.plan import Backfilling, Plan, priced
from headrace.engine.transport import Priority, ReadFailed, Transport
from headrace.http import Request
from headrace.providers.kit import Context, Total

log = structlog.get_logger(__name__)

MOST_COUNTED = 25
"""So many collections are counted for one plan; the others are judged by their last backfill."""
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
        countable = [each for each in backfill if self._counts(each)][:MOST_COUNTED]
        tasks = [asyncio.create_task(self._total(each)) for each in countable]
        if not tasks:
            return {}
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
        source = listed_in(provider, each.collection_id)
        return source.partitions is None and source.listing is not None and source.listing.count is not None

    async def _total(self, each: Backfilling) -> Total | None:
        provider = self.access.provider
        listing = listed_in(provider, each.collection_id).listing
        assert listing is not None
        assert listing.count is not None
        context = Context(
            self.access.public_properties(),
            self.transport.provider_now(self.access),
            provider.reads([each.collection_id]),
        )
        return await self.transport.run(self.access, self.sync, listing.count(context, each.window), Priority.MUTATION)

    def _limits(self, sync: Sync) -> list[Limit]:
        """The windows that count every request of the sync as it would be."""
        known = counted(self.access, SyncLimit.of(sync), Request("/"), self.override)
        return [Limit.of(*limit) for limit in known.published.values()]


def least_seconds(requests: int, limits: Iterable[Limit]) -> float:
    """The time from the first of so many requests to the last, when all of each limit is theirs and its burst is
    whole."""
    return max((max(0.0, requests - limit.depth) / limit.rate for limit in limits), default=0.0)
