"""The least that can be called a copy: what a set of readings makes of an account, by the rules of the log."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
import xxhash

from headrace.providers.kit import Canon, ChildSet, Delete, Item, Mention, Record

Key = tuple[str, str]
Truth = Callable[[str], Iterable[tuple[str, bytes]]]
"""What the provider holds of a collection: (id, raw JSON), each once."""


def canonical(raw: bytes, canon: Canon) -> str:
    """A hash of the record's canonical form: without its volatile fields, whatever the order of keys."""
    value = orjson.loads(raw)
    for path in canon.volatile:
        _leave_out(value, path.split("."))
    return xxhash.xxh3_128_hexdigest(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def _leave_out(value: Any, path: list[str]) -> None:
    """Take away what a path names, in each element where it leads through a list."""
    if isinstance(value, list):
        for element in value:
            _leave_out(element, path)
    elif isinstance(value, dict):
        if len(path) > 1:
            _leave_out(value.get(path[0]), path[1:])
        else:
            value.pop(path[0], None)


@dataclass(slots=True)
class Held:
    """A record of the copy; `raw` is None for a tombstone."""

    raw: bytes | None
    order: tuple[int, datetime]
    slack: timedelta
    parent: str | None
    partition: str | None


@dataclass(slots=True)
class Difference:
    """What a copy lacks, has too much, and holds otherwise than the provider."""

    missing: set[Key] = field(default_factory=set)
    phantom: set[Key] = field(default_factory=set)
    different: set[Key] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.missing or self.phantom or self.different)

    def __str__(self) -> str:
        said = (
            f"{len(keys)} {word}: {sorted(keys)[:5]}"
            for word, keys in (("missing", self.missing), ("phantom", self.phantom), ("different", self.different))
            if keys
        )
        return "; ".join(said) or "no difference"


def _later(order: tuple[int, datetime], other: tuple[int, datetime]) -> bool:
    """By version where both have one, else by the moment for which they speak."""
    if order[0] and other[0] and order[0] != other[0]:
        return order[0] > other[0]
    return order[1] >= other[1]


class Copy:
    """Records by (collection, id). Of two pictures the one with the higher (version, as_of) wins; where their moments
    are too near to tell, the record comes back as unclear, to be fetched."""

    def __init__(self, canons: Mapping[str, Canon]) -> None:
        self.held: dict[Key, Held] = {}
        self.emitted = 0
        self._canons = canons

    def apply(self, items: Iterable[Item], *, settled: bool = False) -> list[Mention]:
        """Take the items in. What must be fetched is returned; `settled` are fetched ones, later than all before."""
        wanted: list[Mention] = []
        for item in items:
            match item:
                case Record():
                    wanted += self._put(item, item.raw, settled)
                case Delete():
                    wanted += self._put(item, None, settled)
                case Mention():
                    wanted.append(item)
                case ChildSet():
                    wanted += self._keep_only(item, settled)
        return wanted

    def _put(self, item: Record | Delete, raw: bytes | None, settled: bool) -> list[Mention]:
        key = (item.collection, item.id)
        order = (item.version, item.as_of)
        held = self.held.get(key)
        if held is None:
            self.emitted += raw is not None
            self.held[key] = Held(raw, order, item.slack, item.parent, item.partition)
            return []
        if self._same(item.collection, held.raw, raw):
            held.order = max(held.order, order)
            return []
        near = max(item.slack, held.slack)
        by_version = item.version and held.order[0] and item.version != held.order[0]
        if not settled and near and not by_version and abs(item.as_of - held.order[1]) <= near:
            return [Mention(item.collection, item.id, item.as_of, item.parent)]
        if settled or _later(order, held.order):
            self.emitted += 1
            self.held[key] = Held(raw, order, item.slack, item.parent, item.partition)
        return []

    def _same(self, collection: str, one: bytes | None, other: bytes | None) -> bool:
        if one is None or other is None:
            return one is other
        canon = self._canons[collection]
        return one == other or canonical(one, canon) == canonical(other, canon)

    def _keep_only(self, children: ChildSet, settled: bool) -> list[Mention]:
        wanted: list[Mention] = []
        for (collection, child), held in tuple(self.held.items()):
            mine = collection == children.collection and held.parent == children.parent
            if mine and child not in children.ids and held.raw is not None:
                gone = Delete(collection, child, children.as_of, parent=held.parent, slack=children.slack)
                wanted += self._put(gone, None, settled)
        return wanted

    def alive(self, collection: str) -> dict[str, bytes]:
        return {key[1]: held.raw for key, held in self.held.items() if key[0] == collection and held.raw is not None}

    def difference(self, truth: Truth, collections: Iterable[str]) -> Difference:
        """Compare with what the provider holds."""
        found = Difference()
        for collection in collections:
            mine = self.alive(collection)
            canon = self._canons[collection]
            for key, raw in truth(collection):
                ours = mine.pop(key, None)
                if ours is None:
                    found.missing.add((collection, key))
                elif ours != raw and canonical(ours, canon) != canonical(raw, canon):
                    found.different.add((collection, key))
            found.phantom.update((collection, key) for key in mine)
        return found
