"""An append changes what changed, numbers it, and lets the newest picture win."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from stream_log import THINGS, Log, at, delete, record

from headrace.errors import Fenced, ImplementationError
from headrace.ids import record_id, record_namespace, uuid7
from headrace.stream import lifecycle
from headrace.stream.append import append
from headrace.stream.items import Batch, Canon, CheckpointWrite, ChildSet, Fence

SECOND = timedelta(seconds=1)


async def test_new_records_are_numbered_in_the_order_given(log: Log) -> None:
    done = await log.append(record("a"), record("b"), record("c"))

    assert (done.created, done.updated, done.unchanged, done.head) == (3, 0, 0, 3)
    assert done.changed == [(THINGS, "a"), (THINGS, "b"), (THINGS, "c")]
    assert [(r.upstream_id, r.updated_idx) for r in await log.read()] == [("a", 1), ("b", 2), ("c", 3)]


async def test_a_record_keeps_its_id_for_ever(log: Log) -> None:
    await log.append(record("a"))
    before = (await log.read())[0].record_id
    await log.purge()
    await log.append(record("a"))

    assert (await log.read())[0].record_id == before == record_id(record_namespace(log.sync_id, THINGS), "a")


async def test_a_change_takes_the_old_entry_away_and_appends_the_new(log: Log) -> None:
    await log.append(record("a"), record("b"))
    inserted = (await log.read())[0].inserted_at
    done = await log.append(record("a", 5))

    assert (done.created, done.updated) == (0, 1)
    assert [(r.upstream_id, r.updated_idx) for r in await log.read()] == [("b", 2), ("a", 3)]
    assert (await log.read())[1].inserted_at == inserted


async def test_what_did_not_change_is_not_emitted_again(log: Log) -> None:
    await log.append(record("a"), record("b"))
    done = await log.append(record("a", 9, content=0), record("b", 9, content=0))

    assert (done.unchanged, done.created, done.updated, done.head) == (2, 0, 0, 0)
    assert await log.head() == 2


async def test_other_bytes_of_one_value_are_no_change(log: Log) -> None:
    await log.append(record("a", raw=b'{"x": 1.50, "y": [1, 2]}'))
    for text in (b'{"y":[1,2],"x":1.5}', b'{"x":1.5 , "y":[1,2]}'):
        assert (await log.append(record("a", 5, raw=text))).unchanged == 1

    assert await log.head() == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"12345678901234567890", b"12345678901234567891"),
        (b"0.12345678901234567890", b"0.12345678901234567891"),
        (b"1", b"1.0"),
        (b"1e400", b"1e401"),
        (b"1e-400", b"0"),
        (rb'"\ud83d"', rb'"\ud83e"'),
    ],
)
async def test_a_digit_that_changed_is_a_change_and_is_kept(log: Log, before: bytes, after: bytes) -> None:
    await log.append(record("a", raw=b'{"x":%b}' % before))
    done = await log.append(record("a", 5, raw=b'{"x":%b}' % after))

    assert done.updated == 1
    assert (await log.read())[0].data == b'{"x":%b}' % after


async def test_volatile_fields_do_not_count(log: Log) -> None:
    log.canons[THINGS] = Canon(1, ("seen", "lines.at"))
    await log.append(record("a", raw=b'{"x":1,"seen":1,"lines":[{"at":1,"n":1}]}'))

    assert (await log.append(record("a", 5, raw=b'{"x":1,"seen":2,"lines":[{"at":2,"n":1}]}'))).unchanged == 1
    assert (await log.append(record("a", 6, raw=b'{"x":1,"seen":2,"lines":[{"at":2,"n":2}]}'))).updated == 1


async def test_a_new_canonical_form_compares_what_is_held_under_it_and_emits_nothing(log: Log) -> None:
    log.canons[THINGS] = Canon(1, ("at",))
    await log.append(record("a", raw=b'{"x":1,"seen":1,"at":1}'))
    assert (await log.append(record("a", 1, raw=b'{"x":1,"seen":2,"at":1}'))).updated == 1
    assert await log.db.api.fetchval("select canon_version from records") == 1  # with the hash, as a field is volatile
    log.canons[THINGS] = Canon(2, ("at", "seen"))

    assert (await log.append(record("a", 5, raw=b'{"x":1,"seen":3,"at":1}'))).unchanged == 1
    assert (await log.append(record("a", 6, raw=b'{"x":1,"seen":4,"at":1}'))).unchanged == 1
    assert (await log.append(record("a", 7, raw=b'{"x":2,"seen":4,"at":1}'))).updated == 1


async def test_of_two_pictures_the_older_is_dropped_whenever_it_comes(log: Log) -> None:
    await log.append(record("a", 10))
    done = await log.append(record("a", 5))

    assert (done.stale, done.updated) == (1, 0)
    assert await log.contents() == {"a": 10}


async def test_versions_decide_before_moments(log: Log) -> None:
    await log.append(record("a", 10, version=7, content="seven"))

    assert (await log.append(record("a", 20, version=6, content="six"))).stale == 1
    assert (await log.append(record("a", 5, version=8, content="eight"))).updated == 1
    assert await log.contents() == {"a": "eight"}


async def test_a_reading_without_versions_does_not_forget_the_one_held(log: Log) -> None:
    await log.append(record("a", 10, version=7, content="seven"))
    await log.append(record("a", 20, content="without"))

    assert (await log.append(record("a", 30, version=6, content="six"))).stale == 1


async def test_two_pictures_of_one_second_cannot_be_told_apart(log: Log) -> None:
    await log.append(record("a", 10, slack=SECOND, content="one"))
    done = await log.append(record("a", 10, slack=SECOND, content="other"))

    assert [(m.collection, m.id) for m in done.unclear] == [(THINGS, "a")]
    assert await log.contents() == {"a": "one"}
    assert (await log.append(record("a", 10.5, content="fetched"))).unclear, "still within the held picture's second"
    assert (await log.append(record("a", 11, content="fetched"))).updated == 1


async def test_two_pictures_of_one_second_with_one_content_are_no_question(log: Log) -> None:
    await log.append(record("a", 10, slack=SECOND, content="one"))

    assert (await log.append(record("a", 10, slack=SECOND, raw=b'{"content":"one", "id":"a"}'))).unchanged == 1


async def test_an_eventual_reading_never_replaces_a_strong_one_of_equal_version(log: Log) -> None:
    await log.append(record("a", 10, version=3, content="strong"))
    done = await log.append(record("a", 20, version=3, strong=False, content="index"))

    assert len(done.unclear) == 1
    assert await log.contents() == {"a": "strong"}
    assert (await log.append(record("a", 20, version=4, strong=False, content="index"))).updated == 1
    assert (await log.append(record("a", 30, version=4, content="fetched"))).updated == 1


async def test_an_eventual_reading_does_not_bring_back_what_was_deleted(log: Log) -> None:
    await log.append(record("a", 10))
    await log.append(delete("a", 20))

    assert len((await log.append(record("a", 30, strong=False))).unclear) == 1
    assert await log.contents() == {}


async def test_in_one_batch_the_newest_wins_and_the_later_one_on_ties(log: Log) -> None:
    done = await log.append(
        record("a", 5), record("a", 9), record("a", 7), record("b", 1, content="first"), record("b", 1, content="later")
    )

    assert (done.created, done.head) == (2, 2)
    assert await log.contents() == {"a": 9, "b": "later"}


async def test_in_one_batch_too_what_cannot_be_told_is_not_guessed(log: Log) -> None:
    done = await log.append(
        record("a", 5, slack=SECOND, content="one"),
        record("a", 5, slack=SECOND, content="other"),
        record("b", 5, slack=SECOND, content="one"),
        record("b", 5, slack=SECOND, content="other"),
        record("b", 6, slack=SECOND, content="last"),
    )

    assert [m.id for m in done.unclear] == ["a"]
    assert await log.contents() == {"b": "last"}


async def test_a_delete_appends_the_record_again_with_its_last_data(log: Log) -> None:
    await log.append(record("a"), record("b"))
    done = await log.append(delete("a", 5))

    assert (done.deleted, done.head) == (1, 3)
    last = (await log.read())[-1]
    assert (last.upstream_id, last.deleted, last.updated_idx) == ("a", True, 3)
    assert last.data == record("a").raw
    assert last.upstream_updated_at == at(5)
    assert (await log.append(delete("a", 9))).unchanged == 1
    assert await log.head() == 3


async def test_a_delete_of_what_was_never_held_is_a_guard_without_number(log: Log) -> None:
    done = await log.append(delete("a", 10))

    assert (done.deleted, await log.head(), await log.read()) == (0, 0, [])
    assert (await log.append(record("a", 5))).stale == 1
    done = await log.append(record("a", 15))
    assert (done.created, done.updated) == (1, 0)
    assert await log.contents() == {"a": 15}


async def test_a_late_picture_does_not_bring_back_what_was_deleted_and_a_later_one_does(log: Log) -> None:
    await log.append(record("a", 1))
    await log.append(delete("a", 10))
    await log.append(delete("a", 20))

    assert (await log.append(record("a", 15))).stale == 1
    assert (await log.append(record("a", 30))).updated == 1
    assert await log.contents() == {"a": 30}


async def test_a_delete_older_than_the_picture_held_is_dropped(log: Log) -> None:
    await log.append(record("a", 10))

    assert (await log.append(delete("a", 5))).stale == 1
    assert (await log.append(delete("a", 9.5, slack=SECOND))).unclear[0].id == "a"
    assert await log.contents() == {"a": 10}


async def test_the_children_that_a_parent_no_longer_has_are_deleted(log: Log) -> None:
    lines = "test:line"
    await log.append(*(record(f"{p}{n}", collection=lines, parent=p) for p in "xy" for n in range(3)))
    done = await log.append(child_sets=[ChildSet(lines, "x", frozenset({"x1"}), at(5))])

    assert done.deleted == 2
    assert set(await log.contents()) == {"x1", "y0", "y1", "y2"}
    assert (await log.append(child_sets=[ChildSet(lines, "x", frozenset({"x1"}), at(6))])).deleted == 0


async def test_a_sweep_has_seen_what_did_not_change_too(log: Log) -> None:
    sweep = log.sync_id
    await log.append(record("a"))
    await log.append(record("a", 5, content=0), record("b"), seen=sweep)

    seen = await log.db.api.fetch("select record_id from sweep_seen where sweep_id = $1", sweep)
    assert {row[0] for row in seen} == {r.record_id for r in await log.read()}


async def test_times_are_filled_from_what_is_known(log: Log) -> None:
    await log.append(
        record("all", 50, created=at(1), updated=at(2)), record("born", 50, created=at(1)), record("none", 50)
    )
    await log.append(record("born", 60, created=at(1)))
    found = {r.upstream_id: (r.upstream_created_at, r.upstream_updated_at) for r in await log.read()}

    assert found == {"all": (at(1), at(2)), "born": (at(1), at(60)), "none": (None, at(50))}


async def test_checkpoints_stand_with_the_records_that_they_prove(log: Log) -> None:
    write = CheckpointWrite("backfill", THINGS, {"after": "a"}, collection_id=THINGS, pages=1, records=2, expected=9)
    await log.append(record("a"), checkpoints=[write])
    write = CheckpointWrite("backfill", THINGS, {"after": "b"}, pages=1, records=3, completed_at=at(1))
    await log.append(checkpoints=[write], backfill_completed=True)
    row = await log.db.api.fetchrow("select * from checkpoints")

    assert row is not None
    assert (row["value"], row["pages"], row["records"], row["expected"]) == ('{"after":"b"}', 2, 5, 9)
    assert (row["collection_id"], row["completed_at"]) == (None, at(1))
    first = await log.db.api.fetchval("select initial_backfill_completed_at from sync_states")
    assert first is not None
    await log.append(checkpoints=[CheckpointWrite("backfill", THINGS, {}, remove=True)], backfill_completed=True)
    assert await log.db.api.fetchval("select count(*) from checkpoints") == 0
    assert await log.db.api.fetchval("select initial_backfill_completed_at from sync_states") == first


async def test_what_is_to_be_fetched_first_has_proved_nothing_yet(log: Log) -> None:
    await log.append(record("a", 0))
    write = CheckpointWrite("changes", THINGS, {"after": "a"})
    proves: dict[str, Any] = {"checkpoints": [write], "backfill_completed": True, "only_if_clear": True}
    done = await log.append(record("a", 1, strong=False), record("b", 1), **proves)
    assert ([each.id for each in done.unclear], done.created) == (["a"], 1)
    assert await log.db.api.fetchval("select count(*) from checkpoints") == 0
    assert await log.db.api.fetchval("select initial_backfill_completed_at from sync_states") is None

    await log.append(record("a", 2), **proves)
    assert await log.db.api.fetchval("select count(*) from checkpoints") == 1
    assert await log.db.api.fetchval("select initial_backfill_completed_at from sync_states") is not None


async def test_a_late_writer_is_refused_and_nothing_of_it_stands(log: Log) -> None:
    async with log.db.transaction() as conn:
        await lifecycle.bump_revision(conn, log.stream_id, log.sync_id)
    late = CheckpointWrite("backfill", THINGS, {})
    for fence in (
        Fence(log.stream_id, log.sync_id, 0, 0),
        Fence(log.stream_id, log.sync_id, 1, 1),
        Fence(log.stream_id, log.stream_id, 0, 1),
    ):
        log.epoch, log.revision, log.sync_id, kept = fence.epoch, fence.revision, fence.sync_id, log.sync_id
        with pytest.raises(Fenced):
            await log.append(record("a"), checkpoints=[late])
        log.sync_id = kept

    assert await log.read() == []
    assert await log.db.api.fetchval("select count(*) from checkpoints") == 0


async def test_a_change_of_scope_waits_for_the_append_under_way(log: Log) -> None:
    async with log.db.ingest.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        await conn.execute("select 1 from sync_epochs where sync_id = $1 for share", log.sync_id)
        async with log.db.transaction() as other:
            bump = asyncio.create_task(lifecycle.bump_revision(other, log.stream_id, log.sync_id))
            while not await conn.fetchval("select count(*) from pg_locks where not granted"):
                assert not bump.done()
            await transaction.commit()
            assert await bump == 1


async def test_no_append_writes_the_fence(log: Log) -> None:
    """It is locked by every append of the sync: written, it would leave a version behind for each."""
    row = "select xmin::text, ctid::text from sync_epochs where sync_id = $1"
    before = await log.db.api.fetchrow(row, log.sync_id)
    write = CheckpointWrite("backfill", THINGS, {"after": "a"}, completed_at=at(1), settled_through=at(1))
    await log.append(record("a"), delete("b"), checkpoints=[write], backfill_completed=True, seen=uuid7())
    await log.append(record("a", 1), checkpoints=[write])
    assert await log.db.api.fetchrow(row, log.sync_id) == before


async def test_an_append_that_waits_for_its_fence_holds_up_no_other_sync(log: Log) -> None:
    other = await log.another_sync()
    async with log.db.transaction() as conn:
        await lifecycle.bump_revision(conn, log.stream_id, log.sync_id)
        waiting = asyncio.create_task(log.append(record("a")))
        while not await conn.fetchval("select count(*) from pg_locks where not granted"):
            await asyncio.sleep(0.01)
        assert (await asyncio.wait_for(other.append(record("b")), 30)).created == 1
    with pytest.raises(Fenced):
        await waiting


async def test_the_moments_of_appends_never_go_back(log: Log) -> None:
    """The clocks of two workers differ, and `1h` is found by them."""
    await log.db.api.execute("update stream_heads set appended_at = $1", at(0))
    for moment in (5, 3, 9, 1):
        await append(log.db, log.fence, Batch([record(f"at {moment}")]), {}, at(moment))
    heads = await log.db.api.fetch("select appended_at from stream_heads where head > 0 order by head")
    assert [row["appended_at"] for row in heads] == [at(5), at(5), at(9), at(9)]


async def test_what_a_picture_does_not_tell_is_kept_from_the_one_before(log: Log) -> None:
    await log.append(record("a", 1, created=at(1), version=3))
    await log.append(record("a", 2))
    await log.append(record("a", 3, version=2))
    assert [(each.upstream_created_at, each.data) for each in await log.read()] == [
        (at(1), b'{"id":"a","content":2}')
    ], "nor is the version forgotten"


async def test_what_no_later_reading_tells_of_a_checkpoint_is_kept(log: Log) -> None:
    write = CheckpointWrite("changes", THINGS, {}, settled_through=at(1), completed_at=at(2))
    await log.append(checkpoints=[write])
    await log.append(checkpoints=[CheckpointWrite("changes", THINGS, {"after": "a"})])
    row = await log.db.api.fetchrow("select settled_through, completed_at from checkpoints")
    assert tuple(row) == (at(1), at(2))


async def test_an_append_to_a_stream_that_is_gone_is_refused(log: Log) -> None:
    async with log.db.transaction() as conn:
        await lifecycle.delete_stream(conn, log.stream_id)
    with pytest.raises(Fenced):
        await log.append(record("a"))


@pytest.mark.parametrize("raw", [b'{"id":', b"", b'{"a":NaN}', b'{"a":"\xff"}', b'{"a":1}x', b"[" * 5000])
async def test_what_is_not_json_is_not_stored(log: Log, raw: bytes) -> None:
    with pytest.raises(ImplementationError, match="'a' of test:thing"):
        await log.append(record("a", raw=raw or b" "))
    assert await log.read() == []


async def test_ids_and_contents_may_hold_any_character(log: Log) -> None:
    ids = ["", "ü", "a/b c", "\U0001f600", "'; drop table records --", "x" * 5000, "line\nbreak", "\x01"]
    await log.append(*(record(id_, raw=b'{"content":"\\u0000\\ud800 %b"}' % b"y" * 1) for id_ in ids))

    assert [r.upstream_id for r in await log.read()] == ids
    assert (await log.append(*(record(id_, raw=b'{"content":"\\u0000\\ud800 y"}') for id_ in ids))).unchanged == len(
        ids
    )


async def test_a_zero_character_in_an_id_is_shown_escaped_and_keeps_the_record_apart(log: Log) -> None:
    await log.append(record("a\0b", content=1), record("a%00b", content=2))
    done = await log.append(record("a\0b", 5, content=3))

    assert (done.created, done.updated) == (0, 1)
    assert [r.upstream_id for r in await log.read()] == ["a%00b", "a%00b"]


async def test_large_records_come_back_byte_for_byte(log: Log) -> None:
    text = b'{"blob":"%b"}' % (bytes(range(97, 123)) * 400_000)
    small = b'{"a":1}'
    await log.append(record("large", raw=text), record("small", raw=small))

    assert [r.data for r in await log.read()] == [text, small]


async def test_a_batch_larger_than_one_statement_is_one_append(log: Log) -> None:
    many = [record(f"{n}") for n in range(4500)]
    done = await log.append(*many)
    assert (done.created, done.head) == (4500, 4500)
    assert [r.upstream_id for r in await log.read()] == [r.id for r in many]
    changed = await log.append(
        *(record(f"{n}", 5) for n in range(3000)), *(delete(f"{n}", 5) for n in range(3000, 4500))
    )
    assert (changed.updated, changed.deleted, changed.head) == (3000, 1500, 9000)
    assert [r.updated_idx for r in await log.read()] == list(range(4501, 9001))


async def test_an_append_that_is_overtaken_compares_anew(log: Log) -> None:
    """Two appends of one sync side by side (a mutation beside the sync's own reading) on the same records."""
    for round_ in range(10):
        await asyncio.gather(
            *(
                log.append(*(record(f"{n}", 10 * round_ + writer, content=f"{round_}-{writer}") for n in range(50)))
                for writer in range(4)
            )
        )
        assert set((await log.contents()).values()) == {f"{round_}-3"}


async def test_the_same_content_from_two_sides_at_once_is_emitted_once(log: Log) -> None:
    results = await asyncio.gather(*(log.append(*(record(f"{n}") for n in range(100))) for _ in range(4)))

    assert sum(each.created for each in results) == 100
    assert len(await log.read()) == 100


async def test_a_repeated_append_changes_nothing(log: Log) -> None:
    items = (record("a", 1), record("b", 1), delete("c", 1), record("d", 1, slack=SECOND))
    await log.append(*items)
    before = await log.read()
    await log.append(*items)

    assert await log.read() == before
