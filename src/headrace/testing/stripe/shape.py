"""Shapes: JSON with holes, compiled to a function each, so that an object costs a few microseconds.

A shape is an object as Stripe shows it, in `shapes/NAME.json`; a string that begins with `$` is a hole:

    $id $created                  the object's own
    $created+N                    N seconds later
    $parent                       the id of the parent that it hangs under
    $ref:COLLECTION               the id of an object of another collection
    $embed:COLLECTION             that object itself, as it was born
    $list:COLLECTION              the first ten children, with has_more and url
    $int:NAME:LO:HI  $str:…       a number, or the same in a string; one NAME is one number throughout the object
    $dec:NAME:LO:HI:DIGITS        a number with these decimals: 19.0, 12.25
    $pick:NAME:a|b|c              one of these
    $text:…{n}…{h8}…              text with ordinal, hexadecimals, digits, names in it

`{"$variants": [A, {"$like": 0, …}]}` holds several; a variant is the first one with other values, less what `$drop`
names. Which variant and which values an object has is decided by its ordinal and the seed alone.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Protocol
from zlib import crc32

Render = Callable[[int, int, int], bytes]
"""(ordinal, its hash, created) → the object's JSON text."""

_HOLE = re.compile(r'"\$([^"]*)"')
_FIELD = re.compile(r"\{(\w+)\}")
_FIRST = "Ada|Bram|Cléo|Dunja|Emre|Fenna|Gül|Hanna|Ivo|Jónas|Kaija|Luca|Mæve|Noor|Otto|Pía"
_LAST = "Bakker|Costa|Dupont|Ek|Fischer|García|Hoşgör|Ito|Jansen|Kowalska|Larsson|Müller|Nagy|Okafor"
_WORDS = {"first": _FIRST, "last": _LAST, "word": "Grist|Bran|Flour|Semolina|Spelt|Rye|Barley|Oats|Maize|Wheat|Millet"}


class Source(Protocol):
    """What a shape needs to know of the account that it stands in."""

    @property
    def counts(self) -> Mapping[str, int]: ...

    def id(self, collection: str) -> Callable[[int], bytes]:
        """The function from an ordinal of this collection to its id."""

    def owner(self, collection: str, ordinal: int) -> bytes:
        """The id of the parent that this object of `collection` hangs under, as it was born."""

    def embed(self, collection: str, ordinal: int) -> bytes: ...

    def sublist(self, collection: str, parent: int) -> bytes: ...


@cache
def variants(name: str) -> tuple[dict[str, Any], ...]:
    """The variants of a shape, with their holes."""
    loaded = json.loads(files(__package__).joinpath("shapes", f"{name}.json").read_text("utf-8"))
    if "$variants" not in loaded:
        return (loaded,)
    made: list[dict[str, Any]] = []
    for variant in loaded["$variants"]:
        whole = {**made[variant["$like"]], **variant} if "$like" in variant else dict(variant)
        for dropped in whole.pop("$drop", ()):
            whole.pop(dropped, None)
        whole.pop("$like", None)
        made.append(whole)
    return tuple(made)


def compile_shape(shape: Mapping[str, Any], collection: str, source: Source) -> Render:
    """One variant as a function, for one collection of one account.

    The function is generated: `TEXT % (a, b, …)` with each value computed once, in a local. Calls through a list of
    closures took three times as long, and then the server, not its client, was what a benchmark measured.
    """
    maker = _Maker(collection, source)
    text = json.dumps(shape, ensure_ascii=False, separators=(",", ":")).replace("%", "%%")
    text = _HOLE.sub(lambda match: maker.place(match[1]), text)
    return maker.function(text)


