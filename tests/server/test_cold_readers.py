"""A process that has written nothing reads what another has packed with dictionaries, through every reading of the API.

Each reading is of a sync of its own, whose dictionary the process has not seen before.
"""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from processes import start_sync

from headrace.client import AsyncClient
from headrace.db.pool import Database
from headrace.stream import dictionaries
from headrace.stream.append import append
from headrace.stream.codec import WITH_DICTIONARY
from headrace.stream.consumers import Dispatcher
from headrace.stream.items import Batch, Fence, Record
from headrace.stream.wake import Wakeups
from headrace.testing.processes import ServeProcess
from headrace.testing.stripe import StripeServer

COLLECTION = "stripe:customer"
COUNT = 20


def content(number: int) -> dict[str, object]:
    return {"id": f"cus_{number:05}", "object": "customer", "description": "Sold on account, paid later, not returned."}


def records(db: Database, first: int, count: int) -> Batch:
    raws = [
        b'{"id":"cus_%05d","object":"customer","description":"%s"}' % (n, b"Sold on account, paid later, not returned.")
        for n in range(first, first + count)
    ]
    return Batch([Record(COLLECTION, f"{first + n}", raw, db.clock.now()) for n, raw in enumerate(raws)])


async def fill(db: Database, stream_id: UUID, sync_id: UUID) -> None:
    """A thousand records to learn from, which go again, and some that are packed with what was learnt."""
    row = await db.api.fetchrow(
        "select epoch, revision from sync_epochs where stream_id = $1 and sync_id = $2", stream_id, sync_id
    )
    assert row is not None
    fence = Fence(stream_id, sync_id, row["epoch"], row["revision"])
    await append(db, fence, records(db, 1000, 1000), {}, db.clock.now())
    assert await dictionaries.train(db, fence, COLLECTION)
    await db.api.execute("delete from records where sync_id = $1", sync_id)
    await db.api.execute("delete from events where sync_id = $1", sync_id)
    await append(db, fence, records(db, 0, COUNT), {}, db.clock.now())
    codecs = await db.api.fetch("select distinct codec from records where sync_id = $1", sync_id)
    assert [each["codec"] for each in codecs] == [WITH_DICTIONARY]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["records", "events"])
async def test_every_reading_opens_what_another_process_packed(db: Database, kind: str) -> None:
    wanted = [content(number) for number in range(COUNT)]
    wakeups = Wakeups(db)
    here = Dispatcher(db, wakeups)
    async with ServeProcess(database_url=db.dsn, role="api") as server, StripeServer(10) as provider:
        await server.ready()
        async with AsyncClient(server.url, server.token) as api:
            streams, consumers = {}, {}
            for name in ("one", "list", "first", "again", "dead"):
                sync = await start_sync(api, provider.base_url, name)
                streams[name] = sync["stream_id"]
                made = await api.consumers.create(stream_id=streams[name], name=name, kind=kind)
                consumers[name] = made["id"]
                await fill(db, UUID(streams[name]), UUID(sync["id"]))
            for name in ("again", "dead"):
                who = UUID(streams[name]), UUID(consumers[name])
                tokens = [token for token, _ in (await here.next(*who, COUNT, 0, asyncio.Event())).messages]
                await (here.nack(*who, tokens, 0) if name == "again" else here.term(*who, tokens, None))
            await here.close()

            row = "select record_id from records where stream_id = $1 and upstream_id = '7'"
            record_id = await db.api.fetchval(row, UUID(streams["one"]))
            assert (await api.records.get(str(record_id)))["data"] == wanted[7]
            listed = api.records.list if kind == "records" else api.events.list
            assert [each["data"] async for each in listed(stream_id=streams["list"])] == wanted
            for name in ("first", "again"):
                batch: Any = await api.consumers.next(consumers[name], COUNT)
                assert [each[kind[:-1]]["data"] for each in batch["data"]] == wanted
            dead = [each[kind[:-1]]["data"] async for each in api.consumers.dead_letters(consumers["dead"])]
            assert sorted(each["id"] for each in dead) == [each["id"] for each in wanted]
