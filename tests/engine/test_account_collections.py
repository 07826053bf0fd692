"""The collections that are an account's own: found before anything is read, and read like any other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import working
from holding import Holding, holding_at
from shop import KEY
from warehouse import DEPOT, Warehouse, open_warehouse

from headrace.db.pool import Database
from headrace.engine.configurations import Configuration, Configurations
from headrace.engine.leases import Lease
from headrace.providers.salesforce import SALESFORCE
from headrace.settings import Settings
from headrace.testing.salesforce import SalesforceServer, Truth
from headrace.vault import collections


@asynccontextmanager
async def reading(db: Database, warehouse: Warehouse, *names: str) -> AsyncIterator[Holding]:
    """A sync of these collections, started, the account not searched yet."""
    ids = [f"depot:{name}" for name in names]
    async with holding_at(db, warehouse.url, ids, DEPOT, KEY, {"key": "very-secret-key"}) as held:
        await held.start()
        yield held


def rows(warehouse: Warehouse, hall: str, table: str, *fields: str) -> dict[str, Any]:
    held = warehouse.halls[hall].tables[table]
    return {key: {name: row.get(name) for name in ("id", *fields)} for key, row in held.items()}


async def search_again(held: Holding) -> None:
    """As if it were a day later."""
    await held.stop()
    day_old = "update collection_refreshes set last_succeeded_at = last_succeeded_at - interval '25 hours'"
    await held.db.api.execute(day_old)
    await held.hand_over()
    await held.start()


async def test_tables_are_found_then_read_then_followed(db: Database) -> None:
    async with open_warehouse() as warehouse:
        warehouse.fields = {"bolts": ["size"], "nuts": ["size"]}
        for n in range(12):
            warehouse.row("north", "bolts", f"b{n}", size=str(n))
            warehouse.row("south", "nuts", f"n{n}", size=str(n))
        async with reading(db, warehouse, "bolts", "nuts") as held:
            await held.found()
            await held.read_to_the_end()
            assert await held.copy("depot:bolts") == rows(warehouse, "north", "bolts", "size")
            assert await held.copy("depot:nuts") == rows(warehouse, "south", "nuts", "size")
            assert warehouse.asked[0][0] == "/tables"

            for n in range(7):  # more than a page of the log
                warehouse.row("north", "bolts", f"b{n}", size="changed")
            warehouse.remove_row("north", "bolts", "b9")

            async def followed() -> bool:
                return await held.copy("depot:bolts") == rows(warehouse, "north", "bolts", "size")

            await held.until(followed)


async def test_a_table_that_is_not_there_is_told_and_looked_for_again(db: Database) -> None:
    async with open_warehouse() as warehouse:
        warehouse.fields = {"bolts": ["size"], "nuts": ["size"]}
        warehouse.row("north", "bolts", "b1", size="1")
        async with reading(db, warehouse, "bolts", "nuts") as held:
            await held.found()

            async def bolts_are_read() -> bool:
                return await held.copy("depot:bolts") == rows(warehouse, "north", "bolts", "size")

            await held.until(bolts_are_read)

            async def told() -> bool:
                return (await held.health())["status"] == "error"

            await held.until(told)
            [note] = (await held.health())["notes"]
            assert note.startswith("depot:nuts was not found in the account")
            assert (await held.collections())["depot:nuts"]["phase"] == "missing"
            assert (await held.state())["initial_backfill_completed_at"] is None

            warehouse.row("north", "nuts", "n1", size="1")
            await search_again(held)
            await held.found()
            await held.read_to_the_end()
            assert await held.copy("depot:nuts") == rows(warehouse, "north", "nuts", "size")

            async def healthy() -> bool:
                return (await held.health())["status"] == "healthy"

            await held.until(healthy)


async def test_a_table_with_a_new_field_is_read_anew(db: Database) -> None:
    async with open_warehouse() as warehouse:
        warehouse.fields = {"bolts": ["size"]}
        warehouse.row("north", "bolts", "b1", size="1", colour="red")
        async with reading(db, warehouse, "bolts") as held:
            await held.found()
            await held.read_to_the_end()
            assert await held.copy("depot:bolts") == {"b1": {"id": "b1", "size": "1"}}

            warehouse.fields["bolts"].append("colour")
            await search_again(held)
            await held.found()

            async def coloured() -> bool:
                return await held.copy("depot:bolts") == {"b1": {"id": "b1", "size": "1", "colour": "red"}}

            await held.until(coloured)


async def test_a_search_that_fails_is_told_and_tried_again(db: Database) -> None:
    async with open_warehouse() as warehouse:
        warehouse.fields = {"bolts": []}
        warehouse.row("north", "bolts", "b1")
        warehouse.refused["/tables"] = 404
        async with reading(db, warehouse, "bolts") as held:

            async def told() -> bool:
                return (await held.health())["status"] == "error"

            await held.until(told)
            assert any("discovery of the account's collections" in note for note in (await held.health())["notes"])
            async with db.api.acquire() as conn:
                state = await collections.refresh_of(conn, held.sync.org_id, held.sync.credential_id, db.clock.now())
            assert state is not None
            assert state.status == "failed"
            assert {path for path, _ in warehouse.asked} == {"/tables"}

            warehouse.refused.clear()
            await held.stop()
            await held.start()
            await held.found()
            await held.read_to_the_end()


async def refused(held: Holding) -> None:
    """Wait until the search was refused, and hand over what is known then."""

    async def told() -> bool:
        return any("may not list" in note for note in (await held.health())["notes"])

    await held.until(told)
    await held.hand_over()


async def test_a_search_that_is_refused_keeps_back_what_it_would_find_alone(db: Database) -> None:
    async with open_warehouse() as warehouse:
        warehouse.fields = {"bolts": []}
        warehouse.row("north", "bolts", "b1")
        warehouse.crate("north", "c1")
        warehouse.refused["/tables"] = 403
        async with reading(db, warehouse, "bolts", "crate") as held:
            await refused(held)

            async def crates_are_read() -> bool:
                return await held.copy("depot:crate") == warehouse.crates

            await held.until(crates_are_read)
            warehouse.crate("north", "c2")
            await held.until(crates_are_read)
            health = await held.health()
            assert health["status"] == "error"
            assert any(note.startswith("The credential may not list the account's own") for note in health["notes"])
            assert any(note.startswith("depot:bolts is not read") for note in health["notes"])
            assert (await held.state())["initial_backfill_completed_at"] is None

            warehouse.refused.clear()
            await held.stop()
            await held.start()
            await held.found()
            await held.read_to_the_end()
            assert await held.copy("depot:bolts") == rows(warehouse, "north", "bolts")

            async def healthy() -> bool:
                return (await held.health())["status"] == "healthy"

            await held.until(healthy)


async def test_what_was_found_goes_on_while_the_search_is_refused(db: Database) -> None:
    async with open_warehouse() as warehouse:
        warehouse.fields = {"bolts": ["size"]}
        warehouse.row("north", "bolts", "b1", size="1")
        async with reading(db, warehouse, "bolts") as held:
            await held.found()
            await held.read_to_the_end()
            warehouse.refused["/tables"] = 403
            await search_again(held)
            await refused(held)
            warehouse.row("north", "bolts", "b1", size="2")

            async def followed() -> bool:
                return await held.copy("depot:bolts") == rows(warehouse, "north", "bolts", "size")

            await held.until(followed)


async def test_an_org_whose_objects_may_not_be_listed_is_read_as_far_as_it_is_declared(db: Database) -> None:
    """Salesforce's own server: its standard objects are described one by one, the custom ones are found by the list."""
    wanted = ["salesforce:account", "salesforce:Invoice__c"]
    async with SalesforceServer({"Account": 20, "Invoice__c": 5}) as org:
        truth = Truth(org.org)
        org.faults.add("forbidden", path="*/sobjects")
        kind = replace(SALESFORCE.kinds[0], grant=None)  # its session does not end here
        properties = {"access_token": org.session(), "instance_url": org.base_url}
        async with holding_at(db, org.base_url, wanted, SALESFORCE, kind, properties) as held:

            async def has(key: str) -> bool:
                return {*await held.copy(key)} == {record_id for record_id, _ in truth(key)}

            await held.start()
            await refused(held)
            await held.until(partial(has, "salesforce:account"))
            assert not await held.copy("salesforce:Invoice__c")

            org.faults.clear("forbidden")
            await held.stop()
            await held.start()
            await held.found()
            await held.until(partial(has, "salesforce:Invoice__c"))
            assert (await held.rows("backfill"))["salesforce:account"]["value"]["cause"] == "asked"


