"""Whoever has lost a sync writes nothing for it any more: neither records nor what is noted beside them.

Every place that writes rows of a sync stands in one of the three lists below. The first two are tried: a worker with a
fence that no longer holds does it, and no row is another than before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeAlias

import asyncpg
import late
import pytest
from late import Act, Stand, standing
from sites import TABLES, sites, statements

from headrace.db.pool import Conn, Database
from headrace.errors import Fenced
from headrace.stream import lifecycle
from headrace.stream.items import Fence

PLACES = sites()

HELD_TO_THE_END: Mapping[Act, tuple[str, ...]] = {
    late.appends: (
        "stream.append._copy",
        "stream.append._write",
        "stream.append._write_checkpoints",
        "stream.append._write_records",
        "stream.counts._write",
        "stream.events.writing.write",
    ),
    late.lets_age_out: ("stream.retention._remove", "stream.retention.age_out"),
    late.drops_deleted: ("stream.retention.drop_deleted",),
    late.holds_back: ("engine.catch.hold",),
    late.holds_more_back: ("engine.catch._hold_more",),
    late.releases: ("engine.catch.release",),
    late.sets_aside: ("engine.fetching.Fetcher.set_aside",),
    late.puts_off: ("engine.fetching.Fetcher.put_off",),
    late.leaves_out: ("engine.refused.leave_out",),
    late.sees: ("engine.intake.Intake._see",),
    late.sees_children: ("engine.intake.Intake._see_children",),
    late.trains: ("stream.dictionaries.train",),
}
"""In a transaction that holds the fence: whoever takes the sync away meanwhile waits for it, or it for them."""

ASKED_IN_THE_STATEMENT: Mapping[Act, tuple[str, ...]] = {
    late.begins_a_run: ("engine.runs.Runs.begin",),
    late.lays_down_the_first_run: ("engine.runs.Runs.load",),
    late.tells_its_health: ("engine.health.Health.save", "engine.health.Health._write_errors"),
    late.tells_that_it_cannot: ("engine.configurations.Configurations.mark_unusable",),
}
"""The statement itself asks for the epoch. What is written in the moment of a claim is put right by the next holder,
who says it anew."""

NEED_NONE: Mapping[str, str] = {
    # Rows of what was set aside are taken away, or moved, only as they were read: one that was set aside anew stays.
    "engine.aside.Aside.step": "takes back only the row that it has read",
    "engine.refused.Refused.step": "takes back only the row that it has read",
    "engine.sweep.Sweep._close": "forgets what a sweep has seen that no mark names any more",
    "stream.erase.erase": "true whoever hears it: the provider was told to forget a record that is gone",
    # Figures and lines of a log: no promise is kept by them, and they go by age.
    "engine.activity.Activity.write": "adds to what was counted, by whom ever",
    "engine.activity.forget_old": "goes by age",
    # The fence itself.
    "engine.leases._claim_all": "won only from the epoch that was read",
    "engine.leases.Leases.release": "of the epoch that is given up",
    "stream.lifecycle.bump_revision": "makes late writers late",
    "stream.lifecycle.delete_sync": "makes every writer late",
    # What a person asks for, in a transaction that locks the sync's row and then changes or holds its fence.
    "engine.checkpoints.put": "a person's word",
    "engine.confirm.confirm_deletes": "a person's word, under the epoch row FOR UPDATE",
    "engine.patch._reschedule": "a person's word",
    "engine.patch.patch_sync": "a person's word",
    "engine.patch.purge_records": "a person's word",
    "engine.patch.request_run": "a person's word",
    "engine.restart._begin_anew": "a person's word",
    "engine.restart.leave": "a person's word",
    "stream.lifecycle.create_sync": "nobody holds it yet",
    "stream.lifecycle._begin_purge": "under the epoch row, which the caller has just changed",
    "stream.counts.forget": "under the epoch row, which the caller has just changed",
    "stream.counts._fold": "under the epoch row; the sum stays the same, whoever adds it up",
    # A provider's word, taken in by any process.
    "engine.hints.take": "a webhook goes to whoever holds the sync then",
    "engine.patch.hint": "a webhook goes to whoever holds the sync then",
    # What is over: no epoch row of it is left to be held, or no worker is alive.
    "stream.retention.purge_chunk": "up to the number at which the purge began",
    "stream.retention._purge_rows": "up to the number at which the purge began",
    "stream.retention._forget_seen": "of a sync that is gone",
    "stream.lifecycle.delete_stream": "its syncs are gone before it",
    "engine.after_restore.after_restore": "refused while a worker is alive, and voids every lease",
    "engine.after_restore._make_sweeps_due": "refused while a worker is alive, and voids every lease",
}

WAITS = """
select exists (
  select from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock' and $1 = any (pg_blocking_pids(pid)))
"""

Rival: TypeAlias = Callable[[Conn, Fence], Awaitable[object]]


async def claimed(conn: Conn, fence: Fence) -> None:
    await conn.execute("update sync_epochs set owner = $1, epoch = epoch + 1", fence.sync_id)


async def changed_in_scope(conn: Conn, fence: Fence) -> None:
    await lifecycle.bump_revision(conn, fence.stream_id, fence.sync_id)


async def deleted(conn: Conn, fence: Fence, stand: Stand) -> None:
    await lifecycle.delete_sync(conn, fence.stream_id, fence.sync_id, stand.now)


def name(act: Act) -> str:
    return act.__name__


def test_every_place_that_writes_for_a_sync_is_fenced_or_says_why_not() -> None:
    proved = {
        place for acts in (HELD_TO_THE_END, ASKED_IN_THE_STATEMENT) for places in acts.values() for place in places
    }
    assert PLACES.keys() - proved - NEED_NONE.keys() == set(), "prove it by an act of late.py, or say why not"
    assert (proved | NEED_NONE.keys()) - PLACES.keys() == set(), "writes nothing of a sync"
    assert not proved & NEED_NONE.keys()


def test_no_statement_that_writes_for_a_sync_is_left_over() -> None:
    assert statements().keys() - {text for texts in PLACES.values() for text in texts} == set()


@pytest.mark.parametrize("act", HELD_TO_THE_END, ids=name)
async def test_a_worker_that_is_overtaken_while_it_writes_has_written_nothing(db: Database, act: Act) -> None:
    async with standing(db) as stand:
        for rival in (claimed, changed_in_scope):
            await overtaken(stand, act, rival)
        await as_its_holder(stand, act, HELD_TO_THE_END[act])
        await overtaken(stand, act, partial(deleted, stand=stand))


@pytest.mark.parametrize("act", ASKED_IN_THE_STATEMENT, ids=name)
async def test_a_worker_that_is_late_changes_nothing(db: Database, act: Act) -> None:
    async with standing(db) as stand:
        fence = await stand.own()
        async with stand.db.transaction() as conn:
            await claimed(conn, fence)
        before = await rows(stand.db.api)
        await act(stand, fence)
        assert await rows(stand.db.api) == before
        await as_its_holder(stand, act, ASKED_IN_THE_STATEMENT[act])


async def overtaken(stand: Stand, act: Act, rival: Rival) -> None:
    """The rival has taken the sync and not yet committed: the act waits, and finds that it is late."""
    fence = await stand.own()
    async with stand.db.transaction() as conn:
        await rival(conn, fence)
        pid = await conn.fetchval("select pg_backend_pid()")
        task = asyncio.create_task(act(stand, fence))
        while not task.done() and not await stand.db.api.fetchval(WAITS, pid):
            await asyncio.sleep(0.005)
        assert not task.done(), "it did not wait for who has the sync's row"
        before = await rows(conn)
    with pytest.raises(Fenced):
        await task
    assert await rows(stand.db.api) == before


async def as_its_holder(stand: Stand, act: Act, places: tuple[str, ...]) -> None:
    """The same act writes where the fence holds, and by the statements that are claimed to be proved."""
    before = await rows(stand.db.api)
    stand.ran.clear()
    await act(stand, await stand.own())
    after = await rows(stand.db.api)
    assert after != before
    for text in set().union(*(PLACES[place] for place in places)):
        kind, _, table = text.partition(" ")
        assert (after[table] != before[table]) if kind == "copy" else text in stand.ran, text


async def rows(conn: "Conn | asyncpg.Pool") -> dict[str, list[str]]:
    """All rows of the sync, and the numbers of the stream. Of the fence's row, what a holder writes."""
    told = {table: f"select t::text from {table} t order by 1" for table in (*TABLES, "stream_heads")}
    told["sync_epochs"] = "select removals::text from sync_epochs"
    return {table: [row[0] for row in await conn.fetch(text)] for table, text in told.items()}
