"""What there is at Linear: objects of every type that can be listed, and how they change."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from headrace.providers.linear.schemas import read
from headrace.providers.linear.types import TYPES, Type

Json = dict[str, Any]
KINDS: dict[str, Type] = {listed.name: listed for listed in TYPES}


class NoSuchThing(LookupError):
    """There is no object of that id."""


def stamp(moment: float) -> str:
    """Unix seconds as Linear writes a time: milliseconds, UTC."""
    return datetime.fromtimestamp(round(moment, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Thing:
    """One object: its JSON, and its place among all that were ever made."""

    data: Json
    order: int


class World:
    """One workspace, whose own object has the id `id`. `now` gives Unix seconds by the provider's clock. Times grow
    with every change, by a millisecond at the least, as the server's own do."""

    def __init__(self, now: Callable[[], float], seed: int) -> None:
        self._now = now
        self._dice = random.Random(f"ids {seed}")
        self._last = 0.0
        self._made = 0
        self.changes = 0
        self.things: dict[str, dict[str, Thing]] = {name: {} for name in KINDS}
        self.id = self.create("organization", at=now(), name="The Mill", urlKey="the-mill")

    def create(self, name: str, /, at: float | None = None, **fields: Any) -> str:
        """Make an object; its id. References are to objects that may not be there, as references into what the reader
        may not see are."""
        self._made += 1
        moment = stamp(self._present() if at is None else at)
        key = self._id()
        data = self._values(read(name), moment)
        data.update({"id": key, "createdAt": moment, "updatedAt": moment, "archivedAt": None, **fields})
        if KINDS[name].trashed:
            data["trashed"] = None
        if name == "user":
            data["active"] = True
        self.things[name][key] = Thing(data, self._made)
        self.changes += 1
        return key

    def update(self, name: str, key: str, /, **fields: Any) -> None:
        """Change fields of an object, and the time of its last change."""
        self.get(name, key).data.update({**fields, "updatedAt": stamp(self._present())})
        self.changes += 1

    def archive(self, name: str, key: str, *, trashed: bool = False) -> None:
        """Archive an object, or put it into the trash."""
        fields: Json = {"archivedAt": stamp(self._now())}
        self.update(name, key, **fields, **({"trashed": True} if trashed and KINDS[name].trashed else {}))

    def purge(self, name: str, key: str) -> None:
        """Delete an object for good: it is in no list any more, and no reading tells of it."""
        self.get(name, key)
        del self.things[name][key]
        self.changes += 1

    def get(self, name: str, key: str) -> Thing:
        found = self.things[name].get(key)
        if found is None:
            raise NoSuchThing(f"there is no {name} with the id {key}")
        return found

    def populate(self, records: int | Mapping[str, int], now: float, span_s: float) -> None:
        """Fill the workspace, with issues and comments first. Raises ValueError for a type that is none."""
        counts = _spread(records) if isinstance(records, int) else records
        if strangers := set(counts) - set(KINDS):
            raise ValueError(f"no collection {sorted(strangers)[0]!r} here; there are {', '.join(KINDS)}")
        for name, count in counts.items():
            for number in range(count):
                self.create(name, at=now - span_s + span_s * (number + 1) / (count + 1))
        self._last = now

    def _present(self) -> float:
        self._last = max(self._now(), self._last + 0.001)
        return self._last

    def _id(self) -> str:
        return str(UUID(int=self._dice.getrandbits(128), version=4))

    def _values(self, schema: Mapping[str, Any], moment: str) -> Json:
        return {field: self._value(field, inside, moment) for field, inside in schema["properties"].items()}

    def _value(self, field: str, schema: Mapping[str, Any], moment: str) -> Any:
        kinds = schema.get("type", "object")
        kind = kinds if isinstance(kinds, str) else kinds[0]
        if "properties" in schema:
            return self._values(schema, moment)
        if "anyOf" in schema:
            return self._values(schema["anyOf"][self._made % len(schema["anyOf"])], moment)
        if kind == "array" and ("properties" in schema["items"] or "anyOf" in schema["items"]):
            return [self._value(field, schema["items"], moment)]
        if field == "id":
            return self._id()
        if kind == "string":
            if schema.get("format") == "date-time":
                return moment
            return schema["examples"][0] if schema.get("examples") else f"{field} {self._made}"
        values = {"integer": self._made, "number": 0.5, "boolean": False, "array": [], "object": {}}
        return values[kind]


def _spread(records: int) -> dict[str, int]:
    """A third are issues, a quarter comments; the rest is shared evenly."""
    counts = dict.fromkeys(KINDS, 0)
    counts["issue"], counts["comment"] = records // 3, records // 4
    others = [name for name, kind in KINDS.items() if name not in ("issue", "comment") and not kind.single]
    for number in range(records - counts["issue"] - counts["comment"]):
        counts[others[number % len(others)]] += 1
    return counts
