"""The parameters of the append's statements: a list a column."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from headrace.stream.codec import check, pack
from headrace.stream.compare import Overwrite
from headrace.stream.incoming import Incoming
from headrace.stream.items import Record


def text(value: str) -> str:
    """A provider's id as a text column holds it: PostgreSQL's text has no U+0000, which is written `%00`."""
    return value.replace("\0", "%00") if "\0" in value else value


def _text(value: str | None) -> str | None:
    return None if value is None else text(value)


def _payload(item: Record) -> tuple[int, int, bytes]:
    """(size, codec, data), after the check that it is what may be spliced into our answers."""
    check(item.raw, f"the record {item.id!r} of {item.collection}")
    return len(item.raw), *pack(item.raw)


def _lists(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [list(column) for column in zip(*rows, strict=True)]


def inserts(new: Sequence[Incoming]) -> list[Any]:
    rows = []
    for each in new:
        item = each.item
        assert isinstance(item, Record)
        rows.append(
            (
                each.record_id,
                item.collection,
                text(item.id),
                _text(item.parent),
                _text(item.partition),
                item.version,
                item.as_of,
                each.slack_ms,
                item.strong,
                item.created,
                item.updated or item.created or item.as_of,
                each.raw_hash,
                *_payload(item),
            )
        )
    return _lists(rows)


def updates(overs: Sequence[Overwrite], now: datetime) -> list[Any]:
    rows = []
    for over in overs:
        item = over.new.item
        assert isinstance(item, Record)
        rows.append(
            (
                over.new.record_id,
                over.held.updated_idx,
                over.held.as_of,
                _text(item.parent),
                _text(item.partition),
                over.version,
                item.as_of,
                over.new.slack_ms,
                item.strong,
                item.created,
                item.updated or (item.created if over.creates else None) or item.as_of,
                now if over.creates else None,
                over.new.raw_hash,
                over.canon_hash,
                over.canon_version,
                *_payload(item),
            )
        )
    return _lists(rows)


def deletes(overs: Sequence[Overwrite]) -> list[Any]:
    return _lists(
        [
            (
                over.new.record_id,
                over.held.updated_idx,
                over.held.as_of,
                over.new.item.version,
                over.new.item.as_of,
                over.new.slack_ms,
            )
            for over in overs
        ]
    )


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


def refreshes(overs: Sequence[Overwrite]) -> list[Any]:
    return _lists(
        [
            (
                over.new.record_id,
                over.held.updated_idx,
                over.held.as_of,
                over.new.item.version,
                over.new.item.as_of,
                over.new.slack_ms,
                over.new.item.strong if isinstance(over.new.item, Record) else True,
                over.new.raw_hash,
                over.canon_hash,
                over.canon_version,
            )
            for over in overs
        ]
    )
