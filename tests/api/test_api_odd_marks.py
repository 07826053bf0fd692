"""A cursor made of an id with U+0000, which PostgreSQL's json takes in and none of its operators reads, costs the sync
that has it nothing: it is shown, listed, made ready after a restore, and deleted."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from callers import Caller

from headrace.api.services import Services
from headrace.clock import from_unix
from headrace.engine.after_restore import after_restore
from headrace.engine.checkpoints import SweepMark, load_checkpoints, put, write
from headrace.ids import uuid7
from headrace.stream import retention

TAG, ORDER = "shop:tag", "shop:order"
CURSOR = {"after": "tag\0"}


@pytest.fixture
async def sync(admin: Caller, stream: dict[str, Any], services: Services) -> dict[str, Any]:
    """One with two sweeps: one waits, and one is under way and has seen three records."""
    credential = await admin.ok("POST", "/v1/credentials", {"properties": {"kind": "shop_key", "secret": "sk_1"}})
    fields = {"provider": "shop", "stream_id": stream["id"], "name": "odd", "collection_ids": [ORDER]}
    made: dict[str, Any] = await admin.ok("POST", "/v1/syncs", {**fields, "credential_id": credential["id"]})
    stream_id, sync_id = UUID(stream["id"]), UUID(made["id"])
    waiting = SweepMark(due_at=services.db.clock.now() + timedelta(hours=1), cursor=CURSOR)
    under_way = SweepMark("reading", None, uuid7(), began=from_unix(1), members=[TAG], cursor=CURSOR)
    async with services.db.transaction() as conn:
        for scope, mark in ((ORDER, waiting), (TAG, under_way)):
            await put(conn, stream_id, sync_id, write("sweep", scope, mark, scope))
        await conn.execute(
            "insert into sweep_seen (stream_id, sweep_id, record_id) select $1, $2, unnest($3::uuid[])",
            stream_id,
            under_way.sweep_id,
            [uuid7() for _ in range(3)],
        )
    assert "\\u0000" in await services.db.api.fetchval("select value::text from checkpoints where scope = $1", TAG)
    return made


async def test_it_is_shown_and_listed(admin: Caller, sync: dict[str, Any]) -> None:
    assert (await admin.ok("GET", f"/v1/syncs/{sync['id']}"))["health"]["status"] == "initializing"
    listed = (await admin.ok("GET", "/v1/syncs", params={"health.status": "initializing"}))["data"]
    assert [each["id"] for each in listed] == [sync["id"]]
    shown = (await admin.ok("GET", f"/v1/syncs/{sync['id']}/collections"))["data"]
    assert [each["id"] for each in shown] == [ORDER]


async def test_after_a_restore_its_sweeps_are_due(sync: dict[str, Any], services: Services) -> None:
    stream_id, sync_id = UUID(sync["stream_id"]), UUID(sync["id"])
    async with services.db.api.acquire() as conn:
        restored = await after_restore(conn, services.db.clock)
        stored = await load_checkpoints(conn, stream_id, sync_id)
    assert restored.sweeps == 2
    for scope in (ORDER, TAG):
        mark = stored["sweep", scope].mark(SweepMark)
        assert (mark.state, mark.sweep_id, mark.cursor) == ("waiting", None, CURSOR)
        assert mark.due_at is not None
        assert mark.due_at <= services.db.clock.now()
    assert stored["sweep", TAG].mark(SweepMark).began == from_unix(1), "what else was known stays"


async def test_deleted_it_leaves_nothing(admin: Caller, sync: dict[str, Any], services: Services) -> None:
    await admin.ok("DELETE", f"/v1/syncs/{sync['id']}")
    while await retention.purge_chunk(services.db, UUID(sync["stream_id"]), 2):
        pass
    for table in ("sweep_seen", "checkpoints", "sync_states", "sync_epochs", "purges"):
        assert await services.db.api.fetchval(f"select count(*) from {table}") == 0, table
