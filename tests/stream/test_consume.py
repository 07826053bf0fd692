"""Messages are handed out in order, once while they are out, again when they are due."""

import asyncio
from datetime import timedelta

import pytest
from stream_consumer import Consumer, Process
from stream_log import Log, at, delete, record

from headrace.errors import BadRequest, NotFound
from headrace.stream import lifecycle as streams
from headrace.stream import retention
from headrace.stream.consumers import Dispatcher, lifecycle, pending, storage
from headrace.stream.consumers.storage import Key


async def test_messages_come_in_the_order_of_their_numbers(log: Log, consumer: Consumer) -> None:
    await log.append(*(record(id_) for id_ in "abcde"))
    first = await consumer.next(2)
    rest = await consumer.next(100)

    assert [r.upstream_id for _, r in first.messages] == ["a", "b"]
    assert (first.num_pending, first.num_ack_pending) == (3, 2)
    assert [r.upstream_id for _, r in rest.messages] == ["c", "d", "e"]
    assert (rest.num_pending, rest.num_ack_pending) == (0, 5)
    assert (await consumer.next(100)).messages == []


async def test_what_is_acked_does_not_come_again_unless_it_changes(log: Log, consumer: Consumer) -> None:
    await log.append(record("a"), record("b"))
    await consumer.ack(*(await consumer.take(10)).values())
    assert await consumer.take(10) == {}
    assert (await consumer.counts()).num_ack_pending == 0
    await log.append(record("a", 5), delete("b", 5))

    again = await consumer.next(10)
    assert [(r.upstream_id, r.deleted) for _, r in again.messages] == [("a", False), ("b", True)]


async def test_of_several_versions_only_the_newest_is_delivered(log: Log, consumer: Consumer) -> None:
    for moment in range(3):
        await log.append(record("a", moment), record("b", moment))

    delivered = await consumer.next(10)
    assert [(r.upstream_id, r.updated_idx) for _, r in delivered.messages] == [("a", 5), ("b", 6)]


async def test_a_newer_version_waits_for_the_ack_and_comes_once(log: Log, consumer: Consumer) -> None:
    await log.append(record("a"), record("b"))
    out = await consumer.take(10)
    for moment in (5, 6, 7):
        await log.append(record("a", moment))
        waiting = await consumer.next(10)
        assert waiting.messages == []
        assert waiting.num_pending == 0
    await consumer.ack(out["a"])

    newest = await consumer.next(10)
    assert [(r.upstream_id, r.data) for _, r in newest.messages] == [("a", record("a", 7).raw)]
    await consumer.ack(newest.messages[0][0], out["b"])
    assert (await consumer.next(10)).messages == []


async def test_a_newer_version_that_the_position_has_not_passed_comes_after_the_ack_too(
    log: Log, consumer: Consumer
) -> None:
    await log.append(record("a"))
    out = await consumer.take()
    await log.append(record("a", 5))
    await consumer.ack(out["a"])

    assert list(await consumer.take(10)) == ["a"]


async def test_without_an_ack_a_message_comes_again_after_the_ack_wait(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, ack_wait_ms=50)
    await log.append(record("a"), record("b"))
    first = await consumer.take(10)
    again = await consumer.next(2, wait_ms=10_000)

    assert [r.upstream_id for _, r in again.messages] == ["a", "b"]
    assert {token for token, _ in again.messages}.isdisjoint(first.values())


async def test_a_late_ack_counts_until_the_message_is_delivered_again(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, ack_wait_ms=1)
    await log.append(record("a"), record("b"))
    first = await consumer.take(2)
    await consumer.ack(first["a"])
    second = await consumer.next(1, wait_ms=10_000)
    assert [r.upstream_id for _, r in second.messages] == ["b"]
    await consumer.alter(ack_wait_ms=60_000)
    await consumer.ack(first["b"])

    assert (await consumer.counts()).num_pending + (await consumer.counts()).num_ack_pending == 1


async def test_a_nack_makes_a_message_due_at_once(log: Log, consumer: Consumer) -> None:
    await log.append(record("a"), record("b"))
    first = await consumer.take(2)
    await consumer.nack(first["b"])

    again = await consumer.next(10)
    assert [r.upstream_id for _, r in again.messages] == ["b"]
    assert again.num_ack_pending == 2
    await consumer.ack(first["b"])
    assert (await consumer.counts()).num_ack_pending == 2, "that delivery is over"


