"""Collections that are read partition by partition, oldest first, with a list of deletions: the copy equals the
provider, also while partitions come and go."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from holding import Holding, holding_at
from shop import KEY
from warehouse import DEPOT, Warehouse, open_warehouse

from headrace.db.pool import Database
from headrace.engine import horizons, partitions

OLD = 1_700_000_000


@pytest.fixture(autouse=True)
def _noticed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (partitions, horizons):
        monkeypatch.setattr(module, "KEPT", timedelta(seconds=1))


@asynccontextmanager
async def reading(db: Database, warehouse: Warehouse, **facts: object) -> AsyncIterator[Holding]:
    """A sync of the crates, started and searched."""
    async with holding_at(db, warehouse.url, ["depot:crate"], DEPOT, KEY, {"key": "very-secret-key"}, **facts) as held:
        await held.start()
        await held.found()
        yield held


def fill(warehouse: Warehouse, hall: str, count: int) -> None:
    for n in range(count):
        warehouse.crate(hall, f"{hall}{n:02}", created=OLD + n * 3600)


async def copies(held: Holding, warehouse: Warehouse) -> bool:
    return await held.copy("depot:crate") == warehouse.crates


async def test_every_partition_is_backfilled_followed_and_its_deletions_found(db: Database) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 42)
        fill(warehouse, "south", 7)
        async with reading(db, warehouse) as held:
            await held.read_to_the_end()
            assert await copies(held, warehouse)
            warehouse.crate("north", "north03", weight=5)
            warehouse.crate("south", "new", weight=1)
            warehouse.remove_crate("south", "south02")
            await held.until(lambda: copies(held, warehouse))
            gone = {record.upstream_id for record in await held.records() if record.deleted}
            assert gone == {"south02"}
            query = "select distinct partition from records where sync_id = $1 order by partition"
            kept = await db.api.fetch(query, held.sync.id)
            assert [row["partition"] for row in kept] == ["north", "south"]


async def test_a_partition_that_turns_up_is_read_whole(db: Database) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 12)
        async with reading(db, warehouse) as held:
            await held.read_to_the_end()
            asked = len(warehouse.asked)
            fill(warehouse, "east", 12)
            for crate in warehouse.halls["east"].crates.values():
                crate["updated"] = OLD  # nothing there has changed for years
            await held.until(lambda: copies(held, warehouse))

            async def done() -> bool:
                return bool((await held.rows("backfill"))["depot:crate"]["value"]["state"] == "done")

            await held.until(done)
            listed = [query for path, query in warehouse.asked[asked:] if path == "/north/crates"]
            assert all("since" in query for query in listed)  # what was read before is not listed again


async def test_a_partition_that_goes_stops_nothing_and_its_records_wait_for_a_persons_word(db: Database) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 8)
        fill(warehouse, "south", 12)
        async with reading(db, warehouse) as held:
            await held.read_to_the_end()
            lost = warehouse.halls.pop("north")
            warehouse.crate("south", "south01", weight=9)

            async def followed() -> bool:
                return (await held.copy("depot:crate"))["south01"] == warehouse.crates["south01"]

            await held.until(followed)
            assert (await held.copy("depot:crate")).keys() == lost.crates.keys() | warehouse.crates.keys()
            await held.stop()
            await held.sweep_now("depot:crate")
            await held.start()
            await held.until(lambda: copies(held, warehouse))
            assert (await held.health())["status"] == "healthy"


async def test_a_partition_that_is_refused_in_the_midst_of_a_backfill_is_looked_up(db: Database) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 8)
        fill(warehouse, "south", 8)
        warehouse.refused["/north/crates"] = 403
        async with reading(db, warehouse) as held:

            async def told() -> bool:
                return any("403" in note for note in (await held.health())["notes"])

            await held.until(told)  # it is still listed, so this is a missing permission
            assert (await held.state())["initial_backfill_completed_at"] is None
            del warehouse.halls["north"]
            warehouse.refused.clear()
            await held.stop()
            await held.start()
            await held.read_to_the_end()
            assert await copies(held, warehouse)
