"""Reading by cursor shows what is visible, in order, page by page."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_log import Log, delete, record

from headrace.ids import uuid7
from headrace.stream import lifecycle, read
from headrace.stream.codec import pack, unpack


async def test_pages_follow_each_other(log: Log) -> None:
    await log.append(*(record(f"{n}") for n in range(7)))
    seen: list[str] = []
    at = 0
    while page := await log.read(at, 3):
        assert len(page) <= 3
        seen += [each.upstream_id for each in page]
        at = page[-1].updated_idx
    assert seen == [f"{n}" for n in range(7)]


@pytest.mark.parametrize("few", [60, 1], ids=["looked up", "read through"])
@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, ["a", "b", "c", "d"]),
        ({"collection_ids": ["test:y"]}, ["b"]),
        ({"collection_ids": ["test:x", "test:y"]}, ["a", "b", "d"]),
        ({"provider": "test"}, ["a", "b", "d"]),
        ({"provider": "te_t"}, []),
        ({"provider": "%"}, []),
        ({"upstream_id": "c"}, ["c"]),
        ({"deleted": True}, ["d"]),
        ({"deleted": False, "provider": "test"}, ["a", "b"]),
        ({"sync_ids": []}, []),
    ],
)
async def test_all_filters_must_match(
    log: Log, filters: dict[str, Any], wanted: list[str], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "_FEW_PAIRS", few)
    await log.append(
        record("a", collection="test:x"),
        record("b", collection="test:y"),
        record("c", collection="else:x"),
        record("d", collection="test:x"),
    )
    await log.append(delete("d", 5, collection="test:x"))
    assert [each.upstream_id for each in await log.read(**filters)] == wanted


@pytest.mark.parametrize("id_", ["nul\0inside", "percent%00inside", "é"])
async def test_a_record_is_found_by_the_providers_id_however_it_is_spelled(log: Log, id_: str) -> None:
    await log.append(record("other"), record(id_))
    held = [each.upstream_id for each in await log.read()][1]
    assert [each.upstream_id for each in await log.read(upstream_id=held)] == [held]
    assert await log.read(1, upstream_id="other") == []


async def test_syncs_are_told_apart(log: Log) -> None:
    other = await log.another_sync()
    await log.append(record("same"))
    await other.append(record("same"))

    assert len({each.record_id for each in await log.read()}) == 2
    assert [each.sync_id for each in await log.read(sync_ids=[other.sync_id])] == [other.sync_id]


async def test_streams_do_not_see_each_other(log: Log) -> None:
    await log.append(record("a"))
    async with log.db.api.acquire() as conn:
        assert await read.read_after(conn, uuid7(), 0, 10) == []
        assert await read.head(conn, uuid7()) == 0


async def test_a_page_is_full_with_its_bytes_and_has_one_record_at_least(log: Log) -> None:
    await log.append(*(record(f"{n}", raw=b'{"x":"%b"}' % (b"y" * 92)) for n in range(5)))  # 100 bytes each

    assert len(await log.read(max_bytes=250)) == 2
    assert len(await log.read(max_bytes=300)) == 3
    assert len(await log.read(max_bytes=10)) == 1


async def test_one_record_by_its_id(log: Log) -> None:
    await log.append(record("a"), delete("guard"))
    held = (await log.read())[0]
    guard = await log.db.api.fetchval("select record_id from records where updated_idx is null")
    async with log.db.api.acquire() as conn:

        async def find(*streams: UUID, id_: UUID = held.record_id) -> object:
            return await read.get_record(conn, streams, id_)

        assert await find(uuid7(), log.stream_id) == (log.stream_id, held)
        assert await find(uuid7()) is None
        assert await find(log.stream_id, id_=uuid7()) is None
        assert await find(log.stream_id, id_=guard) is None, "a tombstone is not a record"
    await log.purge()
    async with log.db.api.acquire() as conn:
        assert await read.get_record(conn, [log.stream_id], held.record_id) is None


async def test_what_is_held_is_counted(log: Log) -> None:
    await log.append(record("a"), record("b"), record("c", collection="test:other"), delete("guard"))
    await log.append(delete("b", 5))
    async with log.db.api.acquire() as conn:
        assert await read.count(conn, log.stream_id, log.sync_id) == 2
        assert await read.count(conn, log.stream_id, log.sync_id, "test:thing") == 1
    await log.purge("test:thing")
    async with log.db.api.acquire() as conn:
        assert await read.count(conn, log.stream_id, log.sync_id) == 1


async def test_a_stream_begins_with_one_and_ends(log: Log) -> None:
    assert await log.head() == 0
    async with log.db.transaction() as conn:
        await lifecycle.delete_stream(conn, log.stream_id)
    assert await log.head() == 0


@given(st.binary(max_size=2000), st.integers(1, 20))
def test_what_was_packed_comes_back(part: bytes, times: int) -> None:
    texts = [part * times, b"", part]
    assert unpack([(*each, None) for each in pack(texts)]) == texts