async def test_a_nack_with_delay_waits_that_long(log: Log, consumer: Consumer) -> None:
    await log.append(record("a"))
    await consumer.nack((await consumer.take())["a"], delay_ms=60_000)
    waiting = await consumer.next(10)
    assert (waiting.messages, waiting.num_pending, waiting.num_ack_pending) == ([], 0, 1)

    await log.append(record("b"))
    await consumer.nack((await consumer.take())["b"], delay_ms=30)
    assert [r.upstream_id for _, r in (await consumer.next(1, wait_ms=10_000)).messages] == ["b"]


async def test_a_second_nack_of_one_delivery_changes_nothing(log: Log, consumer: Consumer) -> None:
    await log.append(record("a"))
    token = (await consumer.take())["a"]
    await consumer.nack(token, delay_ms=60_000)
    await consumer.nack(token)
    assert await consumer.take() == {}
    await consumer.ack(token)
    assert (await consumer.counts()).num_ack_pending == 0, "an ack still counts: it was not delivered again"


async def test_from_the_third_nack_on_a_message_backs_off(log: Log, consumer: Consumer) -> None:
    await log.append(record("a"))
    for _ in range(2):
        await consumer.nack((await consumer.take())["a"])
    token = (await consumer.take())["a"]
    await consumer.nack(token)

    assert await consumer.take() == {}
    assert (await consumer.next(1, wait_ms=20_000)).messages[0][1].upstream_id == "a"


async def test_extend_lets_the_ack_wait_begin_anew(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, ack_wait_ms=1)
    await log.append(record("a"), record("b"))
    first = await consumer.take(2)
    await consumer.alter(ack_wait_ms=60_000)
    await consumer.extend(first["a"])

    again = await consumer.next(1, wait_ms=10_000)
    assert [r.upstream_id for _, r in again.messages] == ["b"]
    assert await consumer.take(2) == {}
    await consumer.ack(first["a"])
    assert (await consumer.counts()).num_ack_pending == 1


async def test_a_refused_extend_leaves_the_ack_wait_alone(log: Log, process: Process) -> None:
    consumer, other = await process.consumer(log, ack_wait_ms=1), await process.consumer(log)
    await log.append(record("a"), record("b"))
    out, foreign = await consumer.take(2), await other.take(1)
    await consumer.alter(ack_wait_ms=60_000)
    for bad in (foreign["a"], "x"):
        with pytest.raises(BadRequest):
            await consumer.extend(out["a"], out["b"], bad)

    again = await consumer.next(2, wait_ms=10_000)
    assert [r.upstream_id for _, r in again.messages] == ["a", "b"]


async def test_after_max_deliver_deliveries_a_message_is_set_aside(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, max_deliver=2)
    await log.append(record("a"), record("b"))
    first = await consumer.take(2)
    await consumer.nack(first["a"])
    await consumer.ack(first["b"])
    await consumer.nack((await consumer.take())["a"])

    assert await consumer.dead() == {"a": (2, "not acked in 2 deliveries")}
    counts = await consumer.counts()
    assert (counts.num_pending, counts.num_ack_pending, counts.num_dead) == (0, 0, 1)
    assert await consumer.take() == {}


async def test_one_that_is_never_acked_is_set_aside_too(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, max_deliver=1, ack_wait_ms=1)
    await log.append(record("a"))
    await consumer.take()
    while (await consumer.counts()).num_dead == 0:
        assert (await consumer.next(1, wait_ms=5)).messages == []

    assert await consumer.dead() == {"a": (1, "not acked in 1 deliveries")}


async def test_a_version_that_is_set_aside_makes_room_for_the_newer_one(log: Log, consumer: Consumer) -> None:
    await log.append(record("a"), record("b"))
    out = await consumer.take(2)
    await log.append(record("a", 5))
    assert await consumer.take(10) == {}, "the position passes the newer version"
    await consumer.term(out["a"])

    assert [r.data for _, r in (await consumer.next(10)).messages] == [record("a", 5).raw]


async def test_a_newer_version_of_a_dead_letter_is_delivered_and_takes_its_place(log: Log, consumer: Consumer) -> None:
    await log.append(record("a"), record("b"))
    await consumer.term(*(await consumer.take(2)).values(), reason="no use")
    assert await consumer.dead() == {"a": (1, "no use"), "b": (1, "no use")}
    await log.append(record("a", 5))

    assert list(await consumer.take(10)) == ["a"]
    assert list(await consumer.dead()) == ["b"]


