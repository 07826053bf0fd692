"""A stream with a sync, and short ways to put records into it and take them out."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from headrace.db.pool import Database
from headrace.ids import uuid7
from headrace.stream import lifecycle, read
from headrace.stream.append import append
from headrace.stream.items import Appended, Batch, Canon, Delete, Fence, Record
from headrace.stream.read import StoredRecord

THINGS = "test:thing"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A moment, in seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def record(id_: str, as_of: float = 0, *, collection: str = THINGS, **given: Any) -> Record:
    """A record whose JSON holds `content` (what is given as such, else the moment)."""
    content = given.pop("content", as_of)
    raw = given.pop("raw", None) or orjson.dumps({"id": id_, "content": content})
    return Record(collection, id_, raw, at(as_of), **given)


def delete(id_: str, as_of: float = 0, *, collection: str = THINGS, **given: Any) -> Delete:
    return Delete(collection, id_, at(as_of), **given)


@dataclass
class Log:
    """One stream and one sync of it."""

    db: Database
    stream_id: UUID
    sync_id: UUID
    epoch: int = 0
    revision: int = 0
    canons: dict[str, Canon] = field(default_factory=dict)

    @property
    def fence(self) -> Fence:
        return Fence(self.stream_id, self.sync_id, self.epoch, self.revision)

    async def append(self, *items: Record | Delete, **batch: Any) -> Appended:
        records = [item for item in items if isinstance(item, Record)]
        deletes = [item for item in items if isinstance(item, Delete)]
        return await append(self.db, self.fence, Batch(records, deletes, **batch), self.canons, self.db.clock.now())

    async def read(self, after: int = 0, limit: int = 10_000, **filters: Any) -> list[StoredRecord]:
        async with self.db.api.acquire() as conn:
            return await read.read_after(conn, self.stream_id, after, limit, **filters)

    async def contents(self, **filters: Any) -> dict[str, Any]:
        """Upstream id → content, of what is not deleted."""
        return {
            each.upstream_id: orjson.loads(each.data)["content"]
            for each in await self.read(**filters)
            if not each.deleted
        }

    async def head(self) -> int:
        async with self.db.api.acquire() as conn:
            return await read.head(conn, self.stream_id)

    async def purge(self, collection: str | None = None) -> int:
        async with self.db.transaction() as conn:
            purged = await lifecycle.purge(conn, self.stream_id, self.sync_id, collection, self.db.clock.now())
        self.revision += 1
        return purged

    async def another_sync(self) -> "Log":
        """A second sync on the same stream."""
        other = Log(self.db, self.stream_id, uuid7())
        async with self.db.transaction() as conn:
            await lifecycle.create_sync(conn, other.stream_id, other.sync_id, uuid7())
        return other


OnDatabase = Callable[[Callable[[Database], Coroutine[Any, Any, None]]], None]
"""Runs a coroutine on an opened database, for tests that hypothesis repeats."""


async def new_log(db: Database) -> Log:
    log = Log(db, uuid7(), uuid7())
    async with db.transaction() as conn:
        await lifecycle.create_stream(conn, log.stream_id, db.clock.now())
        await lifecycle.create_sync(conn, log.stream_id, log.sync_id, uuid7())
    return log
