"""A sync that is stopped or disabled does not keep anybody waiting for what waits itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from aiohttp import web
from holding import Holding, holding
from shop import Shop, open_shop

from headrace.control.syncs import RateLimit
from headrace.db.pool import Database
from headrace.engine import runner

ENDS_WITHIN_S = 40.0
"""All that waits here waits for longer."""
Waiting = Callable[[Holding, Shop], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def between_two_pages_of_a_sweep(held: Holding, shop: Shop) -> AsyncIterator[None]:
    """The second may go in two hours."""
    await held.start()
    await held.read_to_the_end()
    await held.stop()
    await held.sweep_now("shop:tag")
    await held.patch(rate_limit=RateLimit(49, 86_400))
    begun = len(shop.asked)
    await held.start()

    async def first_page() -> bool:
        row = (await held.rows("sweep")).get("shop:tag")
        return row is not None and row["records"] == 10 and shop.count("/tag", begun) == 1

    await held.until(first_page)
    yield


@asynccontextmanager
async def for_the_pace(held: Holding, shop: Shop) -> AsyncIterator[None]:
    """The next page of the backfill may go in an hour."""
    await held.patch(rate_limit=RateLimit(1, 3600))
    await held.start()

    async def first_page() -> bool:
        return len(shop.asked) > 0 and shop.under_way == 0

    await held.until(first_page)
    yield


@asynccontextmanager
async def for_another_try(held: Holding, shop: Shop) -> AsyncIterator[None]:
    """The provider asks for a minute."""
    shop.fail = lambda asked: web.Response(status=503, headers={"retry-after": "60"})
    await held.start()

    async def failed() -> bool:
        return len(shop.asked) > 0 and shop.under_way == 0

    await held.until(failed)
    yield
    shop.fail = lambda asked: None


WAITING = [between_two_pages_of_a_sweep, for_the_pace, for_another_try]


@pytest.mark.parametrize("waiting", WAITING, ids=lambda each: str(each.__name__))
async def test_a_stop_ends_what_waits_and_the_next_holder_goes_on(
    db: Database, monkeypatch: pytest.MonkeyPatch, waiting: Waiting
) -> None:
    monkeypatch.setattr(runner, "STOP_WITHIN_S", 3600.0)  # nothing is cut off here
    async with open_shop() as shop:
        for n in range(30):
            shop.put("tag", f"t{n:02}")
        async with holding(db, shop, ["tag"]) as held:
            async with waiting(held, shop):
                async with asyncio.timeout(ENDS_WITHIN_S):
                    await held.stop()
            await held.patch(rate_limit=None)
            await held.start()
            await held.read_to_the_end()
            assert await held.copies(shop, ["tag"])


@pytest.mark.parametrize("waiting", WAITING, ids=lambda each: str(each.__name__))
async def test_disabled_nothing_goes_on_waiting(db: Database, waiting: Waiting) -> None:
    async with open_shop() as shop:
        for n in range(30):
            shop.put("tag", f"t{n:02}")
        async with holding(db, shop, ["tag"]) as held, waiting(held, shop):
            asked = len(shop.asked)
            await held.patch(status="disabled")

            async def rests() -> bool:
                return held.runner is not None and held.runner.resting

            await held.until(rests, within=ENDS_WITHIN_S)
            assert len(shop.asked) == asked
