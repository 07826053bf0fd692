"""Payloads packed with a dictionary: every reader gets the text back, and nothing of one record is in it."""

import asyncio

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_consumer import Process
from stream_log import THINGS, Log, new_log, record

from headrace.db.pool import Database
from headrace.stream import dictionaries, lifecycle, retention
from headrace.stream.codec import LARGEST_WITH_DICTIONARY, WITH_DICTIONARY, Dictionary, pack, unpack
from headrace.stream.dictionaries import DictionaryMissing
from headrace.stream.events.reading import read_after as read_events
from headrace.stream.items import Record
from headrace.stream.training import SHARED_BY, train

OTHERS = "test:other"


def text(number: int, **more: object) -> bytes:
    """Words that all have, and some that are this one's own."""
    own = {"id": f"thing_{number:06}", "email": f"{number * 7919:x}@example.org", "amount": number * 104_729}
    return orjson.dumps({**own, "object": "thing", "status": "open", "notes": "Sold on account, paid later.", **more})


def things(first: int, count: int, as_of: float = 0, **more: object) -> list[Record]:
    return [record(f"{n}", as_of, raw=text(n, **more)) for n in range(first, first + count)]


async def learn(log: Log, count: int = 1200) -> None:
    """Records enough for a dictionary, and the dictionary."""
    appended = await log.append(*things(0, count))
    assert appended.untrained == [THINGS]
    assert await dictionaries.train(log.db, log.fence, THINGS)


async def codecs(log: Log, table: str = "records") -> dict[int, int]:
    rows = await log.db.api.fetch(f"select codec, count(*) from {table} group by codec")
    return {row[0]: row[1] for row in rows}


@given(st.lists(st.binary(max_size=3000), max_size=8), st.data())
@settings(max_examples=50)
def test_what_was_packed_with_or_without_dictionaries_comes_back(texts: list[bytes], data: st.DataObject) -> None:
    chosen = [data.draw(st.sampled_from([None, *_TWO])) for _ in texts]
    payloads = pack(texts, chosen)
    assert unpack([(*payload, each) for payload, each in zip(payloads, chosen, strict=True)]) == texts


_TWO = [Dictionary(trained) for word in ("red", "blue") if (trained := train([text(n, word=word) for n in range(200)]))]


def test_a_text_of_sixteen_megabytes_is_packed_without() -> None:
    large = [text(1, filler="x" * LARGEST_WITH_DICTIONARY), orjson.dumps({"x": "ab" * (8 << 20)})]
    assert all(payload.codec != WITH_DICTIONARY for payload in pack(large, [_TWO[0]] * 2))


def test_a_dictionary_holds_nothing_that_few_records_have() -> None:
    secret, shared = [f"Jane{n}.Doe@example.org" for n in range(200)], "Sold on account"
    few = ["rare!" * 4 if n % SHARED_BY and n < 66 else "" for n in range(200)]
    samples = [text(n, secret=secret[n], few=few[n], **{f"{n:x}-key": n}) for n in range(200)]
    trained = train(samples)
    assert trained is not None
    assert shared.encode() in trained, "else there would be nothing to find"
    own = [*secret, *(f"{n * 7919:x}@example.org" for n in range(200)), "rare!rare!", "Jane1"]
    assert not [each for each in own if each.encode() in trained]


@pytest.mark.parametrize(
    "personal", ["jane@example.org", "jane\\u0040example.org", "+1 (555) 010-4477", "4242 4242 4242 4242", 15550104477]
)
def test_a_dictionary_holds_no_address_or_long_number_though_every_record_has_it(personal: str | int) -> None:
    """As where all charges of a copy are one customer's. What stands in quotes is written as JSON may spell it."""
    value = personal if isinstance(personal, int) else orjson.Fragment(f'"{personal}"')
    trained = train([text(n, receipt=value, shared="seen in all") for n in range(200)])
    assert trained is not None
    assert b"seen in all" in trained
    assert f"{personal}".encode() not in trained
    assert b"jane" not in trained


def test_what_one_record_says_often_is_no_more_in_it_for_that() -> None:
    """Beginnings too are what many records share."""
    own = [f"Jane Doe, item {n}" for n in range(60)]
    trained = train([text(n, items=own if n == 7 else []) for n in range(200)])
    assert trained is not None
    assert b"Jane" not in trained


@pytest.mark.parametrize(
    "samples",
    [
        [text(n) for n in range(20)],
        [orjson.dumps(f"{n * 7919**5:x}") for n in range(200)],
        [b"{}"] * 200,
        [b'"' + bytes([65 + n % 26]) * (LARGEST_WITH_DICTIONARY + 1) + b'"' for n in range(60)],
    ],
    ids=["few", "nothing in common", "empty", "large"],
)
def test_no_dictionary_is_made_that_would_not_pay(samples: list[bytes]) -> None:
    assert train(samples) is None


async def test_what_is_written_from_then_on_is_packed_with_it_and_what_was_stays_readable(log: Log) -> None:
    await learn(log)
    assert WITH_DICTIONARY not in await codecs(log)
    appended = await log.append(*things(1200, 300), *things(0, 100, 5, status="paid"))
    assert appended.untrained == []

    assert (await codecs(log))[WITH_DICTIONARY] == 400
    stood = {n: text(n) for n in range(1500)} | {n: text(n, status="paid") for n in range(100)}
    assert {int(each.upstream_id): each.data for each in await log.read()} == stood


