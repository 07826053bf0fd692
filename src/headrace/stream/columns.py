"""The parameters of the append's statements: lists a column, or rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from headrace.stream.codec import Payload
from headrace.stream.compare import Overwrite
from headrace.stream.incoming import Incoming
from headrace.stream.items import Record

_OWN = 6  # the lists that differ by nature, once the codec is out
_CODEC = 5


def text(value: str) -> str:
    """A provider's id as a text column holds it: PostgreSQL's text has no U+0000, which is written `%00`."""
    return value.replace("\0", "%00") if "\0" in value else value


def meant(value: str) -> set[str]:
    """The ids for which what stands in a text column may stand."""
    return {value, value.replace("%00", "\0")}


def _text(value: str | None) -> str | None:
    return None if value is None else text(value)


def changed_at(over: Overwrite) -> datetime:
    """What `upstream_updated_at` is to be: the provider's time, else when a new record was created, else when it was
    seen."""
    item = over.new.item
    assert isinstance(item, Record)
    return item.updated or (item.created if over.creates else None) or item.as_of


def _lists(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [list(column) for column in zip(*rows, strict=True)]


def upserts(overs: Sequence[Overwrite], payloads: Sequence[Payload]) -> list[Any]:
    """Six lists that differ by nature, then for each other column the one value that all rows have (None where they
    differ), then its list (empty where they do not): the driver's work grows with the elements of lists."""
    rows = []
    for over, payload in zip(overs, payloads, strict=True):
        new = over.new
        item = new.item
        assert isinstance(item, Record)
        rows.append(
            (
                new.record_id,
                text(item.id),
                item.created,
                new.raw_hash,
                len(item.raw),
                *payload,
                item.collection,
                _text(item.parent),
                _text(item.partition),
                item.version,
                item.as_of,
                new.slack_ms,
                item.strong,
                changed_at(over),
                over.canon_hash,
                over.canon_version,
            )
        )
    columns = _lists(rows)
    codec = columns.pop(_CODEC)
    shared = [_shared(column) for column in (*columns[_OWN:], codec)]
    return [*columns[:_OWN], *(one for one, _ in shared), *(each for _, each in shared)]


def _shared(column: list[Any]) -> tuple[Any, list[Any]]:
    first = column[0]
    return (first, []) if column.count(first) == len(column) else (None, column)


def tombstones(new: Sequence[Incoming]) -> list[Any]:
    return _lists(
        [
            (
                each.record_id,
                each.item.collection,
                text(each.item.id),
                _text(each.item.parent),
                _text(each.item.partition),
                each.item.version,
                each.item.as_of,
                each.slack_ms,
            )
            for each in new
        ]
    )


def deletes(stream_id: UUID, overs: Sequence[Overwrite], base: int, now: datetime) -> list[tuple[Any, ...]]:
    rows = []
    for idx, over in enumerate(overs, base + 1):
        new, held = over.new, over.held
        assert held is not None
        said = (new.item.version, new.item.as_of, new.slack_ms)
        rows.append((stream_id, new.record_id, idx, *said, now, held.updated_idx, held.as_of))
    return rows


def refreshes(stream_id: UUID, overs: Sequence[Overwrite]) -> list[tuple[Any, ...]]:
    rows = []
    for over in overs:
        new, held = over.new, over.held
        assert held is not None
        strong = new.item.strong if isinstance(new.item, Record) else True
        said = (new.item.version, new.item.as_of, new.slack_ms, strong)
        hashes = (new.raw_hash, over.canon_hash, over.canon_version)
        rows.append((stream_id, new.record_id, *said, *hashes, held.updated_idx, held.as_of))
    return rows


def purged(stream_id: UUID, overs: Sequence[Overwrite]) -> list[tuple[Any, ...]]:
    return [(stream_id, over.new.record_id, over.held and over.held.updated_idx) for over in overs]
