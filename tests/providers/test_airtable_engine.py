"""Airtable's tables in the engine: a log that breaks, one that cannot be had, formulas that are not understood."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from airtable_world import place
from holding import Holding, holding_at

from headrace.db.pool import Database
from headrace.providers.airtable import AIRTABLE
from headrace.providers.airtable.access import TOKEN
from headrace.providers.airtable.account import DISCOVERY
from headrace.providers.kit import Context, Cursor, Discovered
from headrace.testing.airtable import AirtableServer, Truth
from headrace.testing.airtable.world import Base, Field, Table
from headrace.testing.copies import canonical

DAY_OLD = "update collection_refreshes set last_succeeded_at = last_succeeded_at - interval '25 hours'"


def _named(ctx: Context, cursor: Cursor | None) -> Discovered:
    """The search with ids that a test knows beforehand."""
    found, following = yield from DISCOVERY.page(ctx, cursor)
    names = [each.collection_id or f"airtable:{each.scope}.{each.upstream_id}" for each in found]
    return [replace(each, collection_id=name) for each, name in zip(found, names, strict=True)], following


PROVIDER = replace(AIRTABLE, discovery=replace(DISCOVERY, page=_named), _by_id={})


class Followed:
    """A sync of the orders of one base."""

    def __init__(self, server: AirtableServer, held: Holding, base: Base, table: Table, key: str) -> None:
        self.server, self.held, self.base, self.table, self.key = server, held, base, table, key
        self._truth = Truth(server.world)

    async def equal(self) -> bool:
        collection = self.held.access.provider.collection(self.key)
        assert collection is not None
        held = {record.upstream_id: record.data for record in await self.held.records(self.key) if not record.deleted}
        theirs = dict(self._truth(self.key))
        return held.keys() == theirs.keys() and all(
            canonical(raw, collection.canon) == canonical(theirs[key], collection.canon) for key, raw in held.items()
        )

    def change(self, text: str) -> None:
        """Change a record, and delete another."""
        first, second = [*self.table.rows][:2]
        self.server.world.update(self.base, self.table, first, {self.table.fields[0].id: text})
        self.server.world.delete(self.base, self.table, second)

    async def told(self, words: str) -> bool:
        return any(words in note for note in (await self.held.health())["notes"])


@asynccontextmanager
async def followed(db: Database, server: AirtableServer, base: str = "Mill") -> AsyncIterator[Followed]:
    """A sync that has found its table."""
    within, table, key = place(server, base)
    async with holding_at(db, server.base_url, [key], PROVIDER, TOKEN, {"token": "patEngine"}) as held:
        await held.start()
        await held.found()
        yield Followed(server, held, within, table, key)


async def test_a_webhook_that_was_deleted_costs_a_fresh_reading_and_nothing_else(db: Database) -> None:
    async with AirtableServer(60) as server, followed(db, server) as sync:
        await sync.held.read_to_the_end()
        assert len(sync.base.webhooks) == 1
        sync.base.webhooks.clear()
        sync.change("while nobody listened")  # no log tells of these
        await sync.held.until(sync.equal)
        assert len(sync.base.webhooks) == 1
        sync.change("heard again")
        await sync.held.until(sync.equal)


async def test_a_webhook_that_is_refused_is_told_and_keeps_nothing_back(db: Database) -> None:
    async with AirtableServer(60) as server:
        server.faults.add("forbidden", path="*/webhooks", method="POST")
        async with followed(db, server) as sync:
            await sync.held.read_to_the_end()
            assert await sync.equal()

            async def said() -> bool:
                return await sync.told("its tables are compared with what is held")

            await sync.held.until(said)
            sync.change("nobody tells")
            server.faults.clear("forbidden")
            await sync.held.stop()
            await sync.held.start()  # what failed is tried at once
            await sync.held.until(sync.equal)


async def test_a_field_that_is_added_is_read_for_every_record(db: Database) -> None:
    async with AirtableServer(60) as server, followed(db, server) as sync:
        await sync.held.read_to_the_end()
        sync.table.fields.append(Field("fldAdded000000000", "Born", "createdTime"))
        assert not await sync.equal()
        await sync.held.stop()
        await db.api.execute(DAY_OLD)
        await sync.held.hand_over()
        await sync.held.start()
        await sync.held.found()
        await sync.held.until(sync.equal)


async def test_where_formulas_are_not_understood_everything_is_read(db: Database) -> None:
    async with AirtableServer(60) as server:
        server.faults.add("no_formulas")
        async with followed(db, server, "Weir") as sync:
            await sync.held.read_to_the_end()
            first = next(iter(sync.table.rows))
            server.world.update(sync.base, sync.table, first, {sync.table.fields[0].id: "changed"})
            await sync.held.until(sync.equal)
            assert await sync.told("asked for by the time of change")
