"""Whether a copy is right: each of its objects compared with the provider's, field for field.

Peers that keep a row of columns keep the fields that they know, and cannot tell a field that is null from one that is
absent. So their copy is compared in the fields that it has columns for, nulls left out, and the fields that it has no
column for are told beside the verdict.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import xxhash

Fields = Mapping[str, Any]


@dataclass(slots=True)
class Verdict:
    """What a copy lacks, holds too much, or holds otherwise; and the fields that it does not keep at all."""

    objects: int = 0
    missing: int = 0
    phantom: int = 0
    different: int = 0
    left_out: set[str] = field(default_factory=set)
    examples: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether every object is there as the provider shows it, in the fields that the copy keeps."""
        return not (self.missing or self.phantom or self.different)

    def __iadd__(self, other: "Verdict") -> "Verdict":
        self.objects += other.objects
        self.missing += other.missing
        self.phantom += other.phantom
        self.different += other.different
        self.left_out |= other.left_out
        self.examples = (self.examples + other.examples)[:5]
        return self

    def __str__(self) -> str:
        kinds = (("missing", self.missing), ("too many", self.phantom), ("different", self.different))
        wrong = ", ".join(f"{count:,} {kind}" for kind, count in kinds if count)
        said = f"NO: {wrong}" if wrong else "yes"
        return f"{said}; {len(self.left_out)} fields not kept" if self.left_out else said


def mark(fields: Fields, columns: Collection[str] | None) -> bytes:
    """The same for the same values, whatever their order. With `columns` only these count, and nulls are left out."""
    if columns is not None:
        fields = {name: value for name, value in fields.items() if name in columns and value is not None}
    return xxhash.xxh3_128_digest(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS))


async def compare(
    there: AsyncIterator[bytes], here: AsyncIterator[tuple[str, Fields]], columns: Collection[str] | None
) -> Verdict:
    """Compare a copy (id and fields of each object) with the raw JSON of the provider's objects.

    An id that comes twice in the copy is one too many. It takes some hundred bytes of memory an object.
    """
    found = Verdict()
    held: dict[str, bytes] = {}
    async for object_id, fields in here:
        if object_id in held:
            found.phantom += 1
            found.examples.append(f"{object_id} is there twice")
        held[object_id] = mark(fields, columns)
    async for raw in there:
        truth: dict[str, Any] = orjson.loads(raw)
        found.objects += 1
        if columns is not None:
            found.left_out |= {name for name, value in truth.items() if value is not None and name not in columns}
        ours = held.pop(truth["id"], None)
        if ours is None:
            found.missing += 1
            found.examples.append(f"{truth['id']} is missing")
        elif ours != mark(truth, columns):
            found.different += 1
            found.examples.append(f"{truth['id']} differs")
    found.phantom += len(held)
    found.examples = [*found.examples, *(f"{each} is no longer there" for each in held)][:5]
    return found
