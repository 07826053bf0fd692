"""New records go by COPY where they are many and by statement where they are few; the rows are the same."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from stream_log import Log, at, new_log, record

from headrace.errors import ImplementationError
from headrace.stream.items import Record

MANY = 120


def varied(number: int) -> Record:
    """Records that have, between them, every field in every state."""
    id_ = ("plain", "späße/%00", "with\0zero", '"quoted"\n')[number % 4] + f"-{number}"
    given: dict[str, Any] = {
        "collection": ("test:thing", "test:other")[number % 2],
        "content": "x" * (number * 7 % 900),
        "created": at(-number) if number % 3 else None,
        "updated": at(number).replace(year=1969) if number % 5 == 0 else None,
        "version": (0, 1, 2**62)[number % 3],
        "parent": f"parent\0{number}" if number % 7 == 0 else None,
        "partition": "p" if number % 6 == 0 else None,
        "strong": number % 4 != 0,
        "slack": timedelta(milliseconds=number % 3 * 500),
    }
    return record(id_, number / 3, **given)


async def rows(log: Log) -> list[dict[str, Any]]:
    """What is held of the sync, without what two streams cannot have in common."""
    held = await log.db.api.fetch("select * from records where stream_id = $1 order by updated_idx", log.stream_id)
    own = ("stream_id", "sync_id", "record_id", "inserted_at", "appended_at")
    return [{name: value for name, value in row.items() if name not in own} for row in held]


async def test_a_record_is_stored_alike_by_either_way(log: Log) -> None:
    records = [varied(number) for number in range(MANY)]
    await log.append(*records)
    one_by_one = await new_log(log.db)
    for each in records:
        await one_by_one.append(each)

    assert await rows(log) == await rows(one_by_one)


async def test_new_changed_and_deleted_records_of_one_append_have_numbers_without_a_gap(log: Log) -> None:
    await log.append(*(record(f"{n}", 1) for n in range(0, MANY, 3)))
    result = await log.append(*(record(f"{n}", 2) for n in range(MANY)))

    assert (result.created, result.updated) == (MANY - MANY // 3, MANY // 3)
    held = await log.read()
    assert len({each.upstream_id for each in held}) == MANY
    assert [each.updated_idx for each in held] == list(range(result.head - MANY + 1, result.head + 1))


async def test_who_copies_what_another_has_just_stored_compares_anew(log: Log) -> None:
    for round_ in range(5):
        newcomers = range(100 * round_, 100 * round_ + 100)
        await asyncio.gather(
            *(log.append(*(record(f"{n}", writer, content=writer) for n in newcomers)) for writer in range(3))
        )
    contents = await log.contents()
    assert len(contents) == 500
    assert set(contents.values()) == {2}


async def test_nothing_is_stored_of_many_when_one_is_not_json(log: Log) -> None:
    with pytest.raises(ImplementationError, match="'119'"):
        await log.append(*(record(f"{n}", raw=b"{}" if n < MANY - 1 else b"{") for n in range(MANY)))
    assert await log.read() == []