async def test_replay_delivers_the_newest_version_of_what_was_set_aside(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, max_deliver=1)
    await log.append(record("a"), record("b"))
    tokens = await consumer.take(2)
    await consumer.term(*tokens.values())
    await log.append(record("b", 5))
    assert await consumer.replay() == 2

    again = await consumer.next(10)
    assert sorted((r.upstream_id, r.data) for _, r in again.messages) == [
        ("a", record("a").raw),
        ("b", record("b", 5).raw),
    ]
    assert await consumer.dead() == {}
    await consumer.ack(*tokens.values())
    assert (await consumer.counts()).num_ack_pending == 2, "the tokens of before are of other deliveries"


async def test_a_replay_is_held_to_max_ack_pending(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, max_ack_pending=2)
    await log.append(*(record(id_) for id_ in "abcdef"))
    await consumer.term(*(await consumer.take(2)).values())
    await consumer.term(*(await consumer.take(2)).values())
    out = await consumer.take(2)
    await consumer.replay()
    assert await consumer.take(10) == {}
    await consumer.ack(out["e"])
    assert list(await consumer.take(10)) == ["a"]


async def test_max_ack_pending_bounds_what_is_out(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, max_ack_pending=3)
    await log.append(*(record(id_) for id_ in "abcde"))
    first = await consumer.take(10)
    assert list(first) == ["a", "b", "c"]
    blocked = await consumer.next(10)
    assert (blocked.messages, blocked.num_pending) == ([], 2)
    await consumer.ack(first["b"])

    assert list(await consumer.take(10)) == ["d"]


async def test_a_full_house_still_gets_its_redeliveries(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, max_ack_pending=2)
    await log.append(*(record(id_) for id_ in "abcd"))
    first = await consumer.take(10)
    await consumer.nack(*first.values())

    assert list(await consumer.take(10)) == ["a", "b"]


async def test_redeliveries_take_at_most_half_while_new_messages_wait(log: Log, consumer: Consumer) -> None:
    await log.append(*(record(f"old{n}") for n in range(10)))
    await consumer.nack(*(await consumer.take(10)).values())
    await log.append(*(record(f"new{n}") for n in range(10)))

    mixed = list(await consumer.take(6))
    assert sorted(id_[:3] for id_ in mixed) == ["new"] * 3 + ["old"] * 3
    singles = [next(iter(await consumer.take(1)))[:3] for _ in range(6)]
    assert sorted(singles) == ["new"] * 3 + ["old"] * 3
    rest = list(await consumer.take(100))
    assert len(rest) == 8
    assert [id_ for id_ in rest if id_.startswith("old")] == ["old6", "old7", "old8", "old9"], "oldest first"


async def test_a_purge_takes_undelivered_messages_away(log: Log, consumer: Consumer) -> None:
    await log.append(*(record(id_) for id_ in "abc"))
    out = await consumer.take(2)
    await consumer.term(out["b"])
    await consumer.nack(out["a"])
    await log.purge()

    gone = await consumer.next(10)
    assert (gone.messages, gone.num_pending, gone.num_ack_pending) == ([], 0, 0)
    assert await consumer.dead() == {}
    while await retention.purge_chunk(log.db, log.stream_id):
        pass
    assert (await consumer.counts()).num_dead == 0
    await log.append(record("a"))
    assert list(await consumer.take(10)) == ["a"]


async def test_what_was_purged_is_not_set_aside_though_the_record_came_again(log: Log, process: Process) -> None:
    """The version that was delivered is gone, and nobody asked for the one that came: it is no dead letter."""
    filters = {"provider": "*", "sync_id": "*", "collection_id": "*"}
    consumer = await process.consumer(log, max_deliver=1, filters=filters)
    await log.append(record("nacked"), record("ended"))
    out = await consumer.take(2)
    await log.purge()
    await log.append(record("nacked", 5), record("ended", 5))
    await consumer.alter(max_deliver=1, filters={**filters, "collection_id": "test:other"})
    await consumer.nack(out["nacked"])
    await consumer.term(out["ended"])

    assert (await consumer.next(10)).messages == []
    assert await consumer.dead() == {}
    assert (await consumer.counts()).num_dead == 0


async def test_what_was_purged_does_not_wait_at_a_consumer_without_room_either(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, max_ack_pending=1)
    await log.append(*(record(id_) for id_ in "abc"))
    assert (await consumer.next(5)).num_pending == 2
    await log.purge()

    assert (await consumer.next(5)).num_pending == 0


