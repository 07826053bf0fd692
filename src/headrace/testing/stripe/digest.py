"""Telling a copy from the account: a hash for each object, and what differs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import orjson
import xxhash

from headrace.testing.stripe.account import Account


def fingerprint(raw: bytes) -> str:
    """The same for the same JSON value, whatever the order of its keys: 32 hexadecimals."""
    return xxhash.xxh3_128_hexdigest(orjson.dumps(orjson.loads(raw), option=orjson.OPT_SORT_KEYS))


def digest(account: Account, collection: str) -> Iterator[tuple[str, str]]:
    """(id, fingerprint) of every object that the provider holds, whole, newest first; made one at a time."""
    for ordinal in account.ordinals(collection):
        yield account.id_of(collection, ordinal), fingerprint(account.whole(collection, ordinal))


@dataclass(slots=True)
class Difference:
    """What a copy lacks, has too much, or holds otherwise; at most a hundred ids of each are kept, all are counted."""

    missing: int = 0
    phantom: int = 0
    different: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.missing or self.phantom or self.different)

    def note(self, kind: str, object_id: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        kept = self.examples.setdefault(kind, [])
        if len(kept) < 100:
            kept.append(object_id)


def difference(account: Account, collection: str, copy: Iterable[tuple[str, bytes]]) -> Difference:
    """Compare a copy, as (id, raw JSON) in any order and each once, with the account: empty when they are equal.

    It takes a bit of memory per object, so that ten million can be compared.
    """
    found = Difference()
    seen = bytearray(account.store(collection).end // 8 + 1)
    for object_id, raw in copy:
        ordinal = account.ordinal(collection, object_id)
        if ordinal is None or not account.reachable(collection, ordinal):
            found.note("phantom", object_id)
            continue
        seen[ordinal >> 3] |= 1 << (ordinal & 7)
        if raw != (ours := account.whole(collection, ordinal)) and fingerprint(raw) != fingerprint(ours):
            found.note("different", object_id)
    for ordinal in account.ordinals(collection):
        if not seen[ordinal >> 3] & 1 << (ordinal & 7):
            found.note("missing", account.id_of(collection, ordinal))
    return found
