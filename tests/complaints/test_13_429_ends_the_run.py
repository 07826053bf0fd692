"""Complaint 13: a 429 ended the run, or used up its tries; a Retry-After of zero was taken for leave to hammer."""

from datetime import timedelta
from itertools import pairwise

from aiohttp import web
from holding import holding
from shop import Asked, open_shop

from headrace.db.pool import Database


async def test_many_refusals_in_a_row_are_waited_out(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(25):
            shop.put("tag", f"t{n:02}")
        refused: list[Asked] = []

        def refuse(asked: Asked) -> web.Response | None:
            if asked.path == "/tag" and "after" in asked.query and len(refused) < 7:
                refused.append(asked)
                return web.json_response({}, status=429, headers={"Retry-After": "0"})
            return None

        shop.fail = refuse
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            errors: set[int] = set()

            async def done() -> bool:
                errors.add((await held.health())["consecutive_errors"])
                return await held.backfilled()

            await held.until(done, within=120)
            assert await held.copies(shop, ["tag"])
            assert len(refused) == 7
            pauses = [later.at - earlier.at for earlier, later in pairwise(refused)]
            assert min(pauses) > timedelta(milliseconds=100)
            assert errors == {0}
