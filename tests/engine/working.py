"""Workers for the tests: syncs of the example provider in the database, and a worker over them, here or as a process.

python tests/engine/working.py DSN
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from paced import KIND, SECRET, provider

from headrace.control import orgs, streams
from headrace.control.streams import Stream
from headrace.control.syncs import Sync
from headrace.db.pool import Database
from headrace.engine import patch
from headrace.engine.pace import Pace
from headrace.engine.services import EngineServices
from headrace.engine.transport import Transport
from headrace.engine.worker import Worker
from headrace.http import Request
from headrace.ids import uuid7
from headrace.providers.kit import Account, Collection, Context, Cursor, Listing, Page, Provider, Record, Steps, Window
from headrace.settings import Settings
from headrace.stream import lifecycle
from headrace.stream.wake import Wakeups
from headrace.vault import credentials
from headrace.vault.drafts import Draft, Verdict
from headrace.vault.keys import Keyring
from headrace.vault.sealing import Key

MASTER = Key(UUID(int=7), bytes(range(32)))


def page(context: Context, window: Window, cursor: Cursor | None) -> Steps:
    response = yield Request("/things")
    things = response.decode(dict[str, list[dict[str, str]]])["data"]
    return Page([Record("example:thing", thing["id"], b"{}", response.sent_at) for thing in things])


EXAMPLE: Provider = replace(
    provider(), collections=(Collection("example:thing", "thing", listing=Listing(page)),), _by_id={}
)


@dataclass
class Made:
    """What stands in the database: one organisation, a credential, and syncs over some streams."""

    org_id: UUID
    credential_id: UUID
    syncs: list[Sync]

    @property
    def sync_ids(self) -> set[UUID]:
        return {sync.id for sync in self.syncs}

    @property
    def streams(self) -> list[UUID]:
        return sorted({sync.stream_id for sync in self.syncs})


async def keyring(db: Database) -> Keyring:
    ring = Keyring((MASTER,))
    async with db.api.acquire() as connection:
        await ring.check(connection)
    return ring


async def make(db: Database, base_url: str, count: int, streams_count: int = 2, **facts: Any) -> Made:
    """Syncs of the example provider at `base_url`; `facts` are fields of each Sync."""
    now, ring = db.clock.now(), await keyring(db)
    async with db.transaction() as connection:
        org = await orgs.create(connection, "example", now)
        made_streams = [Stream(org.org_id, uuid7(), f"s{number}", 0, now, now) for number in range(streams_count)]
        for stream in made_streams:
            await streams.insert(connection, stream)
            await lifecycle.create_stream(connection, stream.id, now)
        draft = Draft("example", KIND, {"secret": SECRET, "base_url": base_url}, name="example")
        credential = await credentials.import_(connection, ring, org.org_id, draft, Verdict(Account(id="account")), now)
        made = [
            await _sync(connection, made_streams[number % streams_count], credential.id, number, now, facts)
            for number in range(count)
        ]
    return Made(org.org_id, credential.id, made)


async def _sync(connection: Any, stream: Stream, credential_id: UUID, number: int, now: Any, facts: Any) -> Sync:
    sync = Sync(
        org_id=stream.org_id,
        id=uuid7(),
        stream_id=stream.id,
        provider="example",
        credential_id=credential_id,
        name=f"sync {number}",
        status="active",
        collection_ids=("example:thing",),
        rate_limit=None,
        max_age_days=None,
        sync_frequency="continuous",
        max_poll_ms=60_000,
        deleted_retention_days=None,
        external_id=None,
        metadata="{}",
        created_at=now,
        updated_at=now,
    )
    sync = replace(sync, **facts)
    await patch.create_sync(connection, sync, now)
    return sync


@asynccontextmanager
async def services(db: Database, **settings: Any) -> AsyncIterator[EngineServices]:
    """The services of a process of its own."""
    chosen = Settings(**{"allow_base_url": True, "limits_override": "none", "lease_ttl_s": 3.0} | settings)
    worker_id = uuid7()
    pace = Pace(db, worker_id, chosen)
    transport = Transport(db, pace, chosen)
    wakeups = Wakeups(db)
    await wakeups.start()
    try:
        yield EngineServices(
            db, await keyring(db), {"example": EXAMPLE}, chosen, db.clock, wakeups, transport, pace, worker_id
        )
    finally:
        await transport.close()
        await wakeups.stop()


@asynccontextmanager
async def working(db: Database, **settings: Any) -> AsyncIterator[Worker]:
    """A worker that has started; it is stopped in good order."""
    async with services(db, **settings) as made:
        worker = Worker(made)
        await worker.start()
        try:
            yield worker
        finally:
            await worker.stop()


async def owners(db: Database) -> dict[UUID, UUID | None]:
    """Who owns each sync, by the rows."""
    return {
        row["sync_id"]: row["owner"]
        for row in await db.api.fetch("select sync_id, owner from sync_epochs where not deleted")
    }


async def main(dsn: str) -> None:
    db = await Database.open(dsn, api_size=4, ingest_size=2)
    async with working(db) as worker:
        print(worker.status()["worker_id"], flush=True)
        # The parent closes our input when we are to stop in good order.
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