async def test_a_deleted_sync_is_undeliverable_at_once(log: Log, consumer: Consumer) -> None:
    other = await log.another_sync()
    await log.append(record("a"))
    await other.append(record("b"))
    async with log.db.transaction() as conn:
        await streams.delete_sync(conn, log.stream_id, log.sync_id, log.db.clock.now())

    assert list(await consumer.take(10)) == ["b"]


async def test_filters_apply_from_the_next_delivery_on(log: Log, process: Process) -> None:
    everything = {"provider": "*", "sync_id": "*", "collection_id": "*"}
    consumer = await process.consumer(log, filters={**everything, "collection_id": ["test:a"]})
    await log.append(*(record(f"{c}{n}", collection=f"test:{c}") for n in range(3) for c in "ab"))
    first = await consumer.next(2)
    assert [r.upstream_id for _, r in first.messages] == ["a0", "a1"]
    assert first.num_pending == 1
    await consumer.nack(*(token for token, _ in first.messages))
    await consumer.alter(filters={**everything, "collection_id": ["test:b"]})

    rest = await consumer.next(10)
    assert [r.upstream_id for _, r in rest.messages] == ["b1", "b2"]
    assert (rest.num_pending, rest.num_ack_pending) == (0, 2)


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"provider": ["test"]}, {"one", "two"}),
        ({"provider": "*"}, {"one", "two", "elsewhere", "othersync"}),
        ({"provider": ["test"], "collection_id": ["test:two", "else:where"]}, {"two"}),
        ({"collection_id": ["test:two", "else:where"]}, {"two", "elsewhere"}),
        ({"sync_id": None}, {"othersync"}),
    ],
)
async def test_all_filters_must_match(log: Log, process: Process, filters: dict[str, object], wanted: set[str]) -> None:
    other = await log.another_sync()
    await log.append(
        record("one", collection="test:one"),
        record("two", collection="test:two"),
        record("elsewhere", collection="else:where"),
    )
    await other.append(record("othersync", collection="else:other"))
    filters = {name: [str(other.sync_id)] if value is None else value for name, value in filters.items()}
    consumer = await process.consumer(log, filters=filters)

    assert (await consumer.counts()).num_pending == len(wanted)
    assert set(await consumer.take(10)) == wanted
    assert (await consumer.counts()).num_pending == 0


async def test_a_filter_that_lets_little_through_finds_it_far_away(log: Log, process: Process) -> None:
    consumer = await process.consumer(log, filters={"collection_id": ["test:rare"]})
    await log.append(*(record(f"{n}") for n in range(9000)), record("rare", collection="test:rare"))

    delivered = await consumer.next(1)
    assert [r.upstream_id for _, r in delivered.messages] == ["rare"]
    assert delivered.num_pending == 0


async def test_malformed_and_foreign_tokens_are_refused_and_nothing_is_acted_on(
    log: Log, process: Process, consumer: Consumer
) -> None:
    other = await process.consumer(log)
    await log.append(record("a"))
    own, foreign = (await consumer.take())["a"], (await other.take())["a"]
    twisted = ("B" if own[0] == "A" else "A") + own[1:]
    for bad in ("", "x", own[:-1], own + "A", twisted, foreign, "é" * 64, own[:-2] + "=="):
        for act in (consumer.ack, consumer.nack, consumer.extend, consumer.term):
            with pytest.raises(BadRequest):
                await act(own, bad)

    assert (await consumer.counts()).num_ack_pending == 1


async def test_a_consumer_that_is_deleted_is_not_found(log: Log, consumer: Consumer) -> None:
    await log.append(record("a"))
    token = (await consumer.take())["a"]
    async with log.db.transaction() as conn:
        await lifecycle.delete_consumer(conn, log.stream_id, consumer.id)

    for call in (consumer.next(), consumer.ack(token), consumer.counts(), consumer.reset()):
        with pytest.raises(NotFound):
            await call
    for table in ("consumers", "consumer_positions", "deliveries", "dead_letters"):
        assert await log.db.api.fetchval(f"select count(*) from {table}") == 0


