"""The worker: what it holds runs, what changes is heeded at once, what it lets go others take."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from counting import counting
from paced import SECRET
from prometheus_client import REGISTRY
from working import EXAMPLE, make, owners, working

from headrace.control.syncs import Sync
from headrace.db.pool import Database
from headrace.engine import held, patch
from headrace.engine.access import Access
from headrace.engine.presence import Presence
from headrace.engine.services import EngineServices
from headrace.errors import Fenced
from headrace.stream.items import Fence

PROCESS = Path(__file__).with_name("working.py")
NOWHERE = "http://127.0.0.1:9"


async def until(condition: Callable[[], bool | Awaitable[bool]], within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


class Puppet:
    """A runner that does what a test tells it, in the place of the real one."""

    made: list["Puppet"]
    error: Exception | None = None
    resting = True

    def __init__(self, services: EngineServices, sync: Sync, fence: Fence, access: Access) -> None:
        self.sync, self.fence, self.access = sync, fence, access
        self.hints = self.stops = self.reconfigurations = 0
        self.cancelled = self.left = False
        self._over = asyncio.Event()
        type(self).made.append(self)

    async def run(self) -> None:
        error, type(self).error = type(self).error, None
        if error is not None:
            raise error
        try:
            await self._over.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    def reconfigure(self, sync: Sync, fence: Fence, access: Access) -> None:
        self.sync, self.fence, self.access = sync, fence, access
        self.reconfigurations += 1

    def hint(self) -> None:
        self.hints += 1

    def storing_trouble(self, for_s: float) -> str | None:
        return None

    def leave(self) -> None:
        self.left = True

    async def stop(self) -> None:
        self.stops += 1
        self._over.set()


@pytest.fixture
def puppets(monkeypatch: pytest.MonkeyPatch) -> list[Puppet]:
    made: list[Puppet] = []
    kind = type("OneTestsPuppet", (Puppet,), {"made": made})
    monkeypatch.setattr(held, "SyncRunner", kind)
    monkeypatch.setattr(held, "_FENCED_S", 0.05)
    monkeypatch.setattr(held, "_FIRST_PAUSE_S", 0.05)
    return made


async def change(db: Database, sync: Sync, **changes: Any) -> None:
    """What PATCH does."""
    async with db.transaction() as connection:
        await patch.patch_sync(connection, {"example": EXAMPLE}, sync.org_id, sync.id, changes, db.clock.now())


# ── running what is held ──


async def test_what_is_held_is_read(db: Database) -> None:
    async with counting() as server:
        made = await make(db, server.url, 3)
        async with working(db) as worker:
            await until(lambda: len(server.moments) >= 3)
            await until(lambda: worker.status()["syncs_held"] == 3)

            async def read() -> bool:
                done = await db.api.fetchval(
                    "select count(*) from sync_states where initial_backfill_completed_at is not null"
                )
                return bool(done == len(made.syncs))

            await until(read)
            figures = {sample.name: sample.value for metric in REGISTRY.collect() for sample in metric.samples}
            assert figures["headrace_syncs_held"] == 3
            assert figures["headrace_heartbeat_age_seconds"] < 3


async def test_a_sync_made_while_the_worker_runs_is_taken_up(db: Database, puppets: list[Puppet]) -> None:
    async with working(db):
        made = await make(db, NOWHERE, 2)
        await until(lambda: {puppet.sync.id for puppet in puppets} == made.sync_ids)


async def test_disabled_syncs_are_held_too(db: Database, puppets: list[Puppet]) -> None:
    made = await make(db, NOWHERE, 2, status="disabled")
    async with working(db):
        await until(lambda: {puppet.sync.id for puppet in puppets} == made.sync_ids)
        assert {puppet.sync.status for puppet in puppets} == {"disabled"}


async def test_the_runner_is_given_the_opened_credential(db: Database, puppets: list[Puppet]) -> None:
    await make(db, NOWHERE, 1)
    async with working(db):
        await until(lambda: len(puppets) == 1)
        [puppet] = puppets
        assert puppet.access.properties["secret"] == SECRET
        assert (puppet.fence.epoch, puppet.fence.revision) == (1, 0)


# ── changes ──


async def test_a_patch_reaches_the_runner(db: Database, puppets: list[Puppet]) -> None:
    [one] = (await make(db, NOWHERE, 1)).syncs
    async with working(db):
        await until(lambda: len(puppets) == 1)
        await change(db, one, status="disabled")
        await until(lambda: puppets[0].sync.status == "disabled")


async def test_a_patch_reaches_the_runner_without_its_notification(db: Database, puppets: list[Puppet]) -> None:
    [one] = (await make(db, NOWHERE, 1)).syncs
    async with working(db):
        await until(lambda: len(puppets) == 1)
        await db.api.execute(
            "update syncs set max_poll_ms = 777, updated_at = $2 where id = $1", one.id, db.clock.now()
        )
        await until(lambda: puppets[0].sync.max_poll_ms == 777)


async def test_a_new_revision_comes_with_its_fence(db: Database, puppets: list[Puppet]) -> None:
    [one] = (await make(db, NOWHERE, 1)).syncs
    async with working(db):
        await until(lambda: len(puppets) == 1)
        async with db.transaction() as connection:
            await patch.purge_records(connection, one, None, db.clock.now())
        await until(lambda: puppets[0].fence.revision == 1)
        assert puppets[0].fence.epoch == 1


async def test_a_credential_that_was_given_anew_reaches_the_runner(db: Database, puppets: list[Puppet]) -> None:
    made = await make(db, NOWHERE, 2)
    async with working(db):
        await until(lambda: len(puppets) == 2)
        await db.api.execute(
            "update credentials set properties = '{\"base_url\": \"http://127.0.0.1:10\"}', revision = revision + 1,"
            " updated_at = $2 where id = $1",
            made.credential_id, db.clock.now(),
        )  # fmt: skip
        await until(lambda: all(puppet.access.base_url == "http://127.0.0.1:10" for puppet in puppets))


async def test_a_run_request_or_webhook_wakes_the_runner(db: Database, puppets: list[Puppet]) -> None:
    [one] = (await make(db, NOWHERE, 1)).syncs
    async with working(db):
        await until(lambda: len(puppets) == 1)
        before = puppets[0].hints
        async with db.transaction() as connection:
            await patch.request_run(connection, one, db.clock.now())
        await until(lambda: puppets[0].hints + puppets[0].reconfigurations > before)


async def test_a_deleted_sync_is_dropped_and_its_row_goes_after_the_purge(db: Database, puppets: list[Puppet]) -> None:
    gone, kept = (await make(db, NOWHERE, 2)).syncs
    async with working(db) as worker:
        await until(lambda: len(puppets) == 2)
        async with db.transaction() as connection:
            await patch.delete_sync(connection, gone.org_id, gone.id, db.clock.now())
        await until(lambda: any(puppet.cancelled for puppet in puppets if puppet.sync.id == gone.id))
        await until(lambda: worker.status()["syncs_held"] == 1)

        async def removed() -> bool:
            return await db.api.fetchval("select count(*) from syncs") == 1

        await until(removed)
    assert not any(puppet.cancelled for puppet in puppets if puppet.sync.id == kept.id)


# ── failures ──


async def test_a_run_that_failed_begins_again(db: Database, puppets: list[Puppet], monkeypatch: Any) -> None:
    monkeypatch.setattr(held.SyncRunner, "error", ZeroDivisionError("unforeseen"))
    await make(db, NOWHERE, 1)
    async with working(db) as worker:
        await until(lambda: len(puppets) == 2)
        assert worker.status()["syncs_failing"] == 1


async def test_a_run_that_was_fenced_begins_again_while_the_lease_is_held(
    db: Database, puppets: list[Puppet], monkeypatch: Any
) -> None:
    monkeypatch.setattr(held.SyncRunner, "error", Fenced("another revision"))
    await make(db, NOWHERE, 1)
    async with working(db) as worker:
        await until(lambda: len(puppets) == 2)
        assert worker.status()["syncs_failing"] == 0


async def test_a_sync_whose_credential_cannot_be_opened_says_so_and_recovers(
    db: Database, puppets: list[Puppet], monkeypatch: Any
) -> None:
    monkeypatch.setattr("headrace.engine.worker._UNUSABLE_AGAIN_S", 0.1)
    made = await make(db, NOWHERE, 1)
    secrets = await db.api.fetchval("select secrets from credentials")
    await db.api.execute("update credentials set secrets = $1", b"\0" * len(secrets))
    async with working(db) as worker:

        async def told() -> bool:
            row = await db.api.fetchrow("select health_status, health_notes from sync_states")
            return row is not None and row["health_status"] == "error" and row["health_notes"] != "[]"

        await until(told)
        assert worker.status()["syncs_failing"] == 1
        assert puppets == []
        await db.api.execute("update credentials set secrets = $1", secrets)
        await until(lambda: [puppet.sync.id for puppet in puppets] == [made.syncs[0].id])
        assert worker.status()["syncs_failing"] == 0


async def test_a_worker_whose_heartbeat_fails_lets_everything_go_and_begins_anew(
    db: Database, puppets: list[Puppet], monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(db, NOWHERE, 2)
    async with working(db) as worker:
        await until(lambda: len(puppets) == 2)
        beat = Presence._beat

        async def away(self: Presence) -> None:
            raise OSError

        monkeypatch.setattr(Presence, "_beat", away)
        await until(lambda: all(puppet.cancelled for puppet in puppets))
        assert worker.status()["alive"] is False
        assert worker.status()["syncs_held"] == 0
        monkeypatch.setattr(Presence, "_beat", beat)
        await until(lambda: len(puppets) == 4)
        assert {puppet.fence.epoch for puppet in puppets[2:]} == {2}
        assert worker.status()["alive"] is True


# ── the truth about itself ──


async def test_the_status_is_the_truth(db: Database, puppets: list[Puppet], monkeypatch: Any) -> None:
    monkeypatch.setattr("headrace.engine.worker._STALLED_LAG_S", 0.5)
    await make(db, NOWHERE, 2)
    async with working(db) as worker:
        await until(lambda: worker.status()["syncs_held"] == 2)
        status = worker.status()
        assert (status["alive"], status["stalled"], status["workers"]) == (True, False, 1)
        assert status["heartbeat_age_s"] < 3
        time.sleep(1.0)  # noqa: ASYNC251  the event loop stands still, as under a long computation
        await until(lambda: worker.status()["stalled"])
    assert worker.status()["alive"] is False


# ── letting go ──


async def test_an_orderly_stop_lets_the_runners_finish_and_releases_the_leases(
    db: Database, puppets: list[Puppet]
) -> None:
    await make(db, NOWHERE, 3)
    async with working(db):
        await until(lambda: len(puppets) == 3)
    assert [(puppet.stops, puppet.cancelled) for puppet in puppets] == [(1, False)] * 3
    assert set((await owners(db)).values()) == {None}
    assert await db.api.fetchval("select count(*) from workers") == 0


async def test_those_that_rest_are_handed_over_while_others_are_still_under_way(
    db: Database, puppets: list[Puppet], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = asyncio.Event()

    async def stop(self: Puppet) -> None:
        assert self.left
        if not self.resting:
            await answered.wait()
        self._over.set()

    monkeypatch.setattr(held.SyncRunner, "stop", stop)
    await make(db, NOWHERE, 5)
    async with working(db) as worker:
        await until(lambda: len(puppets) == 5)
        busy = puppets[2]
        busy.resting = False
        leaving = asyncio.create_task(worker.stop())

        async def only_the_busy_one_is_held() -> bool:
            return [sync_id for sync_id, owner in (await owners(db)).items() if owner is not None] == [busy.sync.id]

        await until(only_the_busy_one_is_held)
        assert not leaving.done()
        answered.set()
        await leaving
    assert set((await owners(db)).values()) == {None}
    assert not any(puppet.cancelled for puppet in puppets)


async def test_a_runner_that_does_not_finish_is_cut_short(
    db: Database, puppets: list[Puppet], monkeypatch: Any
) -> None:
    monkeypatch.setattr("headrace.engine.worker._STOP_WITHIN_S", 0.2)

    async def deaf(self: Puppet) -> None:
        self.stops += 1

    monkeypatch.setattr(held.SyncRunner, "stop", deaf)
    await make(db, NOWHERE, 1)
    async with working(db):
        await until(lambda: len(puppets) == 1)
    assert puppets[0].cancelled
    assert set((await owners(db)).values()) == {None}


async def test_a_worker_that_joins_is_given_syncs_in_good_order(db: Database, puppets: list[Puppet]) -> None:
    await make(db, NOWHERE, 6)
    async with working(db) as first:
        await until(lambda: len(puppets) == 6)
        async with working(db) as second:
            await until(lambda: (first.status()["syncs_held"], second.status()["syncs_held"]) == (3, 3))
            assert not any(puppet.cancelled for puppet in puppets)
            assert sum(puppet.stops for puppet in puppets) == 3
        await until(lambda: first.status()["syncs_held"] == 6)


# ── processes ──


@asynccontextmanager
async def processes(dsn: str, count: int) -> AsyncIterator[dict[UUID, Process]]:
    """Worker processes by the id of their worker."""
    started: dict[UUID, Process] = {}
    try:
        for _ in range(count):
            process = await asyncio.create_subprocess_exec(sys.executable, PROCESS, dsn, stdin=PIPE, stdout=PIPE)
            assert process.stdout is not None
            started[UUID((await process.stdout.readline()).decode().strip())] = process
        yield started
    finally:
        for process in started.values():
            if process.returncode is None:
                process.kill()
                await process.wait()


async def held_by(db: Database, workers: set[UUID]) -> bool:
    return set((await owners(db)).values()) == workers


async def test_the_syncs_of_a_killed_process_are_taken_over(db: Database, dsn: str) -> None:
    async with counting() as server:
        await make(db, server.url, 8)
        async with processes(dsn, 2) as workers:
            await until(lambda: held_by(db, set(workers)))
            dead, heir = workers
            before = await epochs(db)
            workers[dead].kill()
            await workers[dead].wait()
            await until(lambda: held_by(db, {heir}))
            after = await epochs(db)
            assert sum(after[sync_id] > before[sync_id] for sync_id in before) == 4


async def test_an_orderly_stop_hands_over(db: Database, dsn: str) -> None:
    async with counting() as server:
        await make(db, server.url, 8)
        async with processes(dsn, 2) as workers:
            await until(lambda: held_by(db, set(workers)))
            leaver, stayer = workers
            process = workers[leaver]
            assert process.stdin is not None
            process.stdin.close()
            await until(lambda: held_by(db, {stayer}))
            assert await process.wait() == 0


async def test_a_process_that_was_frozen_for_longer_than_its_lease_holds_nothing_of_what_was_taken(
    db: Database, dsn: str
) -> None:
    async with counting() as server:
        await make(db, server.url, 6)
        async with processes(dsn, 2) as workers:
            await until(lambda: held_by(db, set(workers)))
            frozen, heir = workers
            os.kill(workers[frozen].pid, signal.SIGSTOP)
            await until(lambda: held_by(db, {heir}))
            os.kill(workers[frozen].pid, signal.SIGCONT)
            await until(lambda: held_by(db, {frozen, heir}))
            counts = list((await owners(db)).values())
            assert sorted((counts.count(frozen), counts.count(heir))) == [3, 3]


async def test_four_processes_share(db: Database, dsn: str) -> None:
    async with counting() as server:
        await make(db, server.url, 12)
        async with processes(dsn, 4) as workers:

            async def shared() -> bool:
                found = list((await owners(db)).values())
                return all(found.count(worker) == 3 for worker in workers)

            await until(shared, within_s=60.0)


async def epochs(db: Database) -> dict[UUID, int]:
    return {row["sync_id"]: row["epoch"] for row in await db.api.fetch("select sync_id, epoch from sync_epochs")}
