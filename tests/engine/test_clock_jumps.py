"""The database's clock is set, forwards or backwards, while processes count by it: no limit is exceeded, and nobody
waits for the time of before."""

import asyncio
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest
from counting import counting
from hypothesis import given
from hypothesis import strategies as st
from paced import access, provider
from test_bucket import KEY, most_in

from headrace.clock import DatabaseClock, steady
from headrace.db.pool import Database
from headrace.engine.account_clocks import AccountClocks
from headrace.engine.bucket import Ask, Bucket, BucketKey, Charge, Later, Slot, decide
from headrace.engine.presence import Presence
from headrace.engine.sightings import Sightings, Trust
from headrace.engine.wire import Answer
from headrace.ids import uuid7
from headrace.settings import Settings

CLIENT = Path(__file__).with_name("paced.py")
STEP_S = 0.05


@dataclass
class Process:
    """One that counts by the database's clock as it knows it: `offset` from the true time, learned late."""

    learns_after_s: float
    offset: float = 0.0
    jumps: int = 0
    sightings: Sightings = field(default_factory=Sightings)
    asks_at: float = 0.0
    sent: list[float] = field(default_factory=list)

    def learn(self, at: float, jump_s: float) -> None:
        """The jump is found: what was given out for later lapses."""
        self.jumps, self.offset, self.asks_at = 1, jump_s, at
        self.sent = [moment for moment in self.sent if moment <= at]

    def turn(self, buckets: dict[BucketKey, Bucket], at: float) -> None:
        """Ask at this true moment, if it is worth it, and send what is granted."""
        if at < self.asks_at:
            return
        now = at + self.offset
        found = {key: replace(bucket) for key, bucket in buckets.items()}
        trust = self.sightings.judge("example", found, now, at, self.jumps)
        if trust is Trust.NONE:
            self.asks_at = at + 0.5
            return
        answers = decide([Ask((Charge(KEY, 1.0),), (), 0.25)] * 3, found, {}, now)
        if trust is Trust.RESTARTED or any(isinstance(answer, Slot) for answer in answers):
            buckets.update(found)
            self.sightings.stored("example", found, self.jumps)
        later = [answer.at - self.offset for answer in answers if isinstance(answer, Later)]
        self.asks_at = min(at + 30.0, min(later, default=at))
        self.sent += [answer.begins - self.offset for answer in answers if isinstance(answer, Slot)]


delays = st.lists(st.floats(0.0, 1.5), min_size=1, max_size=4)
jumps = st.sampled_from([-86_400.0, -3600.0, -30.0, -2.0, -0.4, 0.4, 2.0, 30.0, 3600.0, 86_400.0])


@given(st.integers(2, 60), st.sampled_from([1.0, 5.0]), delays, jumps, st.floats(2.0, 4.0))
def test_no_window_holds_more_than_its_number_while_the_clock_is_set(
    allowed: int, window_s: float, delays: list[float], jump_s: float, jumps_at: float
) -> None:
    buckets = {KEY: Bucket.fresh(allowed, window_s, 0.0)}
    processes = [Process(delay) for delay in delays]
    for tick in range(round((jumps_at + 8 * window_s + 10) / STEP_S)):
        at = tick * STEP_S
        for process in processes:
            if process.jumps == 0 and at >= jumps_at + process.learns_after_s:
                process.learn(at, jump_s)
            process.turn(buckets, at)
    sent = sorted(moment for process in processes for moment in process.sent)
    assert most_in(sent, window_s) <= allowed
    after = [moment for moment in sent if moment > jumps_at + 8]
    assert len(after) >= 5 * allowed / window_s, "they go on"


# ── the clock as a process keeps it ──


