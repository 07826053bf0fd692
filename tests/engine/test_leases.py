"""Leases: one owner at a time, fair shares, and the work of the dead is taken over."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from working import make, owners

from headrace.db.pool import Database
from headrace.engine.leases import Leases
from headrace.engine.presence import Presence
from headrace.errors import Fenced
from headrace.ids import uuid7
from headrace.settings import Settings
from headrace.stream import lifecycle
from headrace.stream.append import append
from headrace.stream.items import Batch, CheckpointWrite

NOWHERE = "http://127.0.0.1:9"
TTL_S = 3.0


@asynccontextmanager
async def worker(db: Database) -> AsyncIterator[Leases]:
    presence = Presence(db, uuid7(), Settings(lease_ttl_s=TTL_S))
    await presence.start("worker")
    try:
        yield Leases(db, presence)
    finally:
        await presence.stop()


async def until(condition: Callable[[], Awaitable[bool]], within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_a_worker_alone_holds_every_sync(db: Database) -> None:
    made = await make(db, NOWHERE, 7)
    async with worker(db) as alone:
        look = await alone.look()
        assert look.held.keys() == made.sync_ids
        assert look.excess == []
        assert {lease.epoch for lease in look.held.values()} == {1}
        assert set((await owners(db)).values()) == {alone.presence.worker_id}


async def test_of_many_that_reach_for_the_same_syncs_each_is_won_by_one(db: Database) -> None:
    made = await make(db, NOWHERE, 60)
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(worker(db)) for _ in range(4)]
        for _ in range(5):
            await asyncio.gather(*(each.look() for each in workers))
        held = [sync_id for each in workers for sync_id in each.held]
        assert len(held) == len(set(held))
        assert set(held) == made.sync_ids
        assert Counter((await owners(db)).values()) == {each.presence.worker_id: 15 for each in workers}


async def test_a_worker_that_joins_is_given_its_share(db: Database) -> None:
    await make(db, NOWHERE, 9)
    async with worker(db) as first:
        await first.look()
        async with worker(db) as second:
            await second.look()
            assert second.held == {}, "nothing is taken from the living"
            look = await first.look()
            assert len(look.excess) == 4
            await first.release(look.excess)
            await second.look()
            assert (len(first.held), len(second.held)) == (5, 4)
            assert (await first.look()).excess == []
            assert (await second.look()).excess == []


async def test_the_syncs_of_the_dead_are_taken_over_and_their_writes_refused(db: Database) -> None:
    made = await make(db, NOWHERE, 4)
    dead = Presence(db, uuid7(), Settings(lease_ttl_s=TTL_S))
    await dead.start("worker")
    former = Leases(db, dead)
    await former.look()
    fences = [lease.fence for lease in former.held.values()]
    assert dead._task is not None
    dead._task.cancel()  # as kill -9 would leave it: the row stays, and nobody writes it
    async with worker(db) as heir:

        async def taken() -> bool:
            return (await heir.look()).held.keys() == made.sync_ids

        await until(taken)
        for fence in fences:
            assert heir.held[fence.sync_id].epoch == fence.epoch + 1
            with pytest.raises(Fenced):
                await append(db, fence, batch(), {}, db.clock.now())
        for lease in heir.held.values():
            await append(db, lease.fence, batch(), {}, db.clock.now())
    await dead._disconnect()


def batch() -> Batch:
    return Batch(checkpoints=[CheckpointWrite("changes", "feed:things", {"at": 1})])


async def test_what_is_released_is_free_at_once(db: Database) -> None:
    made = await make(db, NOWHERE, 3)
    notified = asyncio.Event()
    await db.listen("headrace_lease", lambda payload: notified.set())
    async with worker(db) as first, worker(db) as second:
        await first.look()
        await first.presence.announce_stopping()
        await first.release(list(first.held))
        assert first.held == {}
        async with asyncio.timeout(60):
            await notified.wait()
        assert (await second.look()).held.keys() == made.sync_ids


async def test_one_that_is_stopping_takes_nothing_and_loses_nothing_before_it_releases(db: Database) -> None:
    made = await make(db, NOWHERE, 4)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(worker(db))
        await first.look()
        second = await stack.enter_async_context(worker(db))
        await first.presence.announce_stopping()
        await second.look()
        assert second.held == {}
        assert second.living == {second.presence.worker_id}
        await first.release(list(first.held))
        assert (await second.look()).held.keys() == made.sync_ids


async def test_a_deleted_sync_is_lost_and_never_claimed(db: Database) -> None:
    made = await make(db, NOWHERE, 2)
    gone, kept = made.syncs
    async with worker(db) as alone:
        await alone.look()
        async with db.transaction() as connection:
            await lifecycle.delete_sync(connection, gone.stream_id, gone.id, db.clock.now())
        assert (await alone.look()).held.keys() == {kept.id}
        assert (await alone.look()).held.keys() == {kept.id}


async def test_a_new_revision_is_seen_and_keeps_the_lease(db: Database) -> None:
    [one] = (await make(db, NOWHERE, 1)).syncs
    async with worker(db) as alone:
        before = (await alone.look()).held[one.id]
        async with db.transaction() as connection:
            await lifecycle.bump_revision(connection, one.stream_id, one.id)
        after = (await alone.look()).held[one.id]
    assert (after.epoch, after.revision) == (before.epoch, before.revision + 1)


async def test_a_sync_of_a_stream_made_just_now_is_found_when_it_is_named(db: Database) -> None:
    async with worker(db) as alone:
        await alone.look()
        made = await make(db, NOWHERE, 1)
        alone.forget_streams()
        assert (await alone.look()).held.keys() == made.sync_ids


async def test_an_append_under_way_of_a_former_owner_holds_up_no_other_claim(db: Database) -> None:
    made = await make(db, NOWHERE, 5)
    busy = made.syncs[0]
    async with worker(db) as alone:
        async with db.transaction() as connection:
            await connection.execute(
                "select 1 from sync_epochs where stream_id = $1 and sync_id = $2 for share", busy.stream_id, busy.id
            )
            assert (await alone.look()).held.keys() == made.sync_ids - {busy.id}
        assert (await alone.look()).held.keys() == made.sync_ids


async def test_one_whose_heartbeat_failed_claims_nothing_and_begins_anew_when_it_is_back(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await make(db, NOWHERE, 3)
    async with worker(db) as alone:
        await alone.look()
        beat = Presence._beat

        async def away(self: Presence) -> None:
            raise OSError

        monkeypatch.setattr(Presence, "_beat", away)

        async def dead() -> bool:
            return not alone.presence.alive

        await until(dead)
        alone.drop_all()
        assert (await alone.look()).held == {}
        monkeypatch.setattr(Presence, "_beat", beat)

        async def back() -> bool:
            return alone.presence.alive

        await until(back)
        assert {lease.epoch for lease in (await alone.look()).held.values()} == {2}
        assert alone.held.keys() == made.sync_ids


async def test_each_streams_house_is_kept_by_one_of_the_living(db: Database) -> None:
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(worker(db)) for _ in range(3)]
        for each in workers:
            await each.look()
        streams = [uuid7() for _ in range(200)]
        keepers = Counter(
            each.presence.worker_id for each in workers for stream in streams if each.keeps_house_of(stream)
        )
        assert sum(keepers.values()) == 200
        assert min(keepers.values()) > 30


async def test_the_heartbeat_is_one_row_and_tells_the_databases_clock(db: Database) -> None:
    presence = Presence(db, uuid7(), Settings(lease_ttl_s=TTL_S))
    await presence.start("worker")
    await presence.start("requests")
    assert presence.alive
    row = await db.api.fetchrow("select id, roles, clock_timestamp() as now from workers")
    assert row is not None
    assert row["id"] == presence.worker_id
    assert abs((db.clock.now() - row["now"]).total_seconds()) < 1.0
    await presence.stop()
    assert not presence.alive
    assert await db.api.fetchval("select count(*) from workers") == 0


async def test_a_heartbeat_survives_the_loss_of_its_connection(db: Database) -> None:
    presence = Presence(db, uuid7(), Settings(lease_ttl_s=TTL_S))
    await presence.start("worker")
    try:
        await db.api.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'headrace heartbeat' and datname = current_database()"
        )
        cut_at = db.clock.now()

        async def beats_again() -> bool:
            return bool(await db.api.fetchval("select heartbeat_at > $1 from workers", cut_at))

        await until(beats_again)
    finally:
        await presence.stop()
