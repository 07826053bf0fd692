"""pyairtable reads the server: bases, schemas, records by list, formula and id, comments, webhooks with payloads."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from pyairtable import Api
from pyairtable.formulas import match
from pyairtable.models.webhook import WebhookNotification
from requests import HTTPError

from headrace.testing.airtable import AirtableServer
from headrace.testing.airtable.world import ENTERPRISE, Base, Table, World

T = TypeVar("T")


def api(server: AirtableServer, token: str = "patOfTests") -> Api:
    return Api(token, endpoint_url=server.base_url, retry_strategy=None)


async def asked(read: Callable[[], T]) -> T:
    return await asyncio.to_thread(read)


def orders(world: World) -> tuple[Base, Table]:
    base = next(each for each in world.bases.values() if each.name == "Mill")
    table = base.table("Orders")
    assert table is not None
    return base, table


async def test_bases_and_schemas_are_seen() -> None:
    async with AirtableServer(60) as server:
        base, table = orders(server.world)
        bases = await asked(lambda: api(server).bases())
        assert {each.id for each in bases} == set(server.world.bases)
        schema = await asked(lambda: api(server).base(base.id).schema())
        assert {each.id for each in schema.tables} == set(base.tables)
        assert [each.type for each in schema.table(table.id).fields] == [each.type for each in table.fields]


async def test_every_record_is_seen_by_list_formula_and_id() -> None:
    async with AirtableServer({"Orders": 250}) as server:
        base, table = orders(server.world)
        read = api(server).table(base.id, table.id)
        everything = await asked(lambda: read.all(use_field_ids=True))
        assert [each["id"] for each in everything] == [*table.rows]
        for record in everything:
            row = table.rows[record["id"]]
            assert record["fields"].get(table.fields[1].id) == row.cells.get(table.fields[1].id)
        row = next(each for each in table.rows.values() if table.fields[0].id in each.cells)
        name = row.cells[table.fields[0].id]
        assert row.id in [each["id"] for each in await asked(lambda: read.all(formula=match({"Name": name})))]
        assert (await asked(lambda: read.get(row.id)))["fields"]["Name"] == name
        with pytest.raises(HTTPError, match="403"):
            await asked(lambda: read.get("rec00000000000000"))


async def test_comments_are_seen() -> None:
    async with AirtableServer({"Orders": 3}) as server:
        base, table = orders(server.world)
        key = next(iter(table.rows))
        made = server.world.comment(table, key, "Grüße")
        comments = await asked(lambda: api(server).table(base.id, table.id).comments(key))
        assert (comments[-1].id, comments[-1].text) == (made, "Grüße")


async def test_who_may_work_in_a_base_is_seen() -> None:
    async with AirtableServer(60) as server:
        base, _ = orders(server.world)
        told = await asked(api(server).base(base.id).collaborators)
        persons, groups = told.individual_collaborators, told.group_collaborators
        assert {each.user_id for each in persons.via_base} | {each.group_id for each in groups.via_base} == {
            *base.members
        }
        assert [each.user_id for each in persons.via_workspace] == [*base.inherited]


async def test_the_log_of_an_enterprise_is_seen_from_either_end() -> None:
    async with AirtableServer(60) as server:
        log = api(server).enterprise(ENTERPRISE).audit_log

        def read(ascending: bool) -> list[str]:
            return [event.id for page in log(page_size=4, sort_asc=ascending) for event in page.events]

        oldest_first = await asked(lambda: read(True))
        assert {*oldest_first} == {each["id"] for each in server.world.audit}
        assert sorted(await asked(lambda: read(False))) == sorted(oldest_first)


async def test_a_webhook_is_made_read_and_taken_away() -> None:
    async with AirtableServer({"Orders": 5}) as server:
        base, table = orders(server.world)
        spec = {"options": {"filters": {"dataTypes": ["tableData"]}}}
        theirs = api(server).base(base.id)
        made = await asked(lambda: theirs.add_webhook("https://x.example/ping", spec))
        key, gone = [*table.rows][:2]
        server.world.update(base, table, key, {table.fields[0].id: "changed"})
        server.world.delete(base, table, gone)
        server.world.drop(base, next(each for each in base.tables.values() if each is not table))
        webhook = await asked(lambda: theirs.webhook(made.id))
        payloads = await asked(lambda: [*webhook.payloads()])
        assert [each.cursor for each in payloads] == [1, 2, 3]
        assert [*payloads[0].changed_tables_by_id[table.id].changed_records_by_id] == [key]
        assert payloads[1].changed_tables_by_id[table.id].destroyed_record_ids == [gone]
        assert {*payloads[2].destroyed_table_ids}.isdisjoint(base.tables)
        assert len(payloads[2].destroyed_table_ids) == 1

        body, headers = base.webhooks[made.id].ping(base.id, server.clock.now())
        told = WebhookNotification.from_request(
            body.decode(), headers["X-Airtable-Content-MAC"], made.mac_secret_base64
        )
        assert told.webhook.id == made.id
        await asked(webhook.delete)
        assert await asked(theirs.webhooks) == []


async def test_a_base_that_is_asked_too_often_is_silent_and_others_are_not() -> None:
    async with AirtableServer(60, limits="real") as server:
        server.shut_out_s = 60
        first, second = list(server.world.bases.values())[:2]

        def ask(base: Base) -> int:
            table = next(iter(base.tables))
            address = f"{server.base_url}/v0/{base.id}/{table}"
            return api(server).session.get(address, headers={"Authorization": "Bearer patOfTests"}).status_code

        server.faults.add("rate_limited", times=1)
        assert await asked(lambda: ask(first)) == 429
        assert await asked(lambda: ask(first)) == 429
        assert await asked(lambda: ask(second)) == 200


async def test_a_scope_that_is_missing_is_forbidden() -> None:
    async with AirtableServer(60) as server:
        server.scopes.discard("webhook:manage")
        base, _ = orders(server.world)
        with pytest.raises(HTTPError, match="INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"):
            await asked(api(server).base(base.id).webhooks)
