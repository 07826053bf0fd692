"""All that a sync's holder writes, act by act, for the tests of its fence."""

from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from holding import Holding, holding
from shop import open_shop

from headrace.db.pool import Database
from headrace.engine import catch
from headrace.engine.configurations import Configurations
from headrace.engine.fetching import Fetcher
from headrace.engine.health import Health
from headrace.engine.intake import Intake, Origin
from headrace.engine.leases import Lease
from headrace.engine.pace import Priority
from headrace.engine.refused import leave_out
from headrace.engine.runs import Runs
from headrace.engine.session import Held, Session
from headrace.engine.transport import ReadFailed
from headrace.errors import Fenced
from headrace.http import Request, Response
from headrace.ids import record_id, record_namespace, uuid7
from headrace.providers.kit import Context, Cursor, Fault, Partitions
from headrace.settings import Settings
from headrace.stream import dictionaries, lifecycle, retention
from headrace.stream.append import append
from headrace.stream.items import Batch, Canon, CheckpointWrite, ChildSet, Delete, Fence, Record, Unread

ORDER, TAG = "shop:order", "shop:tag"
SWEEP = UUID(int=1)
LATER = timedelta(minutes=1)
CANONS = {ORDER: Canon(volatile=("seen",))}
NOT_ALLOWED = ReadFailed(Fault("permission", "This is not for you."), 1)


@dataclass(frozen=True)
class Stand:
    """A sync that holds something of everything, and the texts of the statements that were sent for it."""

    held: Holding
    now: datetime
    ran: list[str]

    @property
    def db(self) -> Database:
        return self.held.db

    def session(self, fence: Fence) -> Session:
        return Session(self.held.services, self.held.sync, fence, self.held.access, lambda: True)

    def record(self, key: str, text: str = '{"a":1}', after: timedelta = timedelta(0)) -> Record:
        return Record(ORDER, key, text.encode(), self.now + after, created=self.now)

    def id_of(self, key: str) -> UUID:
        return record_id(record_namespace(self.held.sync.id, ORDER), key)

    async def own(self) -> Fence:
        row = await self.db.api.fetchrow("select stream_id, sync_id, epoch, revision from sync_epochs")
        assert row is not None
        return Fence(*row)


Act: TypeAlias = Callable[[Stand, Fence], Coroutine[Any, Any, None]]


@asynccontextmanager
async def standing(db: Database) -> AsyncIterator[Stand]:
    ran: list[str] = []

    async def listen(connection: asyncpg.Connection) -> None:
        connection.add_query_logger(lambda query: ran.append(query.query.strip()))

    async with asyncpg.create_pool(db.dsn, min_size=1, max_size=4, init=listen) as pool:
        watched = Database(db.dsn, pool, pool)
        await watched.set_clock()
        async with open_shop() as shop, holding(watched, shop, ["order", "tag"]) as held:
            yield await _filled(held, ran)


async def _filled(held: Holding, ran: list[str]) -> Stand:
    stand = Stand(held, held.db.clock.now(), ran)
    await held.db.api.execute("update stream_locks set event_days = 7")
    old = Record(ORDER, "old", b"{}", stand.now, created=stand.now - 100 * LATER, version=1)
    alike = [replace(stand.record(f"n{n}", _thing(n)), parent="p") for n in range(1000)]
    records = [old, *map(stand.record, ("changes", "goes", "stays")), *alike, Record(TAG, "purged", b"{}", stand.now)]
    rows = [CheckpointWrite("backfill", name, {}, collection_id=ORDER) for name in ("kept", "done")]
    await append(held.db, await stand.own(), Batch(records, checkpoints=rows), CANONS, stand.now)
    gone = [Delete(ORDER, "deleted", stand.now - 100 * LATER)]
    await append(held.db, await stand.own(), Batch(deletes=gone), CANONS, stand.now - 100 * LATER)
    await catch.hold(stand.session(await stand.own()), TAG, SWEEP, 1, [uuid7()], stand.now)
    async with held.db.transaction() as conn:
        await lifecycle.purge(conn, held.sync.stream_id, held.sync.id, TAG, stand.now)
    return stand


def _thing(number: int) -> str:
    """Words that all have, and some that are this one's own."""
    own = f'"id":"thing_{number:06}","email":"{number * 7919:x}@example.org","amount":{number * 104_729}'
    return f'{{{own},"object":"thing","status":"open","notes":"Sold on account, paid later."}}'


