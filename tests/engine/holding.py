"""A sync of the shop, held by a runner, for the tests of the engine."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from shop import KEY, SHOP, Shop

from headrace.control import orgs, streams, syncs
from headrace.control.streams import Stream
from headrace.control.syncs import Sync
from headrace.db.pool import Conn, Database
from headrace.engine import patch, status
from headrace.engine.access import Access
from headrace.engine.account_collections import for_sync
from headrace.engine.checkpoints import SweepMark, put, write
from headrace.engine.pace import Pace
from headrace.engine.runner import SyncRunner
from headrace.engine.services import EngineServices
from headrace.engine.transport import Transport
from headrace.ids import uuid7
from headrace.providers.kit import CredentialKind, Provider
from headrace.settings import Settings
from headrace.stream import lifecycle
from headrace.stream.items import Fence
from headrace.stream.read import StoredRecord, read_after
from headrace.stream.wake import Wakeups

INSERT_CREDENTIAL = """
insert into credentials (org_id, id, provider, kind, properties, secret_names, secrets, upsert_key, fingerprint,
                         account_hash, mode, health_at, created_at, updated_at)
values ($1, $2, $3, $4, '{}', '{key}', '', $5, $5, $5, 'live', $6, $6, $6)
"""
CLAIM = "update sync_epochs set epoch = epoch + 1 where stream_id = $1 and sync_id = $2 returning epoch, revision"
SEARCHED = "select last_succeeded_at, refused_at from collection_refreshes where org_id = $1 and credential_id = $2"
FENCE = "select epoch, revision from sync_epochs where stream_id = $1 and sync_id = $2"


@dataclass
class Holding:
    """One sync with all that it takes to read it. A worker's part is played here: claims, hand-overs, wake-ups."""

    db: Database
    services: EngineServices
    access: Access
    sync: Sync
    runner: SyncRunner | None = None
    task: asyncio.Task[None] | None = None

    async def claim(self) -> Fence:
        row = await self.db.api.fetchrow(CLAIM, self.sync.stream_id, self.sync.id)
        assert row is not None
        return Fence(self.sync.stream_id, self.sync.id, row["epoch"], row["revision"])

    async def start(self) -> SyncRunner:
        """Claim the sync and read it from its checkpoints."""
        self.runner = SyncRunner(self.services, self.sync, await self.claim(), self.access)
        self.task = asyncio.create_task(self.runner.run())
        return self.runner

    async def kill(self) -> None:
        """End the runner in the midst of whatever it does."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        self.runner = self.task = None

    async def stop(self) -> None:
        if self.runner is not None and self.task is not None:
            await self.runner.stop()
            await self.task
        self.runner = self.task = None

    async def patch(self, **changes: Any) -> Sync:
        """What PATCH does, and the hand-over by the worker."""
        async with self.db.transaction() as conn:
            done = await patch.patch_sync(
                conn, self.services.providers, self.sync.org_id, self.sync.id, changes, self.db.clock.now()
            )
        assert isinstance(done, Sync)
        await self.hand_over()
        return done

    async def hand_over(self) -> None:
        """Tell the runner what the rows say now, as the worker does."""
        async with self.db.api.acquire() as conn:
            self.sync = await syncs.get(conn, self.sync.org_id, self.sync.id)
            row = await conn.fetchrow(FENCE, self.sync.stream_id, self.sync.id)
            await self._see_account(conn)
        assert row is not None
        if self.runner is not None:
            fence = Fence(self.sync.stream_id, self.sync.id, row["epoch"], row["revision"])
            self.runner.reconfigure(self.sync, fence, self.access)

    async def _see_account(self, conn: Conn) -> None:
        """The access as the account's own collections are known by now."""
        provider = self.services.providers[self.sync.provider]
        row = await conn.fetchrow(SEARCHED, self.sync.org_id, self.sync.credential_id)
        plain = replace(self.access, provider=provider).searched(*(row or (None, None)))
        self.access = await for_sync(conn, plain, self.sync)

    async def found(self) -> None:
        """Wait until the account was searched for its own collections, and hand over what was found."""
        before = self.access.searched_at

        async def searched() -> bool:
            at = await self.db.api.fetchval(SEARCHED, self.sync.org_id, self.sync.credential_id)
            return at is not None and at != before

        await self.until(searched)
        await self.hand_over()

    async def ask(self) -> None:
        """What POST …/run does, and the notification."""
        async with self.db.transaction() as conn:
            await patch.request_run(conn, self.sync, self.db.clock.now())
        if self.runner is not None:
            self.runner.hint()

    async def sweep_now(self, collection: str) -> None:
        """Make a sweep due. The runner must not be running."""
        mark = write("sweep", collection, SweepMark(due_at=self.db.clock.now()), collection)
        async with self.db.transaction() as conn:
            await put(conn, self.sync.stream_id, self.sync.id, mark)

    async def collections(self) -> dict[str, dict[str, Any]]:
        """GET …/collections, by id."""
        async with self.db.api.acquire() as conn:
            shown = await status.collections(conn, self.sync, self.access.provider, self.db.clock.now())
        return {row["id"]: row for row in shown}

    async def health(self) -> dict[str, Any]:
        async with self.db.api.acquire() as conn:
            return (await status.health(conn, [self.sync], self.db.clock.now()))[self.sync.id]

    async def records(self, collection: str | None = None) -> list[StoredRecord]:
        found: list[StoredRecord] = []
        async with self.db.api.acquire() as conn:
            while page := await read_after(conn, self.sync.stream_id, found[-1].updated_idx if found else 0, 1000):
                found += page
        return [record for record in found if collection in (None, record.collection_id)]

    async def copy(self, collection: str) -> dict[str, Any]:
        """What the stream holds of a collection: id → data."""
        return {
            record.upstream_id: json.loads(record.data)
            for record in await self.records(collection)
            if not record.deleted
        }

    async def state(self) -> dict[str, Any]:
        row = await self.db.api.fetchrow("select * from sync_states where sync_id = $1", self.sync.id)
        assert row is not None
        return dict(row)

    async def rows(self, reading: str) -> dict[str, dict[str, Any]]:
        """Checkpoint rows of a reading by scope."""
        rows = await self.db.api.fetch(
            "select * from checkpoints where sync_id = $1 and reading = $2", self.sync.id, reading
        )
        return {row["scope"]: {**row, "value": json.loads(row["value"])} for row in rows}

    async def read_to_the_end(self) -> None:
        """Wait for the initial backfill."""
        await self.until(self.backfilled)

    async def backfilled(self) -> bool:
        return (await self.state())["initial_backfill_completed_at"] is not None

    async def until(self, condition: Callable[[], Awaitable[bool]], within: float = 60.0) -> None:
        """Wait for a condition; a runner that ended with an error raises it."""
        async with asyncio.timeout(within):
            while not await condition():
                if self.task is not None and self.task.done():
                    self.task.result()
                await asyncio.sleep(0.02)

    async def copies(self, shop: Shop, kinds: Iterable[str]) -> bool:
        """Whether the stream holds exactly what the shop holds."""
        for kind in kinds:
            truth = shop.items() if kind == "item" else shop.things[kind]
            if await self.copy(f"shop:{kind}") != truth:
                return False
        return True


