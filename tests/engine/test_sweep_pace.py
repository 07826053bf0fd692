"""All that a sync's sweeps ask for, together, is at most a fifth of its pace; nothing else waits for them."""

import asyncio
from collections import Counter

from aiohttp import web
from holding import Holding, holding
from paced import access, limited, provider, sync
from shop import Asked, Shop, open_shop
from test_bucket import most_in
from test_pace import THINGS, paced

from headrace.control.syncs import RateLimit
from headrace.db.pool import Database
from headrace.engine.pace import Pace, Priority

ALLOWED = 100
"""Requests a second, of which the sweeps may have twenty."""
SWEPT = ("order", "note", "tag", "document")
AT_SERVER_S = 0.75
"""Counted where they arrive, a window is shorter by what the network may shift."""


def fill(shop: Shop) -> None:
    for n in range(60):
        shop.put("order", f"o{n:02}", created=1_700_000_000 + n)
        shop.put("tag", f"t{n:02}", created=1_700_000_000 + n)
    for n in range(20):
        shop.put("note", f"n{n:02}", order=f"o{n:02}", created=1_700_000_000 + n)
        shop.put("document", f"d{n:02}", created=1_700_000_000 + n)


def swept(asked: Asked) -> bool:
    """A page of a listing, or one thing by itself: what changes is read from the events, and by `since`."""
    return asked.path != "/events" and "since" not in asked.query


async def sweep_all(held: Holding) -> None:
    await held.stop()
    for name in SWEPT:
        await held.sweep_now(f"shop:{name}")
    await held.start()

    async def over() -> bool:
        marks = (await held.rows("sweep")).values()
        return all(row["value"]["state"] == "waiting" and row["completed_at"] for row in marks)

    await held.until(over)


async def test_lists_confirmations_and_what_is_tried_again_have_a_fifth_of_the_pace_together(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop)
        async with holding(db, shop, SWEPT, rate_limit=RateLimit(ALLOWED, 1)) as held:
            await held.start()
            await held.read_to_the_end()
            for n in range(8):
                shop.remove("order", f"o{5 * n:02}", told=False)
                shop.remove("document", f"d{2 * n:02}", told=False)
            refused: Counter[str] = Counter()

            def fail(asked: Asked) -> web.Response | None:
                refused[asked.path] += swept(asked)
                return web.Response(status=500) if refused[asked.path] in (1, 3) else None

            shop.fail = fail
            begun = len(shop.asked)
            await sweep_all(held)
            assert await held.copies(shop, SWEPT)
            asked = [each for each in shop.asked[begun:] if swept(each)]
            assert {each.path.split("/")[1] for each in asked} == set(SWEPT)
            assert any(each.path.count("/") == 2 for each in asked)  # one by one
            assert sum(each.status == 500 for each in asked) >= len(SWEPT)
            assert most_in(sorted(each.at.timestamp() for each in asked), AT_SERVER_S) <= ALLOWED / 5
            others = [each for each in shop.asked[begun:] if not swept(each)]
            assert others  # changes are read meanwhile


async def test_two_processes_have_one_fifth_between_them(db: Database) -> None:
    """As when a sync is taken over while requests of its former holder are still under way."""
    whose, moments = sync(RateLimit(ALLOWED, 1)), list[float]()

    async def one(pace: Pace) -> None:
        async with pace.permit(access(provider()), whose, THINGS, Priority.SWEEP):
            moments.append(asyncio.get_running_loop().time())

    async with paced(db) as one_process, paced(db) as another, asyncio.timeout(60):
        await asyncio.gather(*(one(pace) for pace in (one_process, another) for _ in range(25)))
    assert most_in(moments, AT_SERVER_S) <= ALLOWED / 5


async def test_while_a_sweep_pauses_nothing_waits_for_it_and_a_new_limit_counts_at_once(db: Database) -> None:
    """The next request of the sweep may go in seven minutes; the only place among the requests at once is free."""
    whose = sync(RateLimit(49, 3600, max_concurrent_requests=1))
    who = access(provider())
    async with paced(db) as pace, asyncio.timeout(60):

        async def one(priority: Priority) -> None:
            async with pace.permit(who, whose, THINGS, priority):
                pass

        await one(Priority.SWEEP)
        waiting = asyncio.create_task(one(Priority.SWEEP))
        await asyncio.sleep(0.2)
        await one(Priority.CHANGES)
        await one(Priority.BACKFILL)
        assert not waiting.done()
        pace.limit_sync(limited(whose, RateLimit(100_000, 1)))
        await waiting
