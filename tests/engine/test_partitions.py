"""Collections that are read partition by partition, oldest first, with a list of deletions: the copy equals the
provider, also while partitions come and go."""

from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from holding import Holding, holding_at
from shop import KEY
from warehouse import DEPOT, PAGE, Warehouse, open_warehouse

from headrace.db.pool import Database
from headrace.engine import horizons, partitions
from headrace.http import Request, Response
from headrace.providers.kit import Context, Cursor, Faulted, Partitions

OLD = 1_700_000_000
Halls = Generator[Request, Response, tuple[list[tuple[str, str]], Cursor | None]]


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


async def followed(held: Holding, warehouse: Warehouse, key: str) -> bool:
    return bool((await held.copy("depot:crate"))[key] == warehouse.crates[key])


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
            await held.until(lambda: followed(held, warehouse, "south01"))
            assert (await held.copy("depot:crate")).keys() == lost.crates.keys() | warehouse.crates.keys()
            await held.stop()
            await held.sweep_now("depot:crate")
            await held.start()
            await held.until(lambda: copies(held, warehouse))
            assert (await held.health())["status"] == "healthy"


async def try_again(held: Holding) -> None:
    """Make what was set aside due."""
    await held.stop()
    await held.db.api.execute(
        "update set_aside set retry_at = $2 where sync_id = $1", held.sync.id, held.db.clock.now()
    )
    await held.start()


async def left_out(held: Holding) -> int:
    return int((await held.collections())["depot:crate"]["set_aside"])


async def test_a_partition_that_is_refused_keeps_none_of_the_others_back(db: Database) -> None:
    async with open_warehouse() as warehouse:
        for hall in ("east", "north", "south"):
            fill(warehouse, hall, 25)
        warehouse.refused["/north/crates"] = 403
        async with reading(db, warehouse) as held:
            await held.read_to_the_end()
            assert (await held.copy("depot:crate")).keys() == {
                key for hall in ("east", "south") for key in warehouse.halls[hall].crates
            }
            assert await left_out(held) == 1
            warehouse.crate("south", "south03", weight=5)
            await held.until(lambda: followed(held, warehouse, "south03"))
            health = await held.health()
            assert health["status"] == "warning"
            assert [note for note in health["notes"] if "refuses north: status 403" in note]
            warehouse.crate("north", "north07", weight=7)
            await try_again(held)  # and is refused again
            await held.until(lambda: followed(held, warehouse, "south03"))
            warehouse.refused.clear()
            await try_again(held)
            await held.until(lambda: copies(held, warehouse))
            warehouse.crate("north", "north08", weight=8)  # it is followed from now on
            await held.until(lambda: copies(held, warehouse))

            async def well() -> bool:
                return (await held.health())["status"] == "healthy"

            await held.until(well)
            assert await left_out(held) == 0


async def test_a_partition_that_was_refused_is_read_on_from_where_a_killed_process_was(db: Database) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 5 * PAGE)
        fill(warehouse, "south", 3)
        warehouse.refused["/north/crates"] = 403
        async with reading(db, warehouse) as held:
            await held.read_to_the_end()
            warehouse.refused.clear()
            stuck = str(3 * PAGE)
            warehouse.unanswered.add(("/north/crates", stuck))
            await try_again(held)

            async def on_its_way() -> bool:
                # What follows its changes meanwhile asks for pages of its own.
                whole = [query for path, query in warehouse.asked if path == "/north/crates" and "since" not in query]
                return any(query.get("at") == stuck for query in whole)

            await held.until(on_its_way)
            await held.kill()
            warehouse.crate("north", "north00", weight=3)  # its page was read; nobody looks meanwhile
            warehouse.unanswered.clear()
            asked = len(warehouse.asked)
            await held.start()
            await held.until(lambda: copies(held, warehouse))
            listed = [query for path, query in warehouse.asked[asked:] if path == "/north/crates"]
            whole = [int(query.get("at", 0)) for query in listed if "since" not in query]
            assert whole == [3 * PAGE, 4 * PAGE]

            async def forgotten() -> bool:
                return await left_out(held) == 0

            await held.until(forgotten)
            assert "depot:crate/north" not in await held.rows("backfill")


