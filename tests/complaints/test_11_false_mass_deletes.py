"""Complaint 11: a run broke off in the middle, what it had not seen counted as deleted, and the table was empty."""

from aiohttp import web
from holding import holding
from shop import Asked, open_shop

from headrace.db.pool import Database


async def test_a_comparison_that_breaks_off_deletes_nothing(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(60):
            shop.put("tag", f"t{n:02}")
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            broken = True

            def break_off(asked: Asked) -> web.Response | None:
                return web.json_response({}, status=403) if broken and "after" in asked.query else None

            shop.fail = break_off
            shop.remove("tag", "t07")
            await held.ask()

            async def told() -> bool:
                return (await held.health())["status"] == "error"

            await held.until(told)
            assert len(await held.copy("shop:tag")) == 60
            broken = False
            await held.ask()
            await held.until(lambda: held.copies(shop, ["tag"]))
