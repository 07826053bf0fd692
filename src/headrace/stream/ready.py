"""What an append sends, made before its transaction: nothing is packed or encoded while the stream is locked."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace.stream import columns, copying
from headrace.stream.codec import Payload, check, pack
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


async def ready(fence: Fence, changes: Changes) -> Ready:
    """Check and pack what is to be written. Puts the upserts of `changes` into the order of their numbers.

    Raises ImplementationError for text that is not JSON in UTF-8.
    """
    made = Ready()
    new = [over for over in changes.upserts if over.held is None]
    if len(new) < _WORTH_A_COPY:
        new = []
    rest = [over for over in changes.upserts if over.held is not None] if new else changes.upserts
    changes.upserts = [*new, *rest]
    for part in _parts(new):
        made.copied += copying.rows(fence.stream_id, fence.sync_id, part, await _payloads(part))
    for part in _parts(rest):
        made.upserted.append(columns.upserts(part, await _payloads(part)))
    return made


async def _payloads(overs: Sequence[Overwrite]) -> list[Payload]:
    raws = []
    for over in overs:
        item = over.new.item
        assert isinstance(item, Record)
        check(item.raw, f"the record {item.id!r} of {item.collection}")
        raws.append(item.raw)
    return await asyncio.to_thread(pack, raws) if len(raws) >= _OFF_THE_LOOP else pack(raws)


def _parts(overs: Sequence[Overwrite]) -> Iterator[Sequence[Overwrite]]:
    for start in range(0, len(overs), _PART):
        yield overs[start : start + _PART]