async def test_a_partition_that_is_refused_later_on_is_left_out_as_well(db: Database) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 12)
        fill(warehouse, "south", 12)
        async with reading(db, warehouse) as held:
            await held.read_to_the_end()
            warehouse.refused["/north/crates"] = 404
            warehouse.crate("north", "north03", weight=5)
            warehouse.crate("south", "south03", weight=5)
            await held.until(lambda: followed(held, warehouse, "south03"))

            async def set_aside() -> bool:
                return await left_out(held) == 1

            await held.until(set_aside)
            asked = sum(path == "/north/crates" for path, _ in warehouse.asked)
            warehouse.crate("south", "south04", weight=5)
            await held.until(lambda: followed(held, warehouse, "south04"))
            # One reading may have been on its way to it; it is not asked for again and again.
            assert sum(path == "/north/crates" for path, _ in warehouse.asked) <= asked + 1
            warehouse.refused.clear()
            await try_again(held)
            await held.until(lambda: copies(held, warehouse))


async def test_what_a_sweep_may_not_see_is_not_taken_for_gone(db: Database) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 12)
        fill(warehouse, "south", 12)
        async with reading(db, warehouse) as held:
            await held.read_to_the_end()
            await held.stop()
            warehouse.refused["/north/crates"] = 403
            del warehouse.halls["south"].crates["south05"]  # no list of deletions tells of it
            await held.sweep_now("depot:crate")
            await held.start()

            async def swept() -> bool:
                return "south05" not in await held.copy("depot:crate")

            await held.until(swept)
            assert await copies(held, warehouse)
            assert (await held.rows("sweep"))["depot:crate"]["value"]["left_out"] == ["north"]


@pytest.mark.parametrize("unplaced", [False, True])
async def test_what_was_read_under_another_name_of_a_refused_partition_is_not_taken_for_gone(
    db: Database, unplaced: bool
) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 12)
        fill(warehouse, "south", 14)
        async with reading(db, warehouse) as held:
            await held.read_to_the_end()
            await held.stop()
            if unplaced:
                await db.api.execute("update records set partition = null where upstream_id = 'north03'")
            warehouse.halls["north.2"] = warehouse.halls.pop("north")
            warehouse.refused["/north.2/crates"] = 403
            del warehouse.halls["south"].crates["south05"]  # no list of deletions tells of it
            await held.sweep_now("depot:crate")
            await held.start()

            async def swept() -> bool:
                return (await held.collections())["depot:crate"]["last_sweep_completed_at"] is not None

            await held.until(swept)
            assert await copies(held, warehouse)
            assert (await held.rows("sweep"))["depot:crate"]["value"]["left_out"] == ["north.2"]


async def test_a_collection_that_is_refused_in_every_partition_is_an_error(db: Database) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 8)
        fill(warehouse, "south", 8)
        warehouse.refused |= {"/north/crates": 403, "/south/crates": 403}
        async with reading(db, warehouse) as held:

            async def told() -> bool:
                return (await held.health())["status"] == "error"

            await held.until(told)
            assert any("403" in note for note in (await held.health())["notes"])
            assert (await held.state())["initial_backfill_completed_at"] is None
            assert await left_out(held) == 0
            warehouse.refused.clear()
            await held.stop()
            await held.start()
            await held.read_to_the_end()
            assert await copies(held, warehouse)


async def test_a_refused_partition_that_goes_is_forgotten(db: Database) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 8)
        fill(warehouse, "south", 8)
        warehouse.refused["/north/crates"] = 403
        async with reading(db, warehouse) as held:
            await held.read_to_the_end()
            assert await left_out(held) == 1
            del warehouse.halls["north"]
            await try_again(held)

            async def forgotten() -> bool:
                return await left_out(held) == 0

            await held.until(forgotten)
            assert await copies(held, warehouse)


@pytest.mark.parametrize("circle", [1, 2, 3])
def test_a_list_of_partitions_that_goes_in_circles_is_a_fault(circle: int) -> None:
    def page(ctx: Context, cursor: Cursor | None) -> Halls:
        at = 0 if cursor is None else int(cursor["at"])
        yield Request(f"/halls/{at}")
        return [(f"hall{at}", f"Hall {at}")], {"at": (at + 1) % circle}

    steps = partitions.every_partition(Partitions(page, str), Context({}, datetime(2026, 11, 23, tzinfo=UTC)))
    next(steps)
    for _ in range(circle):
        steps.send(Response(200, b"[]", datetime(2026, 11, 23, tzinfo=UTC)))
    with pytest.raises(Faulted, match="circles"):
        steps.send(Response(200, b"[]", datetime(2026, 11, 23, tzinfo=UTC)))
