"""The objects that an account was born with: each a pure function of (seed, collection, ordinal), kept nowhere.

Ordinals of a collection count from its oldest object, so that a list newest first is a walk downwards, and a window of
`created` is a pair of ordinals. References go round robin and children lie consecutively in the order of their parents,
so that "all invoices of this customer" is a `range` as well.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from headrace.testing.stripe.catalog import RESOURCES
from headrace.testing.stripe.ids import IdCodec
from headrace.testing.stripe.resources import Child, Pattern, Resource
from headrace.testing.stripe.shape import Render, compile_shape, variants

SUBLIST = 10
"""How many children an object carries; more are told by has_more (Stripe: sub-lists hold ten)."""

_MASK = (1 << 64) - 1


def _noise(ordinal: int, salt: int) -> int:
    """A well-mixed 64-bit number (the finaliser of splitmix64, one round)."""
    mixed = (ordinal * 0x9E3779B97F4A7C15 + salt) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    return mixed ^ (mixed >> 31)


class Population:
    """`counts` is the number of objects of each collection that has no parent; children follow from their patterns.

    Objects are born evenly over `span_s` seconds up to `until` (Unix seconds). `tie_s` above 1 lets them share their
    second of birth: it is rounded down to a multiple.
    """

    def __init__(
        self,
        counts: Mapping[str, int],
        *,
        seed: int,
        until: int,
        span_s: int,
        children: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self.until = until
        self.span_s = span_s
        self.tie_s = 1
        self.patterns = patterns(children)
        self.counts = whole(counts, self.patterns)
        tail = f"{_noise(seed, 1):016x}"[:15]
        self.codecs = {
            name: IdCodec(resource.prefix + ("1" if resource.long else ""), tail if resource.long else "", seed + index)
            for index, (name, resource) in enumerate(RESOURCES.items())
        }
        self._salts = {name: _noise(index, seed) for index, name in enumerate(RESOURCES)}
        self._first_variant: dict[str, int] = {}
        self._renders: dict[str, tuple[Render, ...]] = {}

    # What a shape asks (`shape.Source`).

    def id(self, collection: str) -> Callable[[int], bytes]:
        return self.codecs[collection].raw

    def owner(self, collection: str, ordinal: int) -> bytes:
        parent = _child(RESOURCES[collection]).parent
        if ordinal >= self.counts[collection]:
            return b""
        return self.codecs[parent].raw(self.patterns[collection].parent(ordinal))

    def embed(self, collection: str, ordinal: int) -> bytes:
        return self.render(collection, ordinal, self.created(collection, ordinal))

    def sublist(self, collection: str, parent: int) -> bytes:
        """The list object that a parent was born with: its newest ten children."""
        mine = self.children(collection, parent)
        shown = [self.embed(collection, ordinal) for ordinal in mine[: -SUBLIST - 1 : -1]]
        return self.list_object(collection, parent, shown, len(mine) > SUBLIST)

    # Objects.

    def render(self, collection: str, ordinal: int, created: int) -> bytes:
        """The JSON of an object as it was born; one that is made later begins in its first status."""
        renders = self._renders.get(collection) or self._compile(collection)
        noise = _noise(ordinal, self._salts[collection])
        chosen = noise % 97 % len(renders) if ordinal < self.counts[collection] else self._first_variant[collection]
        return renders[chosen](ordinal, noise, created)

    def _compile(self, collection: str) -> tuple[Render, ...]:
        resource = RESOURCES[collection]
        shapes = variants(resource.shape_name)
        begins = [number for number, shape in enumerate(shapes) if shape.get("status") == resource.begins]
        self._first_variant[collection] = begins[0] if begins else 0
        made = tuple(compile_shape(shape, collection, self) for shape in shapes)
        self._renders[collection] = made
        return made

    def created(self, collection: str, ordinal: int) -> int:
        """When an object was born: Unix seconds, never falling with the ordinal. A child is born with its parent."""
        child = RESOURCES[collection].child
        if child is not None:
            return self.created(child.parent, self.patterns[collection].parent(ordinal))
        moment = self.until - self.span_s + (ordinal + 1) * self.span_s // (self.counts[collection] or 1)
        return moment - moment % self.tie_s if self.tie_s > 1 else moment

    def first_since(self, collection: str, moment: int) -> int:
        """The lowest ordinal born at or after the moment; the count where there is none."""
        return bisect_left(
            range(self.counts[collection]), moment, key=lambda ordinal: self.created(collection, ordinal)
        )

    def list_object(self, collection: str, parent: int, shown: Sequence[bytes], has_more: bool) -> bytes:
        child = _child(RESOURCES[collection])
        url = child.path.format(quote(self.codecs[child.parent].encode(parent), safe=""))
        more = b"true" if has_more else b"false"
        return b'{"object":"list","data":[%b],"has_more":%b,"url":"%b"}' % (b",".join(shown), more, url.encode())

    # Who belongs to whom.

    def children(self, collection: str, parent: int) -> range:
        """The ordinals of the children that a parent was born with."""
        if parent >= self.counts[_child(RESOURCES[collection]).parent]:
            return range(0)
        return self.patterns[collection].children(parent)

    def referring(self, collection: str, target: str, ordinal: int) -> range:
        """The ordinals of the objects of `collection` that were born referring to this object of `target`."""
        count = self.counts[target]
        return range(ordinal, self.counts[collection], count) if ordinal < count else range(0)


def _child(resource: Resource) -> Child:
    if resource.child is None:
        raise ValueError(f"{resource.name} hang under no parent")
    return resource.child


def patterns(children: Mapping[str, Sequence[int]] | None = None) -> dict[str, Pattern]:
    """The pattern of each child collection; `children` overrides the counts of the catalogue."""
    chosen = {name: tuple(counts) for name, counts in (children or {}).items()}
    for name, counts in chosen.items():
        if name not in RESOURCES or RESOURCES[name].child is None or not counts or sum(counts) == 0:
            raise ValueError(f"children={{{name!r}: {counts}}}: not a child collection, or no children at all")
    return {
        name: Pattern(chosen.get(name, resource.child.counts))
        for name, resource in RESOURCES.items()
        if resource.child is not None
    }


def whole(counts: Mapping[str, int], each: Mapping[str, Pattern]) -> dict[str, int]:
    """The count of every collection, from those of the collections that have no parent. Raises ValueError."""
    for name in counts:
        if name not in RESOURCES or RESOURCES[name].child is not None:
            roots = ", ".join(sorted(name for name, resource in RESOURCES.items() if resource.child is None))
            raise ValueError(f"records: {name!r} is none of {roots}")
    full = {name: counts.get(name, 0) for name in RESOURCES}
    for name, resource in RESOURCES.items():
        if resource.child is not None:
            full[name] = each[name].first(full[resource.child.parent])
    return full


def spread(records: int, each: Mapping[str, Pattern]) -> dict[str, int]:
    """Counts that make `records` objects in all, children included, in the proportions of the catalogue.

    What does not divide goes to the charges, which have no children.
    """

    def counts(scale: float) -> dict[str, int]:
        return {name: int(resource.weight * scale) for name, resource in RESOURCES.items() if resource.weight > 0}

    low, high = 0.0, float(records) + 1
    for _ in range(64):
        middle = (low + high) / 2
        if sum(whole(counts(middle), each).values()) <= records:
            low = middle
        else:
            high = middle
    made = counts(low)
    made["charges"] += records - sum(whole(made, each).values())
    return made