class _Maker:
    """Collects the values of a shape's holes as Python expressions over `o` (ordinal), `h` (hash) and `c` (created)."""

    def __init__(self, collection: str, source: Source) -> None:
        self._collection = collection
        self._source = source
        self._names: dict[str, Any] = {"SOURCE": source, "SELF": collection}
        self._locals: dict[str, str] = {}
        self._order: list[str] = []

    def place(self, hole: str) -> str:
        """The JSON, as format text, that stands for a hole; what fills it is noted."""
        kind, _, rest = hole.partition(":")
        if kind == "text":
            return '"' + _FIELD.sub(lambda match: self._word(match[1]), rest) + '"'
        quoted = kind in ("id", "parent", "ref", "pick", "str")
        made = self._value(kind, rest)
        return f'"{made}"' if quoted else made

    def function(self, text: str) -> Render:
        lines = [f"    {local} = {expression}" for expression, local in self._locals.items()]
        code = "\n".join(["def render(o, h, c):", *lines, f"    return TEXT % ({', '.join(self._order)},)"])
        names = {**self._names, "TEXT": text.encode()}
        exec(code, names)  # noqa: S102 - the code is made above from the package's own shape files
        render: Render = names["render"]
        return render

    def _fill(self, form: str, expression: str) -> str:
        self._order.append(self._locals.setdefault(expression, f"v{len(self._locals)}"))
        return form

    def _value(self, kind: str, rest: str) -> str:
        if kind.startswith("created"):
            return self._fill("%d", f"c + {int(kind.partition('+')[2] or 0)}")
        match kind:
            case "id":
                return self._fill("%b", f"{self._id_of(self._collection)}(o)")
            case "parent":
                return self._fill("%b", "SOURCE.owner(SELF, o)")
            case "ref":
                return self._fill("%b", f"{self._id_of(rest)}({self._target(rest)})")
            case "embed":
                return self._fill("%b", f"SOURCE.embed({rest!r}, {self._target(rest)})")
            case "list":
                return self._fill("%b", f"SOURCE.sublist({rest!r}, o)")
            case "pick":
                name, _, choices = rest.partition(":")
                return self._choice(name, choices)
            case "int" | "str" | "dec":
                name, low, high, *digits = rest.split(":")
                span = int(high) - int(low) + 1
                return ".".join([self._fill("%d", f"{low} + {_draw(name)} % {span}"), *digits])
            case _:
                raise ValueError(f"no such hole: ${kind}")

    def _word(self, name: str) -> str:
        """The fields inside `$text`: n, id; hN and hNu (N hexadecimals), dN (N digits); names."""
        if name in _WORDS:
            return self._choice(name, _WORDS[name])
        if name == "n":
            return self._fill("%d", "o")
        if name == "id":
            return self._value("id", "")
        match = re.fullmatch(r"([hd])(\d+)([a-z]?)", name)
        if match is None:
            raise ValueError(f"no such word: {{{name}}}")
        width = int(match[2])
        if match[1] == "d":
            return self._fill(f"%0{width}d", f"{_draw(name)} % {10**width}")
        form = f"%0{width}{'X' if match[3] == 'u' else 'x'}"
        return self._fill(form, f"(h * 0x9E3779B97F4A7C15 >> 32 ^ o) & {(1 << 4 * width) - 1}")

    def _choice(self, name: str, choices: str) -> str:
        options = tuple(choice.encode() for choice in choices.split("|"))
        table = f"CHOICE_{crc32(choices.encode())}"
        self._names[table] = options
        return self._fill("%b", f"{table}[{_draw(name)} % {len(options)}]")

    def _id_of(self, collection: str) -> str:
        self._names[f"ID_{collection}"] = self._source.id(collection)
        return f"ID_{collection}"

    def _target(self, collection: str) -> str:
        """References go round robin; to a collection without objects they dangle, as to one that was deleted."""
        return f"o % {self._source.counts[collection] or 1}"


def _draw(name: str) -> str:
    """The bits of the hash that this name looks at: one name is one value throughout the object."""
    return f"(h >> {crc32(name.encode()) % 40})"


def holes(shape: Any) -> Iterator[str]:
    """All holes of a shape, for a check that each can be filled."""
    if isinstance(shape, dict):
        for value in shape.values():
            yield from holes(value)
    elif isinstance(shape, list):
        for value in shape:
            yield from holes(value)
    elif isinstance(shape, str) and shape.startswith("$"):
        yield shape[1:]
