"""What became of the objects of one collection: sparse, beside the population that is computed."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec
import orjson

Patch = dict[str, Any]
"""The top-level fields in which an object differs from how it was born. Never changed in place: a snapshot is a
reference to it."""

NO_PATCH: Patch = {}

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def patched(born: bytes, patch: Patch) -> bytes:
    """The object's JSON with these top-level fields in place of its own; the others stay as they are, byte for byte."""
    fields = _fields.decode(born)
    for name, value in patch.items():
        fields[name] = msgspec.Raw(orjson.dumps(value))
    return msgspec.json.encode(fields)


class Store:
    """Objects made since (`born` holds their time of birth; their ordinals follow on from `base`), changes, deletions.

    `hidden` are new objects that lists do not show yet, with the moment from which they do.
    """

    __slots__ = ("base", "born", "children", "gone", "hidden", "parents", "patches")

    def __init__(self, base: int) -> None:
        self.base = base
        self.born: list[int] = []
        self.patches: dict[int, Patch] = {}
        self.gone: set[int] = set()
        self.parents: dict[int, int] = {}
        self.children: dict[int, list[int]] = {}
        self.hidden: dict[int, float] = {}

    @property
    def end(self) -> int:
        """One past the newest ordinal."""
        return self.base + len(self.born)

    @property
    def count(self) -> int:
        return self.end - len(self.gone)

    def add(self, created: int, parent: int | None) -> int:
        """A new object's ordinal."""
        ordinal = self.end
        self.born.append(created)
        if parent is not None:
            self.parents[ordinal] = parent
            self.children.setdefault(parent, []).append(ordinal)
        return ordinal

    def patch(self, ordinal: int) -> Patch:
        return self.patches.get(ordinal, NO_PATCH)

    def first_since(self, moment: int) -> int:
        """The lowest ordinal among the objects made since that was born at or after the moment."""
        return self.base + bisect_left(self.born, moment)


class View:
    """Ordinals in rising order, which are the order of birth: those born with the account, then those made since."""

    __slots__ = ("_added", "_base")

    def __init__(self, base: range, added: Sequence[int]) -> None:
        self._base = base
        self._added = added

    def below(self, bound: int) -> Iterator[int]:
        """Those less than `bound`, newest first."""
        added = self._added
        newest = (added[at] for at in range(bisect_left(added, bound) - 1, -1, -1))
        return chain(newest, reversed(self._base[: bisect_left(self._base, bound)]))

    def above(self, bound: int) -> Iterator[int]:
        """Those greater than `bound`, oldest first."""
        added = self._added
        newer = (added[at] for at in range(bisect_right(added, bound), len(added)))
        return chain(self._base[bisect_right(self._base, bound) :], newer)