async def test_a_log_that_no_longer_reaches_back_leads_to_a_fresh_backfill_and_sweep(db: Database) -> None:
    async with open_warehouse() as warehouse:
        warehouse.fields = {"bolts": ["size"]}
        for n in range(8):
            warehouse.row("north", "bolts", f"b{n}", size=str(n))
        async with reading(db, warehouse, "bolts") as held:
            await held.found()
            await held.read_to_the_end()
            await held.stop()
            warehouse.row("north", "bolts", "b1", size="missed")
            warehouse.remove_row("north", "bolts", "b2")
            warehouse.halls["north"].oldest = len(warehouse.halls["north"].log)
            warehouse.row("north", "bolts", "b3", size="after")
            await held.start()

            async def whole() -> bool:
                return await held.copy("depot:bolts") == rows(warehouse, "north", "bolts", "size")

            await held.until(whole)
            assert (await held.rows("backfill"))["depot:bolts"]["value"]["cause"] == "gap"


async def test_a_worker_notices_that_an_account_was_searched(db: Database) -> None:
    made = await working.make(db, "http://127.0.0.1:9", 1)
    [sync] = made.syncs
    configurations = Configurations(db, await working.keyring(db), {"example": working.EXAMPLE}, Settings())
    lease = Lease(sync.stream_id, sync.id, sync.org_id, 1, 0)
    found = (await configurations.load([lease]))[sync.id]
    assert isinstance(found, Configuration)
    assert await configurations.changed({sync.id: found.mark}) == []
    started = db.clock.now()
    async with db.transaction() as conn:
        await collections.start(conn, made.org_id, made.credential_id, started)
        await collections.succeed(conn, made.org_id, made.credential_id, "example", started, [], db.clock.now())
    assert await configurations.changed({sync.id: found.mark}) == [sync.id]
    again = (await configurations.load([lease]))[sync.id]
    assert isinstance(again, Configuration)
    assert await configurations.changed({sync.id: again.mark}) == []


async def test_a_worker_notices_that_an_account_may_not_be_searched(db: Database) -> None:
    made = await working.make(db, "http://127.0.0.1:9", 1)
    [sync] = made.syncs
    configurations = Configurations(db, await working.keyring(db), {"example": working.EXAMPLE}, Settings())
    lease = Lease(sync.stream_id, sync.id, sync.org_id, 1, 0)
    found = (await configurations.load([lease]))[sync.id]
    assert isinstance(found, Configuration)
    for _ in range(2):  # the second time is no news
        started = db.clock.now()
        async with db.transaction() as conn:
            await collections.start(conn, made.org_id, made.credential_id, started)
            await collections.fail(conn, made.org_id, made.credential_id, started, "{}", db.clock.now())
        assert await configurations.changed({sync.id: found.mark}) == [sync.id]
        again = (await configurations.load([lease]))[sync.id]
        assert isinstance(again, Configuration)
        assert await configurations.changed({sync.id: again.mark}) == []
        assert again.access.may_read