async def test_few_records_and_single_ones_are_packed_with_it_too(log: Log) -> None:
    await learn(log)
    await log.append(record("one", raw=text(5000)))
    await log.append(record("one", 5, raw=text(5001)), record("tiny", raw=b"{}"))
    assert (await codecs(log))[WITH_DICTIONARY] == 1
    assert {each.upstream_id: each.data for each in await log.read(1201)} == {"one": text(5001), "tiny": b"{}"}


async def test_every_reader_has_the_dictionary(log: Log, process: Process) -> None:
    async with log.db.transaction() as conn:
        await lifecycle.keep_events(conn, log.stream_id, 7)
    await learn(log)
    await log.append(*things(1200, 60))
    dictionaries._dictionaries.clear()  # as in another process

    async with log.db.api.acquire() as conn:
        events = await read_events(conn, log.stream_id, 0, 2000)
    assert [each.data for each in events] == [text(n) for n in range(1260)]
    dictionaries._dictionaries.clear()
    for consumer in (
        await process.consumer(log, max_ack_pending=2000),
        await process.consumer(log, kind="events", max_ack_pending=2000),
    ):
        delivered = await consumer.next(2000)
        assert [each.data for _, each in delivered.messages] == [text(n) for n in range(1260)]
        tokens = [token for token, _ in delivered.messages]
        dictionaries._dictionaries.clear()
        await consumer.nack(*tokens)
        assert len((await consumer.next(2000)).messages) == 1260


async def test_a_change_is_told_by_what_was_packed(log: Log) -> None:
    await learn(log)
    await log.append(*things(1200, 60))
    again = await log.append(*(record(f"{n}", 9, raw=text(n) + b" ") for n in range(1200, 1260)))
    assert (again.unchanged, again.updated) == (60, 0)


async def test_processes_that_train_at_once_agree(log: Log, dsn: str) -> None:
    await log.append(*things(0, 1200))
    other = await Database.open(dsn, api_size=2, ingest_size=2)
    try:
        made = await asyncio.gather(*(dictionaries.train(db, log.fence, THINGS) for db in (log.db, other)))
    finally:
        await other.close()
    assert made == [True, True]
    assert await log.db.api.fetchval("select count(*) from payload_dicts") == 1
    await log.append(*things(1200, 60))
    assert len(await log.read()) == 1260


async def test_a_late_writer_makes_none(log: Log) -> None:
    await log.append(*things(0, 1200))
    late = log.fence
    await log.purge()
    assert not await dictionaries.train(log.db, late, THINGS)
    assert await log.db.api.fetchval("select count(*) from payload_dicts") == 0


async def test_no_row_is_written_whose_dictionary_is_not_there(log: Log) -> None:
    """As when the database was put back to a moment before it was made, and the process lives on."""
    await learn(log)
    await log.append(*things(1200, 60))
    await log.db.api.execute("delete from records where codec = 2")
    await log.db.api.execute("delete from payload_dicts")
    await log.append(*things(2000, 60))
    assert WITH_DICTIONARY not in await codecs(log)
    assert len(await log.read()) == 1260


async def test_a_dictionary_that_is_gone_is_told_in_words(log: Log) -> None:
    await learn(log)
    await log.append(*things(1200, 60))
    await log.db.api.execute("delete from payload_dicts")
    dictionaries._dictionaries.clear()
    with pytest.raises(DictionaryMissing, match="payload_dicts"):
        await log.read()


async def test_a_dictionary_goes_with_its_sync_and_no_other(log: Log) -> None:
    other = await new_log(log.db)
    await learn(log)
    await learn(other)
    async with log.db.transaction() as conn:
        await lifecycle.delete_sync(conn, log.stream_id, log.sync_id, log.db.clock.now())
    while await retention.purge_chunk(log.db, log.stream_id):
        pass
    held = await log.db.api.fetch("select sync_id from payload_dicts")
    assert [row["sync_id"] for row in held] == [other.sync_id]


async def test_a_collection_has_one_of_its_own(log: Log) -> None:
    await learn(log)
    appended = await log.append(*(record(f"{n}", collection=OTHERS, raw=text(n)) for n in range(1200)))
    assert appended.untrained == [OTHERS]
    assert WITH_DICTIONARY not in await codecs(log)


async def test_where_none_pays_the_next_attempt_is_later(log: Log) -> None:
    noise = [record(f"{n}", raw=orjson.dumps(f"{n * 7919**9:x}")) for n in range(1200)]
    assert (await log.append(*noise)).untrained == [THINGS]
    assert not await dictionaries.train(log.db, log.fence, THINGS)
    assert (await log.append(record("one more"))).untrained == []


async def test_two_syncs_of_the_same_records_have_one_each(log: Log) -> None:
    """Their samples are equal, and an id names one dictionary of the stream."""
    other = await log.another_sync()
    for each in (log, other):
        await learn(each)
    assert await log.db.api.fetchval("select count(distinct sync_id) from payload_dicts") == 2
    await other.append(*things(1200, 60))
    assert (await codecs(log))[WITH_DICTIONARY] == 60