def test_a_jump_is_told_from_an_error_of_measuring() -> None:
    clock = DatabaseClock()
    there = datetime.now(UTC) + timedelta(hours=5)

    def learn(offset_s: float) -> None:
        now = steady()
        clock.learn(there + timedelta(seconds=offset_s + now - begun), now, now)

    begun = steady()
    for offset_s in (0.0, 0.1, -0.1):
        learn(offset_s)
    assert (clock.jumps, clock.jumped_by_s(60)) == (0, 0.0), "the first measurement is no jump"
    learn(-30.0)
    assert clock.jumps == 1
    assert -30.1 < clock.jumped_by_s(60) < -29.8
    assert clock.jumped_by_s(0) == 0.0


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
async def test_the_providers_clock_stays_while_the_databases_is_set(db: Database, jump_s: float) -> None:
    """Or the first window after it would end an hour from now, and what changes until then be passed over."""
    true = datetime.now(UTC)
    db.clock.learn(true, steady(), steady())
    clocks, reached = AccountClocks(db), access(provider())
    for by_s in (jump_s, 0.0):
        assert abs(clocks.now(reached) - true) < timedelta(seconds=30)
        db.clock.learn(datetime.now(UTC) + timedelta(seconds=by_s), steady(), steady())
        assert abs(clocks.now(reached) - true) < timedelta(seconds=30), "before any answer"
        answer = Answer(200, {"date": format_datetime(datetime.now(UTC), usegmt=True)}, b"")
        await clocks.learn(reached, answer, db.clock.now(), db.clock.now())
        assert abs(clocks.now(reached) - true) < timedelta(seconds=30)
        stored = await db.api.fetchval("select offset_s from account_clocks")
        assert abs(stored + by_s) <= 2, "for whoever comes next"


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
async def test_while_the_clock_is_being_set_nobody_is_held_for_dead(db: Database, jump_s: float) -> None:
    presence = Presence(db, uuid7(), Settings(lease_ttl_s=3.0))
    await presence.start("worker")
    try:
        one_that_beat_before = db.clock.now()
        db.clock.learn(db.clock.now() + timedelta(seconds=jump_s), steady(), steady())
        earliest, latest = presence.lifetime()
        one_that_beat_after = db.clock.now()
        assert earliest < one_that_beat_before < latest
        assert earliest < one_that_beat_after < latest
    finally:
        await presence.stop()


async def test_a_heartbeat_out_of_the_future_is_no_sign_of_life(db: Database) -> None:
    presence = Presence(db, uuid7(), Settings(lease_ttl_s=3.0))
    await presence.start("worker")
    try:
        _, latest = presence.lifetime()
        assert latest < db.clock.now() + timedelta(seconds=4)
    finally:
        await presence.stop()


# ── processes, and a database whose clock is set ──

MOVABLE = """
create table moved (by_s float8);
insert into moved values (0);
create function public.clock_timestamp() returns timestamptz language sql volatile as
  $$ select pg_catalog.clock_timestamp() + (select by_s from public.moved) * interval '1 second' $$;
"""


async def test_processes_stay_within_the_limit_while_the_databases_clock_is_set(dsn: str) -> None:
    """The database's clock as the processes read it is a function of the test's, found before PostgreSQL's own."""
    allowed = 40
    admin = await asyncpg.connect(dsn)
    await admin.execute(MOVABLE)
    moved = f"{dsn}{'&' if '?' in dsn else '?'}search_path={quote('public,pg_catalog')}"
    async with counting(answer_after_s=0.01) as server:
        command = (sys.executable, CLIENT, moved, server.url, str(allowed), "1", "90", "6")
        clients = [await asyncio.create_subprocess_exec(*command) for _ in range(2)]
        try:
            async with asyncio.timeout(120):
                await _so_many_more(server.moments, 2 * allowed)
                for by_s in (3600.0, 0.0):
                    await admin.execute("update moved set by_s = $1", by_s)
                    await _so_many_more(server.moments, 3 * allowed)
        finally:
            for client in clients:
                client.kill()
                await client.wait()
    await admin.close()
    assert most_in(server.moments, 0.75) <= allowed


async def _so_many_more(moments: list[float], number: int) -> None:
    wanted = len(moments) + number
    while len(moments) < wanted:
        await asyncio.sleep(0.02)
