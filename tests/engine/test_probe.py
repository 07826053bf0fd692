"""What a sweep misses is asked for at its own address: gone when the provider says so, kept when it does not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from holding import Holding, holding_at
from shop import KEY
from warehouse import DEPOT, Warehouse, open_warehouse

from headrace.db.pool import Database
from headrace.http import Request
from headrace.providers.kit import Context, Delete, Page, Record, Steps

OLD = 1_700_000_000


def probe(ctx: Context, record: Record) -> Steps:
    """By the hall in which it stands and the label that it bears."""
    assert ctx.partition == record.partition
    label = record.raw.partition(b'"label":"')[2].partition(b'"')[0].decode()
    response = yield Request(f"/{ctx.partition}/crates/{label}", accept=(404,))
    return Page([Delete(record.collection, record.id, response.sent_at)] if response.status == 404 else [])


CRATES = DEPOT.collections[0]
ASKING = replace(DEPOT, collections=(replace(CRATES, deletes="sweep", deleted=None, probe=probe),), _by_id={})


@asynccontextmanager
async def read(db: Database, warehouse: Warehouse) -> AsyncIterator[Holding]:
    """A sync of the crates that was read to the end, and rests."""
    key = {"key": "very-secret-key"}
    async with holding_at(db, warehouse.url, ["depot:crate"], ASKING, KEY, key) as held:
        await held.start()
        await held.found()
        await held.read_to_the_end()
        await held.stop()
        yield held


async def sweep(held: Holding) -> None:
    """One whole sweep."""
    await held.sweep_now("depot:crate")
    await held.start()

    async def over() -> bool:
        mark = (await held.rows("sweep"))["depot:crate"]["value"]
        return mark["state"] == "waiting" and mark["read_at"] is not None

    await held.until(over)
    await held.stop()


def fill(warehouse: Warehouse, hall: str, count: int) -> None:
    for n in range(count):
        key = f"{hall}{n:03}"
        warehouse.crate(hall, key, created=OLD + n * 3600, label=key)


def asked(warehouse: Warehouse) -> list[str]:
    return [path for path, _ in warehouse.asked if "/crates/" in path]


async def test_what_is_gone_is_deleted_after_one_pass_and_what_is_there_is_kept(db: Database) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 12)
        fill(warehouse, "south", 6)
        async with read(db, warehouse) as held:
            hidden = warehouse.halls["north"].crates.pop("north003")
            del warehouse.halls["north"].crates["north007"]
            # The one is still to be had where its label leads, which is not where its id would; no list shows it.
            warehouse.halls["north"].hidden["north003"] = hidden
            begun = len(warehouse.asked)
            await sweep(held)
            assert sorted(asked(warehouse)) == ["/north/crates/north003", "/north/crates/north007"]
            assert (await held.copy("depot:crate")).keys() == warehouse.crates.keys() | {"north003"}
            listed = [
                query for path, query in warehouse.asked[begun:] if path == "/north/crates" and "since" not in query
            ]
            assert sum("at" not in query for query in listed) == 1  # one whole pass


async def test_the_records_of_a_partition_that_is_not_listed_any_more_take_two_passes(db: Database) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 4)
        fill(warehouse, "south", 16)
        async with read(db, warehouse) as held:
            del warehouse.halls["north"]
            await sweep(held)
            assert asked(warehouse) == []  # where it stood is out of sight: an answer would tell nothing
            assert (await held.rows("sweep"))["depot:crate"]["value"]["passes"] == 2
            assert await held.copy("depot:crate") == warehouse.crates


async def test_a_whole_partition_that_goes_waits_for_a_persons_word_while_single_deletes_go_through(
    db: Database,
) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 101)
        fill(warehouse, "south", 20)
        async with read(db, warehouse) as held:
            gone = warehouse.halls.pop("north")
            del warehouse.halls["south"].crates["south004"]
            await sweep(held)
            assert (await held.copy("depot:crate")).keys() == warehouse.crates.keys() | gone.crates.keys()

            async def told() -> bool:
                health = await held.health()
                return health["status"] == "error" and any("101" in note for note in health["notes"])

            await held.start()  # it may have been stopped before it wrote its health
            await held.until(told)


async def test_one_that_may_not_be_asked_for_is_left_alone_and_holds_nothing_up(db: Database) -> None:
    async with open_warehouse() as warehouse:
        fill(warehouse, "north", 12)
        async with read(db, warehouse) as held:
            for key in ("north003", "north007"):
                del warehouse.halls["north"].crates[key]
            warehouse.refused["/north/crates/north003"] = 403
            await sweep(held)
            assert (await held.copy("depot:crate")).keys() == warehouse.crates.keys() | {"north003"}
            warehouse.refused.clear()
            await sweep(held)
            assert await held.copy("depot:crate") == warehouse.crates
