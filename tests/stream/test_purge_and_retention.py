"""What leaves the log is invisible at once, and goes in chunks without disturbing what stays or comes again."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stream_log import THINGS, Log, OnDatabase, at, delete, new_log, record

from headrace.db.pool import Database
from headrace.db.queries import load
from headrace.errors import Fenced, NotFound
from headrace.ids import uuid7
from headrace.stream import lifecycle, retention
from headrace.stream.items import CheckpointWrite
from headrace.stream.retention import AgeWalk, PurgeWalk


async def chunks(log: Log, limit: int = 1000) -> int:
    """Let every purge run to its end; how many chunks it took."""
    count, walk = 0, PurgeWalk()
    while await retention.purge_chunk(log.db, log.stream_id, limit, walk):
        count += 1
    return count


async def plan(log: Log, statement: str, *given: object) -> str:
    """How the database goes about it, with the settings of the connections that use it."""
    async with log.db.ingest.acquire() as conn:
        return "\n".join(row[0] for row in await conn.fetch(f"explain {statement}", *given))


async def rows(log: Log, table: str = "records") -> int:
    return int(await log.db.api.fetchval(f"select count(*) from {table}"))


async def test_a_purge_is_seen_at_once_and_counts_what_was_seen(log: Log) -> None:
    await log.append(record("a"), record("b"), record("c", collection="test:other"), delete("guard"))
    await log.append(delete("b", 5))

    assert await log.purge(THINGS) == 2
    assert [each.upstream_id for each in await log.read()] == ["c"]
    assert await log.purge() == 1
    assert await log.read() == []


async def test_purged_rows_go_in_chunks(log: Log) -> None:
    await log.append(*(record(f"{n}") for n in range(10)), record("c", collection="test:other"))
    await log.purge(THINGS)

    assert await chunks(log, 3) == 5
    assert await rows(log) == 1
    assert await rows(log, "purges") == 0


async def test_what_is_read_again_after_a_purge_is_new_and_stays(log: Log) -> None:
    await log.append(record("a"), record("b"))
    before = {each.upstream_id: each for each in await log.read()}
    await log.purge()
    done = await log.append(record("a"), record("b", 5))

    assert (done.created, done.unchanged) == (2, 0)
    await chunks(log)
    after = {each.upstream_id: each for each in await log.read()}
    assert before["b"].updated_idx < after["a"].updated_idx < after["b"].updated_idx
    assert after["a"].record_id == before["a"].record_id
    assert after["a"].inserted_at > before["a"].inserted_at


async def test_an_older_picture_than_the_purged_one_is_taken(log: Log) -> None:
    """The purge took what was known; what is read again is the truth, whatever stood there."""
    await log.append(record("a", 100, version=9))
    await log.purge()

    assert (await log.append(record("a", 50, version=3))).created == 1


async def test_a_delete_of_a_purged_record_leaves_a_guard(log: Log) -> None:
    await log.append(record("a"))
    await log.purge()
    assert (await log.append(delete("a", 10))).deleted == 0
    await chunks(log)

    assert await log.read() == []
    assert (await log.append(record("a", 5))).stale == 1


async def test_numbers_are_never_used_twice(log: Log) -> None:
    await log.append(record("a"), record("b"))
    await log.purge()
    await chunks(log)
    await retention.drop_old_positions(log.db, log.stream_id)

    assert (await log.append(record("a"))).head > 2


async def test_an_append_with_the_revision_of_before_the_purge_is_refused(log: Log) -> None:
    await log.append(record("a"))
    await log.purge()
    log.revision = 0
    with pytest.raises(Fenced):
        await log.append(record("b"))


async def test_a_deleted_sync_is_invisible_at_once_and_goes_with_all_its_rows(log: Log) -> None:
    other = await log.another_sync()
    await other.append(record("stays"))
    await log.append(record("a"), delete("guard"), checkpoints=[CheckpointWrite("backfill", THINGS, {})])
    async with log.db.transaction() as conn:
        await lifecycle.delete_sync(conn, log.stream_id, log.sync_id, log.db.clock.now())
        await lifecycle.delete_sync(conn, log.stream_id, log.sync_id, log.db.clock.now())

    assert [each.upstream_id for each in await log.read()] == ["stays"]
    with pytest.raises(Fenced):
        await log.append(record("late"))
    with pytest.raises(NotFound):
        await log.purge()
    await chunks(log, 1)
    assert [await rows(log, table) for table in ("records", "sync_epochs", "sync_states", "checkpoints")] == [
        1,
        1,
        1,
        0,
    ]


async def test_a_stream_may_go_while_its_deleted_sync_is_purged(log: Log) -> None:
    await log.append(record("a"), record("b"))
    async with log.db.transaction() as conn:
        await lifecycle.delete_sync(conn, log.stream_id, log.sync_id, log.db.clock.now())
        await lifecycle.delete_stream(conn, log.stream_id)

    await chunks(log, 1)
    assert await rows(log) == 0


async def test_what_is_too_old_leaves_without_a_word(log: Log) -> None:
    await log.append(
        record("old", created=at(1), updated=at(2)),
        record("changed", created=at(1), updated=at(100)),
        record("born", created=at(100)),
        record("timeless", 1),
        record("versioned", 1, version=5, updated=at(5)),
    )
    before = await log.read()
    removed, walk = 0, AgeWalk()
    while some := await retention.age_out(log.db, log.fence, at(50), 1, walk):
        removed += some

    assert removed == 2
    assert set(await log.contents()) == {"changed", "born", "timeless"}
    assert await log.read() == [each for each in before if each.upstream_id not in ("old", "versioned")]


async def test_what_is_too_old_is_found_by_its_age(log: Log) -> None:
    """The cost goes by what is too old, not by what is held; also while nothing is known of the table."""
    queries = load("headrace.stream", "retention.sql")
    given = (log.stream_id, log.sync_id, at(50), 100, None)

    assert "using records_age" in await plan(log, queries.find_aged, *given)
    assert "using records_deleted" in await plan(log, queries.find_deleted, *given)


async def test_a_removal_by_a_limit_that_was_changed_is_refused(log: Log) -> None:
    """A raised limit lets older records in: nobody may take them away by the limit of before."""
    await log.append(record("old", created=at(1)))
    await log.purge()
    log.revision = 0
    with pytest.raises(Fenced):
        await retention.age_out(log.db, log.fence, at(50), 10, AgeWalk())


async def test_a_purge_goes_on_where_its_last_chunk_ended_whatever_the_names(log: Log) -> None:
    """The database may order names otherwise than Python does. Two removals, one after the other."""
    names = ["test:a_b", "test:aB", "test:Z", "test:a-b", "test:ä"]
    for name in names:
        await log.append(*(record(f"{n}", collection=name) for n in range(3)))
    await log.purge(names[1])
    await log.purge()
    await log.append(record("again", collection=names[2]))

    await chunks(log, 2)
    assert [each.upstream_id for each in await log.read()] == ["again"]
    assert await rows(log) == 1


async def test_what_the_sweeps_of_a_deleted_sync_saw_goes_with_it(log: Log) -> None:
    other, mine, theirs = await log.another_sync(), uuid7(), uuid7()
    for each, sweep_id in ((log, mine), (other, theirs)):
        mark = CheckpointWrite("sweep", THINGS, {"sweep_id": str(sweep_id)})
        await each.append(*(record(f"{n}") for n in range(3)), checkpoints=[mark], seen=sweep_id)
    async with log.db.transaction() as conn:
        await lifecycle.delete_sync(conn, log.stream_id, log.sync_id, log.db.clock.now())
    await chunks(log, 2)

    assert [row[0] for row in await log.db.api.fetch("select distinct sweep_id from sweep_seen")] == [theirs]


async def test_deleted_records_are_kept_for_their_time(log: Log) -> None:
    await log.append(record("a"), record("b"), delete("guard"))
    await log.append(delete("a", 5))
    now = log.db.clock.now()

    assert await retention.drop_deleted(log.db, log.fence, now - timedelta(hours=1), 10, AgeWalk()) == 0
    assert await retention.drop_deleted(log.db, log.fence, now + timedelta(hours=1), 10, AgeWalk()) == 2
    assert [each.upstream_id for each in await log.read()] == ["b"]


async def test_past_heads_go_and_the_last_stays(log: Log) -> None:
    for n in range(5):
        await log.append(record("a", n))
    assert await retention.drop_old_positions(log.db, log.stream_id) == 0, "an hour of them is needed"
    await log.db.api.execute("update stream_heads set appended_at = appended_at - interval '2 hours' where head < 5")
    await retention.drop_old_positions(log.db, log.stream_id)

    assert [row[0] for row in await log.db.api.fetch("select head from stream_heads order by head")] == [4, 5]
    await log.db.api.execute("update stream_heads set appended_at = appended_at - interval '2 hours'")
    await retention.drop_old_positions(log.db, log.stream_id)
    assert (await log.append(record("a", 9))).head == 6


step = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 5)),
    st.tuples(st.just("delete"), st.integers(0, 5)),
    st.tuples(st.just("purge"), st.none()),
    st.tuples(st.just("chunk"), st.integers(1, 3)),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(step, max_size=25))
def test_a_purge_under_way_is_as_good_as_one_that_is_over(on_db: OnDatabase, steps: list[tuple[str, int]]) -> None:
    """Whatever comes in while chunks are removed, readers see what they would if all had gone in one moment."""

    async def work(db: Database) -> None:
        log = await new_log(db)
        held: dict[str, int] = {}
        walk = PurgeWalk()
        for moment, (what, given_) in enumerate(steps):
            if what == "append":
                await log.append(record(f"{given_}", moment))
                held[f"{given_}"] = moment
            elif what == "delete":
                await log.append(delete(f"{given_}", moment))
                held.pop(f"{given_}", None)
            elif what == "purge":
                await log.purge()
                held.clear()
            else:
                await retention.purge_chunk(db, log.stream_id, given_, walk)
            assert await log.contents() == held
        await chunks(log)
        assert await log.contents() == held

    on_db(work)
