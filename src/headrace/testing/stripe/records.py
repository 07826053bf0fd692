"""Faults of records: what a careless reader of JSON trips over. A record that has one has it in every reading."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import count

import orjson

from headrace.testing.faults import Fault, Faults
from headrace.testing.stripe.catalog import RESOURCES
from headrace.testing.stripe.ids import chosen, share
from headrace.testing.stripe.population import Population

RECORD_KINDS = frozenset({"new_field", "huge", "wide", "deep", "no_created", "odd_id", "ties", "rotating_links"})
"""`path` is matched with the collection's list path, `probability` is the share of its records that have the fault:

`new_field` fields that no documentation names, with numbers that a float cannot hold · `huge` a record of `bytes`
(default 16 000 000) · `wide` `fields` more fields (default 10 000) · `deep` lists nested `depth` deep (default 500) ·
`no_created` the time of birth missing, or as the text or null that `as` names · `odd_id` ids with every character ·
`ties` all records are born in seconds that are multiples of `second` (default 3600) · `rotating_links` signed links
are others at every reading."""

_NEW_FIELD = (
    b'"x_new_field":{"exact":1.10,"whole":1.0,"large":9007199254740993,"tiny":1e-7,"text":"\\u2028\\ud83c\\udf3e",'
    b'"list":[],"none":null}'
)

_LINK = re.compile(rb'"https://(?:pay|invoice|files|checkout)\.stripe\.com/[^"]*')

Splice = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class _Blemish:
    kind: str
    bound: int
    splice: Splice


class Records:
    """The faults of records that stand, by collection; `refresh` after faults were added or cleared."""

    def __init__(self, population: Population, faults: Faults) -> None:
        self._population = population
        self._faults = faults
        self._blemishes: dict[str, list[_Blemish]] = {}
        self._rotating: frozenset[str] = frozenset()
        self._turns = count()
        self.any = False
        self.refresh()

    def refresh(self) -> None:
        self._blemishes = {}
        self._rotating = frozenset()
        self._population.tie_s = 1
        for codec in self._population.codecs.values():
            codec.odd_bound = 0
        for kind in sorted(RECORD_KINDS):
            for fault in self._faults.standing(kind):
                self._apply(fault)
        self.any = bool(self._blemishes or self._rotating)

    def _apply(self, fault: Fault) -> None:
        if fault.kind == "ties":
            self._population.tie_s = int(fault.option("second", 3600))
            return
        for name, resource in RESOURCES.items():
            if not fnmatchcase(resource.at, fault.path):
                continue
            if fault.kind == "rotating_links":
                self._rotating |= {name}
            elif fault.kind == "odd_id":
                self._population.codecs[name].odd_bound = share(fault.probability)
            else:
                blemish = _Blemish(fault.kind, share(fault.probability), _splice(fault, resource.created or "created"))
                self._blemishes.setdefault(name, []).append(blemish)

    def blemish(self, collection: str, ordinal: int, raw: bytes) -> bytes:
        """The record with the faults that it has at every reading."""
        for blemish in self._blemishes.get(collection, ()):
            if chosen(ordinal, blemish.bound):
                self._faults.met(blemish.kind)
                raw = blemish.splice(raw)
        return raw

    def has(self, collection: str) -> bool:
        """Whether records of this collection have faults."""
        return collection in self._blemishes

    def read(self, collection: str, raw: bytes) -> bytes:
        """The record as one reading shows it: signed links differ from one to the next, as Stripe's do."""
        if collection not in self._rotating:
            return raw
        self._faults.met("rotating_links")
        return _LINK.sub(lambda link: link[0] + b"&t=%d" % next(self._turns), raw)


def _splice(fault: Fault, created: str) -> Splice:
    match fault.kind:
        case "huge":
            size = int(fault.option("bytes", 16_000_000))
            return lambda raw: _with(raw, b'"x_padding":"%b"' % (b"x" * max(0, size - len(raw) - 16)))
        case "wide":
            many = range(int(fault.option("fields", 10_000)))
            text = b",".join(b'"x_field_%d":%d' % (number, number) for number in many)
            return lambda raw: _with(raw, text)
        case "deep":
            depth = int(fault.option("depth", 500))
            nested = b'"x_deep":' + b"[" * depth + b"]" * depth
            return lambda raw: _with(raw, nested)
        case "no_created":
            return lambda raw: _without(raw, created, fault.option("as", "missing"))
        case _:
            return lambda raw: _with(raw, _NEW_FIELD)


def _with(raw: bytes, field: bytes) -> bytes:
    """The object with one more field at its end."""
    return raw[:-1] + b"," + field + b"}"


def _without(raw: bytes, created: str, instead: str) -> bytes:
    record = orjson.loads(raw)
    if created not in record:
        return raw
    if instead == "missing":
        del record[created]
    else:
        record[created] = None if instead == "null" else instead
    return orjson.dumps(record)
