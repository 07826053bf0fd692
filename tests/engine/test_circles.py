"""A list that leads back to where it was is told, and not read for ever; what came with its last page is kept."""

import json

from aiohttp import web
from holding import Holding, holding
from shop import PAGE, Asked, Shop, open_shop

from headrace.db.pool import Database

OLD = 1_700_000_000


class Round:
    """The third page of a list leads to the second again."""

    def __init__(self, shop: Shop, path: str) -> None:
        self._shop, self._path = shop, path
        self._second: str | None = None
        self.shown: set[str] = set()
        """What pages showed that led back."""

    def __call__(self, asked: Asked) -> web.Response | None:
        if asked.path != self._path or "after" not in asked.query:
            return None
        if self._second is None:
            self._second = asked.query["after"]
        if asked.query["after"] == self._second:
            return None
        shown = json.loads(self._shop._answer(asked).text or "")
        self.shown |= {thing["id"] for thing in shown["data"]}
        return web.json_response({**shown, "next": self._second})


async def is_told(held: Holding) -> None:
    async def told() -> bool:
        return "would never end" in str(await held.health())

    await held.until(told)


async def test_a_backfill_keeps_what_came_with_the_page_that_led_back(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(5 * PAGE):
            shop.put("tag", f"t{n:03}", created=OLD + n * 3600)
        shop.fail = circle = Round(shop, "/tag")
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await is_told(held)
            assert circle.shown
            assert circle.shown <= (await held.copy("shop:tag")).keys()


async def test_a_sweep_keeps_what_came_with_the_page_that_led_back(db: Database) -> None:
    async with open_shop() as shop, holding(db, shop, ["tag"]) as held:
        await held.start()
        await held.read_to_the_end()
        await held.stop()
        for n in range(5 * PAGE):
            shop.put("tag", f"t{n:03}", created=OLD + n * 3600)
        shop.fail = circle = Round(shop, "/tag")
        await held.sweep_now("shop:tag")
        await held.start()
        await is_told(held)
        assert circle.shown
        assert circle.shown <= (await held.copy("shop:tag")).keys()
