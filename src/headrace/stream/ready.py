"""What an append sends, made before its transaction: nothing is packed or encoded while the stream is locked."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace.db.pool import Conn
from headrace.stream import columns, copying, dictionaries
from headrace.stream.codec import Dictionary, Payload, check, pack
from headrace.stream.compare import Changes, Overwrite
from headrace.stream.items import Fence, Record

_PART = 500
_WORTH_A_COPY = 50
"""So many new records go by COPY; of fewer, the trips that it makes more than a statement cost more than it saves."""
_OFF_THE_LOOP = 32
"""So many payloads are packed in a thread."""


@dataclass(slots=True)
class Ready:
    """The writes of an append but for numbers and moment. The numbers follow this order: copied, upserted, deleted."""

    copied: list[bytes] = field(default_factory=list)
    upserted: list[list[Any]] = field(default_factory=list)
    """The parameters of so many upsert statements."""
    dictionaries: dict[str, Dictionary] = field(default_factory=dict)
    """What was packed with, by collection."""
    untrained: list[str] = field(default_factory=list)
    """Collections of which enough is written to make a dictionary, and there is none."""


async def ready(conn: Conn, fence: Fence, changes: Changes) -> Ready:
    """Check and pack what is to be written. Puts the upserts of `changes` into the order of their numbers.

    Raises ImplementationError for text that is not JSON in UTF-8.
    """
    made = Ready()
    if changes.upserts:
        written = Counter(over.new.item.collection for over in changes.upserts)
        made.dictionaries = await dictionaries.in_use(conn, fence, written)
        made.untrained = dictionaries.wanting(fence, written)
    new = [over for over in changes.upserts if over.held is None]
    if len(new) < _WORTH_A_COPY:
        new = []
    rest = [over for over in changes.upserts if over.held is not None] if new else changes.upserts
    changes.upserts = [*new, *rest]
    for part in _parts(new):
        made.copied += copying.rows(fence.stream_id, fence.sync_id, part, await _payloads(part, made.dictionaries))
    for part in _parts(rest):
        made.upserted.append(columns.upserts(part, await _payloads(part, made.dictionaries)))
    return made


async def _payloads(overs: Sequence[Overwrite], in_use: Mapping[str, Dictionary]) -> list[Payload]:
    raws, packed_with = [], []
    for over in overs:
        item = over.new.item
        assert isinstance(item, Record)
        check(item.raw, f"the record {item.id!r} of {item.collection}", parsed=item.parsed)
        raws.append(item.raw)
        packed_with.append(in_use.get(item.collection))
    if len(raws) >= _OFF_THE_LOOP:
        return await asyncio.to_thread(pack, raws, packed_with)
    return pack(raws, packed_with)


def _parts(overs: Sequence[Overwrite]) -> Iterator[Sequence[Overwrite]]:
    for start in range(0, len(overs), _PART):
        yield overs[start : start + _PART]
