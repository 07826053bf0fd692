"""PATCH of what bounds a sync (pace, how long what is deleted stays), and of what bounds nothing, while it is read."""

import asyncio

from holding import holding
from shop import Asked, Shop, open_shop

from headrace.control.syncs import RateLimit
from headrace.db.pool import Database

HOUR = 3_600


async def _asked(shop: Shop, count: int) -> bool:
    return len(shop.asked) >= count


async def test_a_rate_limit_that_is_taken_away_holds_no_longer(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(400):
            shop.put("tag", f"t{n:03}")
        async with holding(db, shop, ["tag"], rate_limit=RateLimit(2, 10)) as held:
            held.services.pace.limit_sync(held.sync)
            await held.start()
            await held.until(lambda: _asked(shop, 2))
            assert not await held.backfilled()
            await held.patch(rate_limit=None)
            held.services.pace.limit_sync(held.sync)
            await held.read_to_the_end()  # forty pages, which took three minutes at two in ten seconds


async def test_deleted_records_leave_when_their_time_is_shortened(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(5):
            shop.put("order", f"o{n}")
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            shop.remove("order", "o1")
            await held.until(lambda: held.copies(shop, ["order"]))
            assert [record.upstream_id for record in await held.records() if record.deleted] == ["o1"]
            await held.patch(deleted_retention_days=1 / 86_400)

            async def left() -> bool:
                return not [record for record in await held.records() if record.deleted]

            await held.until(left)
            assert await held.copies(shop, ["order"])


async def test_an_external_id_disturbs_nothing(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o000")
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            revision = await db.api.fetchval("select revision from sync_epochs where sync_id = $1", held.sync.id)
            listed = shop.count("/order")
            assert (await held.patch(external_id="org_42")).external_id == "org_42"
            shop.put("order", "o000", total=1)
            await held.until(lambda: held.copies(shop, ["order"]))
            assert shop.count("/order") == listed
            assert revision == await db.api.fetchval(
                "select revision from sync_epochs where sync_id = $1", held.sync.id
            )


async def test_fewer_requests_at_once_hold_as_soon_as_those_under_way_are_done(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(400):
            shop.put("order", f"o{n:03}", created=1_700_000_000 + n * HOUR)
        shop.events.clear()
        most = 0

        async def linger(asked: Asked) -> None:
            nonlocal most
            most = max(most, shop.under_way)
            await asyncio.sleep(0.05)

        shop.before = linger
        async with holding(db, shop, ["order"]) as held:
            await held.start()

            async def several_at_once() -> bool:
                return most > 2

            await held.until(several_at_once)
            len_before = len(shop.asked)
            await held.patch(rate_limit=RateLimit(100_000, 1, 1))
            held.services.pace.limit_sync(held.sync)

            # Those that had their place before are done by then.
            await held.until(lambda: _asked(shop, len_before + 20))
            most, asked = 0, len(shop.asked)
            await held.until(lambda: _asked(shop, asked + 8))
            assert most == 1
            await held.read_to_the_end()
            await held.until(lambda: held.copies(shop, ["order"]))
