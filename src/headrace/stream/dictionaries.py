"""The dictionaries that payloads are packed with: one a collection of a sync, made once, from what is stored.

A dictionary is immutable and lives as long as its sync, so a process may keep what it has read; it keeps some hundred.
Appends hold to one rule: a row is written in a transaction that has seen the row of its dictionary.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar
from uuid import UUID

import structlog

from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.errors import Fenced, HeadraceError
from headrace.stream.codec import LARGEST_WITH_DICTIONARY, WITH_DICTIONARY, Dictionary, dict_id, unpack
from headrace.stream.fence import fenced
from headrace.stream.items import Fence
from headrace.stream.training import train as trained

log = structlog.get_logger(__name__)

_SQL = load(__package__, "dictionaries.sql")
_READ_NAMED = _SQL.read_named
_READ_OWN = _SQL.read_own
_READ_SAMPLES = _SQL.read_samples
_INSERT_DICTIONARY = _SQL.insert_dictionary

ENOUGH = 1000
"""So many records of a collection are written before a dictionary is made. It costs as much processor time as packing
ten to forty thousand with it saves, and is paid back on disk after twenty to fifty."""
_LATER = 8  # times as many before the next attempt, when a dictionary would not have paid
_AMONG, _EVERY, _MOST_BYTES = 1000, 5, 2 << 20
_KEPT, _KEPT_USES = 128, 4096

_P = ParamSpec("_P")
_T = TypeVar("_T")
_K = TypeVar("_K")
_Collection = tuple[UUID, UUID, int, str]


class DictionaryMissing(HeadraceError):
    """Payloads that nobody can read any more."""

    def __init__(self, stream_id: UUID, dict_ids: Iterable[int]) -> None:
        named = ", ".join(map(str, sorted(dict_ids)))
        super().__init__(
            f"Stream {stream_id} holds records packed with a dictionary that is not in payload_dicts ({named}): the "
            "table was restored or changed apart from records. Put its rows back, or purge the sync and read it again."
        )


class _Latest(OrderedDict[_K, _T]):
    """Keeps what was used last."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def get_used(self, key: _K) -> _T | None:
        value = self.get(key)
        if value is not None:
            self.move_to_end(key)
        return value

    def keep(self, key: _K, value: _T) -> _T:
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)
        return value


@dataclass(slots=True)
class _Use:
    """What appends know of a collection: its dictionary, 0 for none, and how much was written without one."""

    dict_id: int
    written: int = 0
    enough: int = ENOUGH


_dictionaries = _Latest[tuple[UUID, int], Dictionary](_KEPT)
_uses = _Latest[_Collection, _Use](_KEPT_USES)


# ── to read ──


async def named(conn: Conn, stream_id: UUID, dict_ids: Collection[int]) -> dict[int, Dictionary]:
    """The stream's dictionaries of these ids. Raises DictionaryMissing; see `read_again`."""
    found = {each: known for each in dict_ids if (known := _dictionaries.get_used((stream_id, each))) is not None}
    unknown = [each for each in dict_ids if each not in found]
    if unknown:
        for row in await conn.fetch(_READ_NAMED, stream_id, unknown):
            made = Dictionary(row["dict"])
            found[made.dict_id] = _dictionaries.keep((stream_id, made.dict_id), made)
        if len(found) < len(dict_ids):
            raise DictionaryMissing(stream_id, dict_ids - found.keys())
    return found


async def texts(conn: Conn, stream_id: UUID, payloads: Sequence[tuple[int, bytes]]) -> list[bytes]:
    """Payloads of (codec, data), unpacked. Raises DictionaryMissing."""
    ids = {dict_id(data) for codec, data in payloads if codec == WITH_DICTIONARY}
    known = await named(conn, stream_id, ids) if ids else {}
    return unpack([(c, data, known[dict_id(data)] if c == WITH_DICTIONARY else None) for c, data in payloads])


def read_again(read: Callable[_P, Awaitable[_T]]) -> Callable[_P, Awaitable[_T]]:
    """Read once more where a dictionary was not there: a sync that was deleted may have gone with all that it held
    between the statement that found records and the one that looked for their dictionary. The second time they are not
    found either."""

    @wraps(read)
    async def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await read(*args, **kwargs)
        except DictionaryMissing:
            return await read(*args, **kwargs)

    return wrapped


# ── to write ──


async def in_use(conn: Conn, fence: Fence, written: Mapping[str, int]) -> dict[str, Dictionary]:
    """By collection, what is to be packed with; `written` are the records that are about to be written of each."""
    uses = {each: _uses.get_used(_key(fence, each)) for each in written}
    found: dict[str, Dictionary] = {}
    unknown = []
    for collection_id, use in uses.items():
        known = _dictionaries.get_used((fence.stream_id, use.dict_id)) if use is not None else None
        if known is not None:
            found[collection_id] = known
        elif use is None or use.dict_id:
            unknown.append(collection_id)
    if unknown:
        for row in await conn.fetch(_READ_OWN, fence.stream_id, fence.sync_id, unknown):
            made = Dictionary(row["dict"])
            found[row["collection_id"]] = _dictionaries.keep((fence.stream_id, made.dict_id), made)
        for collection_id in unknown:
            own = found.get(collection_id)
            uses[collection_id] = _uses.keep(_key(fence, collection_id), _Use(own.dict_id if own else 0))
    for collection_id, use in uses.items():
        assert use is not None
        use.written += written[collection_id]
    return found


def wanting(fence: Fence, collection_ids: Iterable[str]) -> list[str]:
    """Those of which enough was written to make a dictionary, and there is none."""
    uses = [(each, _uses.get(_key(fence, each))) for each in collection_ids]
    return [each for each, use in uses if use is not None and not use.dict_id and use.written >= use.enough]


def forget(fence: Fence, collection_ids: Iterable[str]) -> None:
    """Look these up in the database when they are next to be packed."""
    for collection_id in collection_ids:
        _uses.pop(_key(fence, collection_id), None)


async def train(db: Database, fence: Fence, collection_id: str) -> bool:
    """Make the collection's dictionary from samples of what is stored, for what is written from then on; whether it has
    one now. Where it has one already that stays: processes that train at once agree. Nothing that appends need is
    locked, and the work is done in a thread. Does nothing for a fence that no longer holds."""
    use = _uses.get(_key(fence, collection_id)) or _uses.keep(_key(fence, collection_id), _Use(0))
    use.written = 0
    sampled = (fence.stream_id, fence.sync_id, collection_id, _AMONG, _EVERY, _MOST_BYTES, LARGEST_WITH_DICTIONARY)
    async with db.ingest.acquire() as conn:
        rows = await conn.fetch(_READ_SAMPLES, *sampled)
    samples = unpack([(row["codec"], row["data"], None) for row in rows])
    made = await asyncio.to_thread(trained, samples, fence.sync_id.bytes + collection_id.encode())
    if made is None:
        use.enough *= _LATER
        return False
    try:
        async with fenced(db, fence) as conn:
            own = (fence.stream_id, Dictionary(made).dict_id, fence.sync_id, collection_id, made)
            await conn.execute(_INSERT_DICTIONARY, *own)
    except Fenced:
        return False
    forget(fence, [collection_id])
    log.info("dictionary_made", sync_id=str(fence.sync_id), collection=collection_id, samples=len(samples))
    return True


def _key(fence: Fence, collection_id: str) -> _Collection:
    return fence.stream_id, fence.sync_id, fence.epoch, collection_id
