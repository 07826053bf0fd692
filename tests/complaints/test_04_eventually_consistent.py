"""Complaint 4: the provider shows a change only after the cursor has passed its moment, and it is never read."""

from dataclasses import replace
from datetime import datetime, timedelta

from holding import holding
from shop import SHOP, open_shop

from headrace.clock import from_unix
from headrace.db.pool import Database

PATIENT = replace(SHOP, feeds=(replace(SHOP.feeds[0], settle=timedelta(seconds=8)),), _by_id={})


async def test_a_change_that_shows_behind_the_cursor_is_found(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o1")
        shop.events.clear()
        async with holding(db, shop, ["order"], PATIENT) as held:
            await held.start()
            await held.read_to_the_end()
            shop.put("order", "o1", total=7)
            late = shop.events[-1]
            shop.late.add(late["id"])

            async def cursor_is_past() -> bool:
                position = (await held.rows("changes"))["feed:events"]["value"]["position"]
                return datetime.fromisoformat(position) > from_unix(late["at"] + 1)

            await held.until(cursor_is_past)
            assert not await held.copies(shop, ["order"])
            shop.late.clear()
            await held.until(lambda: held.copies(shop, ["order"]), within=60)
