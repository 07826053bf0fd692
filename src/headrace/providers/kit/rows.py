"""Reading an answer: its rows as raw JSON slices, and of each row only what is needed.

A page is decoded once into slices (msgspec `Raw`), a row once more for its id and times; the slice itself is kept as it
came. Paths are field names joined by dots (`paging.next.after`), or a tuple of names where a name holds a dot.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from headrace.clock import micros
from headrace.errors import ImplementationError
from headrace.http import Response
from headrace.providers.kit.faults import Fault, Faulted
from headrace.stream.items import Record

Raw = msgspec.Raw
Path = str | tuple[str, ...]
T = TypeVar("T")


def _names(path: Path) -> tuple[str, ...]:
    names = tuple(path.split(".")) if isinstance(path, str) else path
    if not names or not all(names) or any(_UNFIT.search(name) for name in names):
        raise ImplementationError(f"{path!r} is not a path: give field names joined by dots")
    return names


_UNFIT = re.compile(r'["\\\x00-\x1f]')
"""What msgspec does not take in a field's name; no provider's field has it."""


def _struct(tree: Mapping[str, Any]) -> type[msgspec.Struct]:
    """A struct that decodes only the fields of `tree`, a field's value being a type or the tree of what is inside."""
    fields: list[tuple[str, Any, Any]] = []
    rename: dict[str, str] = {}
    for number, (name, inside) in enumerate(tree.items()):
        kind = _struct(inside) if isinstance(inside, dict) else inside
        fields.append((f"f{number}", kind | None, None))
        rename[f"f{number}"] = name
    return msgspec.defstruct("Picked", fields, rename=rename, gc=False)


class Picker:
    """Decodes named paths of a JSON document and skips the rest.

    `Picker(id=("id", str), created=("meta.created", Any))`: calling it with JSON bytes returns the values in the order
    given, None for what is absent. Raises `msgspec.DecodeError` where the bytes are no JSON of that shape.
    """

    def __init__(self, **wanted: tuple[Path, Any]) -> None:
        tree: dict[str, Any] = {}
        places: list[tuple[str, ...]] = []
        for path, kind in wanted.values():
            names = _names(path)
            inside = tree
            for name in names[:-1]:
                inside = inside.setdefault(name, {})
                if not isinstance(inside, dict):
                    raise ImplementationError(f"{path!r} lies inside another path that is read whole: name one of them")
            inside[names[-1]] = kind
            places.append(names)
        self._decoder = msgspec.json.Decoder(_struct(tree))
        self._getters = [_getter(tree, names) for names in places]
        self._flat = attrgetter(*(f"f{list(tree).index(n[0])}" for n in places)) if _is_flat(places) else None

    def __call__(self, document: bytes | Raw) -> tuple[Any, ...]:
        picked = self._decoder.decode(document)
        if self._flat is not None:
            return self._flat(picked)
        return tuple(get(picked) for get in self._getters)


def _is_flat(places: Sequence[tuple[str, ...]]) -> bool:
    """Whether one attrgetter returns all as a tuple: it does for two or more names of the top level."""
    return len(places) > 1 and all(len(names) == 1 for names in places)


def _getter(tree: Mapping[str, Any], names: tuple[str, ...]) -> Callable[[Any], Any]:
    steps = []
    for name in names:
        steps.append(f"f{list(tree).index(name)}")
        tree = tree[name]

    def get(picked: Any) -> Any:
        for step in steps:
            if picked is None:
                return None
            picked = getattr(picked, step)
        return picked

    return get


@dataclass(frozen=True, slots=True)
class Answer:
    """A page as read: its rows, and what `Body` was told to read beside them, by name."""

    rows: list[Raw]
    told: Mapping[str, Any]


