"""Reading the log by cursor."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.ids import record_id, record_namespace
from headrace.stream.codec import PLAIN, WITH_DICTIONARY, Dictionary, dict_id, unpack
from headrace.stream.columns import meant
from headrace.stream.dictionaries import named, read_again

_SQL = load(__package__, "read.sql")
_READ_AFTER = _SQL.read_after
_PAIRS, _READ_PAIRS, _READ_NAMED = _SQL.pairs, _SQL.read_pairs, _SQL.read_named
_READ_LATEST = _SQL.read_latest
_READ_RECORD = _SQL.read_record
_READ_HEAD = _SQL.read_head
_COUNT_LIVING = _SQL.count_living

_OFF_THE_LOOP = 32
_FEW_PAIRS = 60
"""Of so many syncs and collections each is looked up by itself; of more the stream is read until enough was found."""
_MOST_PAIRS = 100_000

PLAN_ANEW = "set local plan_cache_mode = force_custom_plan"
"""Before statements that look records up one by one: none uses a plan that was kept. One made while a stream was small
has been seen to take another index than the primary key, which then reads all of the stream for each record."""

MOST_BYTES = 32 << 20
"""An answer carries at most this much data, and at least one record."""


@dataclass(slots=True)
class StoredRecord:
    """A record as it stands in the log. `data` is its JSON text, byte for byte as the provider sent it."""

    record_id: UUID
    sync_id: UUID
    collection_id: str
    upstream_id: str
    updated_idx: int
    deleted: bool
    upstream_created_at: datetime | None
    upstream_updated_at: datetime
    inserted_at: datetime
    data: bytes
    codec: int = field(default=PLAIN, kw_only=True)
    """How `data` lies while the record is still packed."""
    dictionary: Dictionary | None = field(default=None, kw_only=True, repr=False, compare=False)
    """What it was packed with, once `attach` has found it."""


def packed(rows: Iterable[Any]) -> list[StoredRecord]:
    """Rows of (the fields of StoredRecord up to inserted_at, codec, data), to be given their dictionaries (`attach`)
    and opened before they are read."""
    return [
        StoredRecord(a, b, c, d, e, f, g, h, i, data, codec=codec) for a, b, c, d, e, f, g, h, i, codec, data in rows
    ]


async def attach(conn: Conn, stream_id: UUID, records: Sequence[StoredRecord]) -> None:
    """Give packed records of the stream the dictionaries that they are unpacked with. Raises DictionaryMissing."""
    wanting = [(record, dict_id(record.data)) for record in records if record.codec == WITH_DICTIONARY]
    if wanting:
        dictionaries = await named(conn, stream_id, {each for _, each in wanting})
        for record, each in wanting:
            record.dictionary = dictionaries[each]


def open_all(records: Sequence[StoredRecord]) -> None:
    """Unpack what is still packed."""
    texts = unpack([(record.codec, record.data, record.dictionary) for record in records])
    for record, text in zip(records, texts, strict=True):
        record.data, record.codec, record.dictionary = text, PLAIN, None


async def opened(records: Sequence[StoredRecord]) -> None:
    """`open_all`, of many in a thread: one call unpacks them all and lets go of the interpreter's lock."""
    if len(records) >= _OFF_THE_LOOP:
        await asyncio.to_thread(open_all, records)
    else:
        open_all(records)


@read_again
async def read_after(
    conn: Conn,
    stream_id: UUID,
    after: int,
    limit: int,
    *,
    sync_ids: Sequence[UUID] | None = None,
    provider: str | None = None,
    collection_ids: Sequence[str] | None = None,
    upstream_id: str | None = None,
    deleted: bool | None = None,
    max_bytes: int = MOST_BYTES,
) -> list[StoredRecord]:
    """Visible records with a number above `after`, in the order of their numbers: at most `limit`, and at most
    `max_bytes` of data but at least one. None lets every value through; what is given must all hold.

    A reader that goes on from the last number it saw misses nothing: nothing is ever appended at or below a number
    that was seen.
    """
    page = (stream_id, after, limit, max_bytes)
    held_by = (sync_ids, collections_like(provider), collection_ids)
    if upstream_id is not None:
        rows = await _named(conn, page, held_by, upstream_id, deleted)
    elif held_by != (None, None, None) and len(await conn.fetch(_PAIRS, stream_id, *held_by, _FEW_PAIRS)) < _FEW_PAIRS:
        rows = await conn.fetch(_READ_PAIRS, *page, *held_by, deleted)
    else:
        rows = await conn.fetch(_READ_AFTER, *page, *held_by, deleted)
    return await _opened(conn, stream_id, rows)


async def _opened(conn: Conn, stream_id: UUID, rows: Iterable[Any]) -> list[StoredRecord]:
    records = packed(rows)
    await attach(conn, stream_id, records)
    await opened(records)
    return records


async def _named(
    conn: Conn, page: tuple[UUID, int, int, int], held_by: tuple[Any, Any, Any], upstream_id: str, deleted: bool | None
) -> list[Any]:
    """A record's id follows from the provider's: there is one for each sync and collection that may hold it. Both reads
    see one moment: between two of them a first record might be stored below the number that the reader goes on from."""
    names = meant(upstream_id)
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        pairs = await conn.fetch(_PAIRS, page[0], *held_by, _MOST_PAIRS)
        ids = [record_id(record_namespace(*pair), name) for pair in pairs for name in names]
        await conn.execute(PLAN_ANEW)
        return list(await conn.fetch(_READ_NAMED, *page, ids, deleted))


@read_again
async def latest(conn: Conn, stream_id: UUID, limit: int) -> list[StoredRecord]:
    """The visible records that changed last, at most `limit`, the newest first."""
    return await _opened(conn, stream_id, await conn.fetch(_READ_LATEST, stream_id, limit))


def collections_like(provider: str | None) -> str | None:
    """The pattern (of `like`) of a provider's collection ids."""
    return None if provider is None else provider.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + ":%"


@read_again
async def get_record(conn: Conn, stream_ids: Sequence[UUID], record_id: UUID) -> tuple[UUID, StoredRecord] | None:
    """(stream id, record) of a visible record in one of the streams, deleted ones included; None: not there."""
    row = await conn.fetchrow(_READ_RECORD, stream_ids, record_id)
    return None if row is None else (row[0], (await _opened(conn, row[0], [tuple(row)[1:]]))[0])


async def head(conn: Conn, stream_id: UUID) -> int:
    """The last number given out in the stream, 0 before the first."""
    return int(await conn.fetchval(_READ_HEAD, stream_id) or 0)


async def count(conn: Conn, stream_id: UUID, sync_id: UUID, collection_id: str | None = None) -> int:
    """How many records the sync, or one collection of it, holds; deleted ones are not counted."""
    return int(await conn.fetchval(_COUNT_LIVING, stream_id, sync_id, collection_id))