# ── what the holder does ──


async def appends(stand: Stand, fence: Fence) -> None:
    """A page with a bit of everything."""
    records = [stand.record("new"), stand.record("changes", '{"a":2}', LATER)]
    records += [stand.record("stays", '{"a":1,"seen":2}', LATER), Record(TAG, "purged", b"{}", stand.now + LATER)]
    deletes = [Delete(ORDER, key, stand.now + LATER) for key in ("goes", "never held")]
    rows = [CheckpointWrite("backfill", "kept", {}), CheckpointWrite("backfill", "done", {}, remove=True)]
    batch = Batch(records, deletes, checkpoints=rows, seen=SWEEP, backfill_completed=True)
    await append(stand.db, fence, batch, CANONS, stand.now)


async def lets_age_out(stand: Stand, fence: Fence) -> None:
    await retention.age_out(stand.db, fence, stand.now - LATER, 10, retention.AgeWalk())


async def drops_deleted(stand: Stand, fence: Fence) -> None:
    await retention.drop_deleted(stand.db, fence, stand.now - LATER, 10, retention.AgeWalk())


async def holds_back(stand: Stand, fence: Fence) -> None:
    await catch.hold(stand.session(fence), ORDER, SWEEP, 3, [stand.id_of("goes")], stand.now)


async def holds_more_back(stand: Stand, fence: Fence) -> None:
    await catch.sift(stand.session(fence), [], [ChildSet(ORDER, "p", frozenset(), stand.now + LATER)])


async def releases(stand: Stand, fence: Fence) -> None:
    session = stand.session(fence)
    session.held[TAG] = Held(SWEEP, 1, 1)
    await catch.release(session, TAG)


async def sets_aside(stand: Stand, fence: Fence) -> None:
    await Fetcher(stand.session(fence)).set_aside(ORDER, "record", "goes", None, "it is refused")


async def puts_off(stand: Stand, fence: Fence) -> None:
    await Fetcher(stand.session(fence)).put_off(ORDER, "goes", None, stand.now)


async def leaves_out(stand: Stand, fence: Fence) -> None:
    await leave_out(stand.session(fence), Partitions(_halls), ORDER, {"north": NOT_ALLOWED}, Priority.BACKFILL)


def _halls(
    context: Context, cursor: Cursor | None
) -> Generator[Request, Response, tuple[list[tuple[str, str]], Cursor | None]]:
    yield from ()
    return [("north", "North"), ("south", "South")], None


async def sees(stand: Stand, fence: Fence) -> None:
    """A record that is too old to be stored."""
    intake = Intake(replace(stand.session(fence), sync=replace(stand.held.sync, max_age_days=0.01)))
    old = Record(ORDER, "old", b"{}", stand.now, created=stand.now - 100 * LATER)
    await intake.take([old], [], origin=Origin(Priority.SWEEP, sweep=SWEEP))


async def sees_children(stand: Stand, fence: Fence) -> None:
    """Children that are held and could not be read; that they are set aside first is an act of its own."""
    await Intake(stand.session(fence))._see_children(SWEEP, Unread(ORDER, "p", "it is refused"))


async def trains(stand: Stand, fence: Fence) -> None:
    if not await dictionaries.train(stand.db, fence, ORDER):
        raise Fenced("It says so by its answer.")


async def begins_a_run(stand: Stand, fence: Fence) -> None:
    with suppress(Fenced):  # told by the statement's own answer
        await Runs().begin(stand.session(fence))


async def lays_down_the_first_run(stand: Stand, fence: Fence) -> None:
    sync = replace(stand.held.sync, sync_frequency="4h")
    await Runs().load(replace(stand.session(fence), sync=sync))


async def tells_its_health(stand: Stand, fence: Fence) -> None:
    health, session = Health(), stand.session(fence)
    health.failed("backfill", "kept", NOT_ALLOWED, stand.now, session.access)
    await health.save(session, [])


async def tells_that_it_cannot(stand: Stand, fence: Fence) -> None:
    configurations = Configurations(stand.db, None, {}, Settings())  # type: ignore[arg-type]  # no secret is opened
    lease = Lease(fence.stream_id, fence.sync_id, stand.held.sync.org_id, fence.epoch, fence.revision)
    await configurations.mark_unusable(lease, "The credential cannot be opened.")