class Body:
    """Where the rows of an answer are (`rows`, None: the body is the array itself) and what else is read of it.

    `Body("data", more="has_more")`. A body that is no JSON of that shape is a transient fault: HTML where JSON was due,
    a body cut short, a list that is none. So is one without the list, or with null for it: every provider read here
    documents its list as always there, and one that is empty closes a window, or tells of rows that they are gone.
    """

    def __init__(self, rows: Path | None = "data", **told: Path) -> None:
        self._names = tuple(told)
        self._path = rows
        if rows is None and told:
            raise ImplementationError("a body that is an array has no other fields: read them from the headers")
        wanted: dict[str, tuple[Path, Any]] = {name: (path, Any) for name, path in told.items()}
        self._pick = Picker(rows=(rows, list[Raw]), **wanted) if rows is not None else None

    def read(self, response: Response) -> Answer:
        if self._pick is None:
            return Answer(decoded(lambda: msgspec.json.decode(response.body, type=list[Raw])), {})
        pick = self._pick
        rows, *told = decoded(lambda: pick(response.body))
        if rows is None:
            raise unreadable(f"it has no list at {self._path!r}")
        return Answer(rows, dict(zip(self._names, told, strict=True)))


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What decoding raises when a document is not of the shape that was asked for."""


def unreadable(why: Exception | str) -> Faulted:
    """Such a document as a transient fault of the provider."""
    return Faulted(Fault("transient", f"the answer is not the JSON that was asked for: {why}"))


def decoded(decode: Callable[[], T]) -> T:
    """What `decode` returns; a document that it cannot read is a transient fault of the provider."""
    try:
        return decode()
    except UNREADABLE as error:
        raise unreadable(error) from None


def list_in(document: Mapping[str, Any], name: str) -> list[Any]:
    """The list of this name in a document that was decoded whole; one that is not there is a transient fault of the
    provider, as in `Body`."""
    found = document.get(name)
    if not isinstance(found, list):
        raise unreadable(f"it has no list at {name!r}")
    return found


def unix_seconds(value: Any) -> datetime | None:
    """A time given as seconds since 1970; None for what is missing or odd."""
    if type(value) is not int and type(value) is not float:
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def iso8601(value: Any) -> datetime | None:
    """A time given in ISO 8601; one without a zone is taken as UTC. None for what is missing or odd."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class Reader:
    """How a row becomes a Record of one collection: which fields are its id, times and parent.

    `key` is the path of the id, or a list of paths: a composite id is their values joined by `/`. `time` reads a time
    as the provider gives it. Where `updated` is given, the version is that time in microseconds. A row without an id is
    an ImplementationError: the declaration does not fit the provider's answer.
    """

    def __init__(
        self,
        collection: str,
        key: Path | list[Path] = "id",
        *,
        created: Path | None = None,
        updated: Path | None = None,
        parent: Path | None = None,
        time: Callable[[Any], datetime | None] = iso8601,
    ) -> None:
        self.collection = collection
        self._time = time
        ids = key if isinstance(key, list) else [key]
        times = {"created": created, "updated": updated, "parent": parent}
        self._named = [name for name, path in times.items() if path is not None]
        paths = [*(path for path in times.values() if path is not None), *ids]
        self._pick = Picker(**{f"p{number}": (path, Any) for number, path in enumerate(paths)})

    def __call__(self, row: Raw, as_of: datetime, partition: str | None = None) -> Record:
        try:
            values = self._pick(row)
        except UNREADABLE as error:
            raise unreadable(error) from None
        record = Record(self.collection, self._key(values), bytes(row), as_of, partition=partition, parsed=True)
        for name, value in zip(self._named, values, strict=False):
            if name == "parent":
                record.parent = None if value is None else str(value)
            elif name == "created":
                record.created = self._time(value)
            else:
                record.updated = self._time(value)
                record.version = 0 if record.updated is None else micros(record.updated)
        return record

    def id_of(self, row: Raw) -> str:
        """The row's id alone."""
        return self._key(decoded(lambda: self._pick(row)))

    def _key(self, values: tuple[Any, ...]) -> str:
        ids = values[len(self._named) :]
        if None in ids:
            raise ImplementationError(f"a row of {self.collection} has no id where it is declared to be")
        return "/".join(map(str, ids))
