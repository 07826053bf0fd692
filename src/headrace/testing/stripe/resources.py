"""The words in which Stripe's collections are told: what stands where, hangs under what, is told by which events."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal


@dataclass(frozen=True, slots=True)
class Events:
    """The events that tell of an object. `by_status` are those of a change of `status` to the value named."""

    created: str | None = None
    updated: str | None = None
    deleted: str | None = None
    by_status: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Child:
    """Objects that hang under a parent.

    `counts` is the pattern of how many each parent in turn has. `path` is the list's path with the parent's id in it,
    or a top-level list that must be narrowed by a parameter (`/v1/subscription_items?subscription={}`). `field` is
    where the parent carries the first ten, `expand` where it does so when asked to (`expand[]=tax_ids`); `refers` is
    the child's field that names its parent.
    """

    parent: str
    counts: tuple[int, ...]
    path: str
    field: str | None = None
    expand: str | None = None
    refers: str | None = None

    @property
    def by(self) -> str | None:
        """The parameter that must name the parent, where the parent is not in the path."""
        return self.path.partition("?")[2].partition("=")[0] or None


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object.

    `path` is its top-level list, None where it is found under its parent only. `weight` is its share among the objects
    of an account. `created` names the field with the time of birth where lists can be narrowed by it, else it is None.
    `filters` are fields that a list can be narrowed by; `hidden` is what a list leaves out unless the filter of that
    field is given. `writes` are the calls that Stripe has; only objects of `deletable_status`, where set, can be
    deleted. `leaves` is what a GET of a deleted object finds. `begins` is the status that a new object has.
    """

    name: str
    object: str
    prefix: str
    weight: float = 0.0
    path: str | None = None
    shape: str = ""
    long: bool = True
    created: str | None = "created"
    child: Child | None = None
    events: Events = Events()
    filters: tuple[str, ...] = ()
    hidden: tuple[str, str] | None = None
    writes: frozenset[str] = frozenset()
    leaves: Literal["nothing", "stub", "object"] = "nothing"
    deletable_status: str | None = None
    begins: str | None = None

    @property
    def shape_name(self) -> str:
        return self.shape or self.object.replace(".", "_")

    @property
    def at(self) -> str:
        """Where its list stands, for the globs of faults: the parent's id is left as `{}`."""
        return self.path or (self.child.path if self.child else "")


def writes(letters: str) -> frozenset[str]:
    """`cud` are create, update and delete."""
    names = {"c": "create", "u": "update", "d": "delete"}
    return frozenset(names[letter] for letter in letters)


def events(stem: str, verbs: str = "created updated deleted", **by_status: str) -> Events:
    """The events `stem.created` … that there are, and for a `status` reached the verb that tells of it."""
    said = {verb: f"{stem}.{verb}" for verb in verbs.split()}
    return Events(
        said.get("created"),
        said.get("updated"),
        said.get("deleted"),
        {status: f"{stem}.{verb}" for status, verb in by_status.items()},
    )


class Pattern:
    """How many children each parent has, and which ordinals they are: consecutive, in the order of the parents."""

    def __init__(self, counts: tuple[int, ...]) -> None:
        self._firsts = [0, *accumulate(counts)]
        self._period = len(counts)

    def first(self, parent: int) -> int:
        """The ordinal of this parent's first child: the number of children of all parents before it."""
        rounds, rest = divmod(parent, self._period)
        return rounds * self._firsts[-1] + self._firsts[rest]

    def children(self, parent: int) -> range:
        return range(self.first(parent), self.first(parent + 1))

    def parent(self, child: int) -> int:
        """The parent of a child: the greatest whose first child is not after it."""
        rounds, rest = divmod(child, self._firsts[-1])
        return rounds * self._period + bisect_right(self._firsts, rest) - 1