@asynccontextmanager
async def holding(
    db: Database, shop: Shop, collections: Iterable[str], provider: Provider = SHOP, **facts: Any
) -> AsyncIterator[Holding]:
    """A sync of the shop, not started yet. `facts` are fields of the Sync."""
    ids = [f"shop:{name}" for name in collections]
    async with holding_at(db, shop.url, ids, provider, KEY, {"key": "very-secret-key"}, **facts) as held:
        yield held


@asynccontextmanager
async def holding_at(
    db: Database,
    url: str,
    collection_ids: Iterable[str],
    provider: Provider,
    kind: CredentialKind,
    properties: dict[str, Any],
    **facts: Any,
) -> AsyncIterator[Holding]:
    """A sync of any provider's server at `url`, not started yet."""
    pace = Pace(db, uuid7(), Settings(allow_base_url=True, limits_override="none"))
    transport = Transport(db, pace, Settings(allow_base_url=True))
    wakeups = Wakeups(db)
    await wakeups.start()
    services = EngineServices(
        db=db,
        keyring=None,  # type: ignore[arg-type]  # no secret is opened here
        providers={provider.slug: provider},
        settings=Settings(),
        clock=db.clock,
        wakeups=wakeups,
        transport=transport,
        pace=pace,
        worker_id=uuid7(),
    )
    sync = await _made(db, collection_ids, provider, kind, facts)
    access = Access(
        sync.org_id,
        sync.credential_id,
        provider,
        kind,
        {**properties, "base_url": url},
        sync.credential_id.bytes,
        base_url=url,
    )
    held = Holding(db, services, access, sync)
    try:
        yield held
    finally:
        await held.kill()
        await transport.close()
        await wakeups.stop()


async def _made(
    db: Database, collection_ids: Iterable[str], provider: Provider, kind: CredentialKind, facts: dict[str, Any]
) -> Sync:
    now = db.clock.now()
    credential_id = uuid7()
    async with db.transaction() as conn:
        org = await orgs.create(conn, "shop", now)
        stream = Stream(org.org_id, uuid7(), "shop", 0, now, now)
        await streams.insert(conn, stream)
        await lifecycle.create_stream(conn, stream.id, now)
        key = (org.org_id, credential_id, provider.slug, kind.kind, credential_id.bytes)
        await conn.execute(INSERT_CREDENTIAL, *key, now)
        sync = Sync(
            org_id=org.org_id,
            id=uuid7(),
            stream_id=stream.id,
            provider=provider.slug,
            credential_id=credential_id,
            name="shop",
            status="active",
            collection_ids=tuple(collection_ids),
            rate_limit=None,
            max_age_days=None,
            sync_frequency="continuous",
            max_poll_ms=500,
            deleted_retention_days=None,
            external_id=None,
            metadata="{}",
            created_at=now,
            updated_at=now,
        )
        sync = replace(sync, **facts)
        await patch.create_sync(conn, sync, now)
    return sync
