"""Identifiers: UUIDv7 for rows, name-based UUIDs for records."""

import os
import time
from hashlib import sha1
from uuid import UUID, uuid5

RECORD_NAMESPACE = UUID("5f0d9ea2-7d5b-4b52-9ac1-2b6a0f3f7c11")


def uuid7(now: float | None = None) -> UUID:
    """A UUID of version 7 (RFC 9562): milliseconds of `now` (Unix seconds, default the clock), then 74 random bits."""
    millis = int((time.time() if now is None else now) * 1000) & ((1 << 48) - 1)
    tail = int.from_bytes(os.urandom(10), "big")
    value = (millis << 80) | (0x7 << 76) | ((tail >> 68) << 64) | (0b10 << 62) | (tail & ((1 << 62) - 1))
    return UUID(int=value)


def record_namespace(sync_id: UUID, collection_id: str) -> bytes:
    """The bytes that `record_id` hashes before the upstream id; made once per sync and collection."""
    return RECORD_NAMESPACE.bytes + sync_id.bytes + collection_id.encode() + b"\0"


def record_id(namespace: bytes, upstream_id: str) -> UUID:
    """The id of a record: a name-based UUID (version 5) of sync, collection and upstream id, the same for ever."""
    digest = bytearray(sha1(namespace + upstream_id.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = (digest[6] & 0x0F) | 0x50
    digest[8] = (digest[8] & 0x3F) | 0x80
    return UUID(bytes=bytes(digest))


def event_id(record_id: UUID, updated_idx: int) -> UUID:
    """The id of an event: a name-based UUID (version 5) of the record and the number that the change gave to it."""
    return uuid5(record_id, str(updated_idx))


def parse_uuid(text: str) -> UUID | None:
    """The UUID written in the canonical 36 characters (any version), or None when malformed."""
    if len(text) != 36:
        return None
    try:
        return UUID(text)
    except ValueError:
        return None
