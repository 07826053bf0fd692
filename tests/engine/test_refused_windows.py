"""A server that knows no windows (an emulator, an older version) is read whole all the same."""

from aiohttp import web
from holding import holding
from shop import Asked, open_shop

from headrace.db.pool import Database

OLD = 1_700_000_000


async def test_a_listing_that_refuses_windows_is_read_without_them(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(300):
            shop.put("order", f"o{n:03}", created=OLD + n * 3600)
        shop.events.clear()
        refused = 0

        def refuse(asked: Asked) -> web.Response | None:
            nonlocal refused
            if asked.path == "/order" and {"lo", "hi"} & asked.query.keys():
                refused += 1
                return web.json_response({}, status=400)
            return None

        shop.fail = refuse
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            assert await held.copies(shop, ["order"])
            assert refused > 0  # windows were tried, so the refusal was what made it read without them
