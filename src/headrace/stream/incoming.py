"""What comes in, made ready to be compared with what is held: identified, hashed, one picture a record."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha1
from typing import TypeAlias
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID

from headrace.ids import record_namespace
from headrace.stream.hashes import raw_hash
from headrace.stream.items import Delete, Mention, Record

NEWER, UNCLEAR, OLDER = 1, 0, -1

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(slots=True)
class Incoming:
    """A record or a delete with the id and the hash under which it is compared."""

    item: Record | Delete
    record_id: UUID
    raw_hash: bytes  # b"" for a delete

    @property
    def slack_ms(self) -> int:
        slack = self.item.slack
        return -(-slack // _MILLISECOND) if slack else 0

    def mention(self) -> Mention:
        item = self.item
        return Mention(item.collection, item.id, item.as_of, item.parent, item.partition)


_Held: TypeAlias = "Incoming | list[Incoming]"


def order(
    version: int, as_of: datetime, slack: timedelta, other_version: int, other_as_of: datetime, other_slack: timedelta
) -> int:
    """Whether the first picture is NEWER or OLDER than the other, or it is UNCLEAR.

    Versions decide where both have one. Else the moments do: a picture speaks for some moment of
    [as_of, as_of + slack]. Of two at the very same moment the first counts as newer: it came later.
    """
    if version != other_version and version and other_version:
        return NEWER if version > other_version else OLDER
    if as_of >= other_as_of + other_slack:
        return NEWER
    if other_as_of >= as_of + slack:
        return OLDER
    return UNCLEAR


def record_ids(sync_id: UUID) -> Callable[[str, str], UUID]:
    """`ids.record_id` for many records of one sync: (collection id, upstream id) → record id."""
    namespaces: dict[str, bytes] = {}

    def record_id(collection: str, upstream_id: str) -> UUID:
        namespace = namespaces.get(collection)
        if namespace is None:
            namespace = namespaces[collection] = record_namespace(sync_id, collection)
        digest = bytearray(sha1(namespace + upstream_id.encode(), usedforsecurity=False).digest())
        digest[6] = (digest[6] & 0x0F) | 0x50
        digest[8] = (digest[8] & 0x3F) | 0x80
        return FastUUID(bytes(digest[:16]))

    return record_id


def identify(sync_id: UUID, items: Iterable[Record | Delete]) -> list[Incoming]:
    record_id = record_ids(sync_id)
    return [
        Incoming(item, record_id(item.collection, item.id), raw_hash(item.raw) if isinstance(item, Record) else b"")
        for item in items
    ]


def newest(incoming: Iterable[Incoming]) -> tuple[list[Incoming], list[Incoming]]:
    """One picture a record: (those to go on with, those of which several differ and none is certainly the newest)."""
    held: dict[UUID, _Held] = {}
    doubled = False
    for new in incoming:
        old = held.setdefault(new.record_id, new)
        if old is not new:
            doubled = True
            held[new.record_id] = _against(new, old if isinstance(old, list) else [old])
    if not doubled:
        return [one for one in held.values() if isinstance(one, Incoming)], []
    clear: list[Incoming] = []
    unclear: list[Incoming] = []
    for one in held.values():
        if isinstance(one, Incoming):
            clear.append(one)
        elif len({each.raw_hash for each in one}) == 1:
            clear.append(one[-1])
        else:
            unclear.append(max(one, key=lambda each: each.item.as_of))
    return clear, unclear


def _against(new: Incoming, olds: list[Incoming]) -> list[Incoming]:
    """The pictures of which none is certainly older than another, after `new` came to `olds`."""
    kept: list[Incoming] = []
    for old in olds:
        a, b = new.item, old.item
        found = order(a.version, a.as_of, a.slack, b.version, b.as_of, b.slack)
        if found == OLDER:
            return olds
        if found == UNCLEAR:
            kept.append(old)
    return [*kept, new]
