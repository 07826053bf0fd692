"""Airtable's connector keeps the laws, with webhooks and without, in a calm world and in a hostile one."""

import asyncio
from datetime import timedelta

import pytest
from airtable_world import place, world

from headrace.testing import laws
from headrace.testing.airtable import AirtableServer, Fault
from headrace.testing.reader import Reader


def disturb(server: AirtableServer, changes: int) -> None:
    for _ in range(changes):
        server.mutator.change()


async def test_every_collection_is_complete_without_phantoms() -> None:
    async with world(1_500) as (_, driver, truth, every):
        copy = await laws.complete(driver, truth, every)
        assert {key for key in every if copy.alive(key)} == {*every} - {"airtable:webhook"}


async def test_all_readings_are_quiet() -> None:
    async with world(150) as (_, driver, truth, every):
        await laws.quiet(driver, truth, every, driver.now() - timedelta(days=400))


async def test_reading_resumes_at_every_page() -> None:
    async with world({"Orders": 250, "Customers": 40}) as (_, driver, truth, every):
        await laws.resumable(driver, truth, every)


@pytest.mark.parametrize("seed", range(3))
async def test_a_copy_converges_while_the_bases_change(seed: int) -> None:
    async with world(seed=seed) as (server, driver, truth, every):
        await laws.converges_alive(server, driver, truth, every, per_answer=3)
        assert server.world.changes > 400


async def test_the_order_of_the_pages_does_not_matter() -> None:
    async with world() as (server, driver, truth, every):
        told = [key for key in every if Reader(driver, every).told(key)]
        assert len(told) == 4
        await laws.in_order(driver, truth, every, lambda: disturb(server, 300))


async def test_a_sweep_deletes_nothing_that_is_there() -> None:
    async with world() as (server, driver, truth, every):
        await laws.no_phantom_delete(driver, truth, every, lambda: disturb(server, 3))


HOSTILE = {
    **laws.HOSTILE,
    "lists that died": Fault("iterator_gone", probability=0.3),
    "payloads that come late": Fault("late_payloads", probability=0.3, options={"delay_s": 0.5}),
    "duplicates": Fault("duplicates", probability=0.5),
    "records that change while they are read": Fault("changed_while_read", times=200),
    "formulas that filter nothing": Fault("formulas_ignored"),
}


@pytest.mark.parametrize("fault", HOSTILE.values(), ids=HOSTILE)
async def test_a_copy_converges_in_a_hostile_world(fault: Fault) -> None:
    async def rest() -> None:
        server.faults.clear("changed_while_read")
        await asyncio.sleep(0.6)

    async with world({"Orders": 130, "Customers": 40}, faults=[fault]) as (server, driver, truth, every):
        await laws.converges(driver, truth, every, lambda: disturb(server, 3), rest=rest)
        assert fault.kind == "clock" or server.faults.struck(fault.kind)


async def test_what_a_formula_makes_is_told_by_the_log_and_compared_where_there_is_none() -> None:
    async with world(120) as (server, driver, truth, _):
        base, table, logged = place(server)
        shared, other, compared = place(server, "Weir")
        reader = Reader(driver, [logged, compared])
        await reader.begin()
        await reader.backfill()
        server.world.reckon(base, table, 3)
        server.world.reckon(shared, other, 3)
        await reader.read_changes(driver.now() - timedelta(minutes=1))
        assert not reader.copy.difference(truth, [logged])
        assert reader.copy.difference(truth, [compared]).different
        await reader.sweep([compared])
        assert not reader.copy.difference(truth, [compared])
