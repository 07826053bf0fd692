"""How much a backfill has to read, and how long it still takes, is told where the provider tells it, of the whole."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from holding import Holding, holding, holding_at
from shop import KEY, PAGE, SHOP, Asked, Shop, open_shop
from warehouse import DEPOT, open_warehouse

from headrace.db.pool import Database
from headrace.engine import status
from headrace.engine.expected import MOST_COUNTS, may_count
from headrace.http import Request
from headrace.providers.kit import Context, Counting, Cursor, Page, Steps, Total, Window

THINGS = 50
CRATES = DEPOT.collections[0]
assert CRATES.listing is not None


async def left(held: Holding, collection: str, at: datetime) -> int | None:
    """The seconds that are left of its backfill, as told at this moment."""
    async with held.db.api.acquire() as conn:
        shown = await status.collections(conn, held.sync, held.access.provider, at)
    [seconds] = [row["eta_seconds"] for row in shown if row["id"] == collection]
    assert seconds is None or isinstance(seconds, int)
    return seconds


@asynccontextmanager
async def after_two_pages(held: Holding, shop: Shop, kind: str) -> AsyncIterator[datetime]:
    """The third is not answered before the block ends; gives when the backfill began."""
    go_on = asyncio.Event()

    def stop_there(asked: Asked) -> object:
        return go_on.wait() if asked.path == f"/{kind}" and shop.count(f"/{kind}") > 2 else None

    shop.before = stop_there
    await held.start()

    async def there() -> bool:
        row = (await held.rows("backfill")).get(f"shop:{kind}")
        return row is not None and row["records"] == 2 * PAGE

    await held.until(there)
    yield (await held.rows("backfill"))[f"shop:{kind}"]["started_at"]
    go_on.set()
    await held.read_to_the_end()


async def test_what_the_provider_counts_tells_how_long_it_still_takes(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(THINGS):
            shop.put("tag", f"t{n:02}", created=1_700_000_000 + n)
        async with holding(db, shop, ["tag"]) as held:
            async with after_two_pages(held, shop, "tag") as began:

                async def counted() -> bool:
                    return bool((await held.collections())["shop:tag"]["expected"] == THINGS)

                await held.until(counted)
                assert await left(held, "shop:tag", began) is None  # no speed is known yet
                assert await left(held, "shop:tag", began + timedelta(seconds=60)) == 90
                assert await left(held, "shop:tag", began + timedelta(hours=2)) == 3 * 3600
            assert await left(held, "shop:tag", began + timedelta(hours=2)) is None
            assert shop.count("/count/tag") == 1


async def test_what_fits_on_a_page_is_not_counted(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("tag", "t1")
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            assert shop.count("/count/tag") == 0


def orders_counted(ctx: Context, window: Window) -> Counting:
    response = yield Request("/count/order")
    return Total.in_pages(response.json()["total"], PAGE)


@pytest.mark.parametrize("with_parents", [True, False])
async def test_what_comes_in_the_listing_of_its_parents_takes_as_long_as_they_do(
    db: Database, with_parents: bool
) -> None:
    """The number of the parents is not that of what is embedded in them."""
    order = SHOP.collections[0]
    assert order.listing is not None
    listing = replace(order.listing, windowed=None, count=orders_counted)
    counting = replace(SHOP, collections=(replace(order, listing=listing), *SHOP.collections[1:]), _by_id={})
    async with open_shop() as shop:
        for n in range(THINGS):
            shop.put("order", f"o{n:02}", created=1_700_000_000 + n, items=["a"])
        names = ["order", "item"] if with_parents else ["item"]
        async with holding(db, shop, names, counting) as held:
            last = asyncio.Event()

            def stop_at_the_end(asked: Asked) -> object:
                return last.wait() if "after" in asked.query and shop.count("/order") == THINGS // PAGE else None

            shop.before = stop_at_the_end
            await held.start()

            async def told() -> bool:
                rows = (await held.collections()).values()
                known = [row["expected"] for row in rows if row["id"] == "shop:order"]
                return all(row["records_read"] == 40 for row in rows) and known in ([], [THINGS])

            await held.until(told)
            began = (await held.rows("backfill"))["shop:item"]["started_at"]
            assert (await held.collections())["shop:item"]["expected"] is None
            at = began + timedelta(hours=1) if began else held.db.clock.now() + timedelta(hours=1)
            seconds = await left(held, "shop:item", at)
            assert seconds == (await left(held, "shop:order", at) if with_parents else None)
            assert (seconds is not None) is with_parents
            last.set()
            await held.read_to_the_end()


def hall_by_hall(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
    """Each page tells how much there is in its hall."""
    assert CRATES.listing is not None
    page: Page = yield from CRATES.listing.page(ctx, window, cursor)
    page.expected = {"north": 12, "south": 7}[str(ctx.partition)]
    return page


@pytest.mark.parametrize(("counts", "expected"), [(True, 19), (False, None)])
async def test_the_number_in_one_partition_is_not_taken_for_the_whole(
    db: Database, counts: bool, expected: int | None
) -> None:
    assert CRATES.listing is not None
    count = CRATES.listing.count if counts else None
    listing = replace(CRATES.listing, page=hall_by_hall, windowed=None, count=count)
    provider = replace(DEPOT, collections=(replace(CRATES, listing=listing),), _by_id={})
    async with open_warehouse() as warehouse:
        for hall, crates in (("north", 12), ("south", 7)):
            for n in range(crates):
                warehouse.crate(hall, f"{hall}{n:02}", created=1_700_000_000 + n)
        warehouse.unanswered.add(("/north/crates", "10"))
        key = {"key": "very-secret-key"}
        async with holding_at(db, warehouse.url, ["depot:crate"], provider, KEY, key) as held:
            await held.start()
            await held.found()

            async def told() -> bool:
                row = (await held.collections())["depot:crate"]
                return bool(row["records_read"] == 17 and row["expected"] == expected)

            await held.until(told)
            seconds = await left(held, "depot:crate", held.db.clock.now() + timedelta(hours=1))
            assert (seconds is not None) is counts


def test_of_very_many_partitions_the_provider_is_not_asked() -> None:
    assert may_count(CRATES, ["hall"] * MOST_COUNTS)
    assert not may_count(CRATES, ["hall"] * (MOST_COUNTS + 1))