async def test_an_answer_is_full_with_its_bytes(log: Log, consumer: Consumer) -> None:
    await log.append(*(record(f"{n}", raw=b'{"blob":"%b"}' % (b"x" * (12 << 20))) for n in range(5)))

    first = await consumer.next(10, wait_ms=60_000)
    assert [r.upstream_id for _, r in first.messages] == ["0", "1"]
    assert first.num_pending == 3
    await consumer.nack(*(token for token, _ in first.messages))
    mixed = await consumer.next(10)
    assert len(mixed.messages) == 2
    assert mixed.num_pending == 3


async def test_num_pending_is_exact_up_to_ten_thousand(log: Log, consumer: Consumer) -> None:
    await log.append(*(record(f"{n}") for n in range(10_500)))
    assert (await consumer.counts()).num_pending >= 10_000
    left = 10_500
    while left:
        delivered = await consumer.next(1000)
        left -= len(delivered.messages)
        if left <= 10_000:
            assert delivered.num_pending == left
        await consumer.ack(*(token for token, _ in delivered.messages))
        if left == 4500:
            await log.append(*(record(f"{n}", 5) for n in range(100)), *(record(f"{n}", 5) for n in range(9000, 9100)))
            left += 100


@pytest.mark.parametrize("exact_up_to", [pending.EXACT_UP_TO, 2])
async def test_num_pending_is_less_by_what_a_purge_took(
    log: Log, consumer: Consumer, monkeypatch: pytest.MonkeyPatch, exact_up_to: int
) -> None:
    monkeypatch.setattr(pending, "EXACT_UP_TO", exact_up_to)
    await log.append(*(record(f"{n}", collection=f"test:{'gone' if n > 5 else 'kept'}") for n in range(10)))
    await consumer.take(1)
    await log.purge("test:gone")
    assert (await consumer.next(1)).num_pending == 4
    await log.append(*(record(f"{n}", 5, collection="test:later") for n in range(3)))
    await log.purge("test:kept")
    assert (await consumer.next(1)).num_pending == 2


async def test_num_pending_is_less_by_what_has_grown_too_old(log: Log, consumer: Consumer) -> None:
    await log.append(*(record(f"{n}", created=at(n)) for n in range(10)))
    await consumer.take(1)
    await retention.age_out(log.db, log.fence, at(7), 100, retention.AgeWalk())
    assert (await consumer.next(1)).num_pending == 2
    await log.append(delete("8", 20), delete("9", 20), *(record(f"new{n}") for n in range(3)))
    assert (await consumer.next(1)).num_pending == 4
    await retention.drop_deleted(log.db, log.fence, log.db.clock.now() + timedelta(hours=1), 100, retention.AgeWalk())
    assert (await consumer.next(1)).num_pending == 1


async def test_two_processes_serve_one_consumer(log: Log, consumer: Consumer, other_process: Process) -> None:
    there = consumer.elsewhere(other_process.dispatcher)
    await log.append(*(record(f"{n}") for n in range(10)))
    here = await consumer.take(3)
    beyond = await there.take(3)
    assert [*here, *beyond] == [f"{n}" for n in range(6)]
    await there.ack(here["0"], here["1"])
    await consumer.nack(beyond["3"])

    assert list(await there.take(2)) == ["3", "6"]
    counts = await consumer.counts()
    assert (counts.num_pending, counts.num_ack_pending) == (3, 5)


async def test_max_ack_pending_holds_across_processes(log: Log, process: Process, other_process: Process) -> None:
    consumer = await process.consumer(log, max_ack_pending=5)
    there = consumer.elsewhere(other_process.dispatcher)
    await log.append(*(record(f"{n}") for n in range(20)))
    taken = await asyncio.gather(*(each.take(2) for each in (consumer, there) * 4))

    assert sum(map(len, taken)) == 5
    assert len({id_ for each in taken for id_ in each}) == 5


@pytest.mark.parametrize(("sharded", "waits"), [(True, "on"), (False, "off")])
async def test_a_turn_waits_for_the_disk_itself_where_one_flush_does_not_reach_every_server(
    log: Log, process: Process, sharded: bool, waits: str
) -> None:
    log.db.sharded = sharded
    consumer = await process.consumer(log)
    dispatcher = Dispatcher(log.db, process.wakeups)
    await log.append(record("a"))
    key = Key(log.stream_id, consumer.id)
    async with log.db.api.acquire() as conn, storage.locked(conn, key, None, flushed=sharded):
        assert await conn.fetchval("show synchronous_commit") == waits
    there = consumer.elsewhere(dispatcher)
    await there.ack(*(await there.take()).values())
    assert (await consumer.counts()).num_ack_pending == 0
    await dispatcher.close()
