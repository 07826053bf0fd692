"""Killed at every await while a partition that had been refused is read, and taken up by another: it is read whole."""

import pytest
from dying import Points, dying, reach
from holding import Holding, holding_at
from shop import KEY
from warehouse import DEPOT, PAGE, Warehouse, open_warehouse

from headrace.db.pool import Database
from headrace.db.queries import load

OLD = 1_700_000_000
SET_ASIDE = load("headrace.engine", "intake.sql").set_aside


def hide(warehouse: Warehouse, key: str) -> None:
    """A crate that changed so long ago that only a whole reading of its hall finds it."""
    warehouse.crate("north", key, created=OLD)
    warehouse.halls["north"].crates[key]["updated"] = OLD


async def refuse(held: Holding) -> None:
    """As if the hall had been refused until now."""
    now = held.db.clock.now()
    key = (held.sync.stream_id, held.sync.id, "depot:crate", "partition", "north", None, "it was refused")
    await held.db.api.execute(SET_ASIDE, *key, now, [now])


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_refused_partition_is_read_whole_through_a_death_at_every_await(db: Database) -> None:
    credential = (DEPOT, KEY, {"key": "very-secret-key"})
    async with (
        open_warehouse() as warehouse,
        holding_at(db, warehouse.url, ["depot:crate"], *credential) as held,
    ):
        for n in range(2 * PAGE):
            hide(warehouse, f"n{n:02}")
        warehouse.crate("south", "s1", created=OLD)
        await held.start()
        await held.found()
        await held.read_to_the_end()
        alive = held.services

        async def whole() -> bool:
            left = await db.api.fetchval("select count(*) from set_aside")
            return left == 0 and await held.copy("depot:crate") == warehouse.crates

        last = 0
        while True:
            last += 1
            await held.kill()
            hide(warehouse, f"late{last:03}")
            await refuse(held)
            points = Points(last)
            held.services = dying(alive, points)
            await held.start()
            await reach(held, alive, points, whole)
            assert "depot:crate/north" not in await held.rows("backfill")
            if not points.dead:
                break
            held.services = alive
        assert last > 12
