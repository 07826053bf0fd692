"""The rows that an org is born with: the same for the same seed."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from headrace.testing.salesforce.catalog import OBJECTS, Field, ObjectType
from headrace.testing.salesforce.org import Org

_TRIES = 20
_TEXTS = ("Mill", "Race", "Weir", 'He said "no", twice', "two\nlines", "comma, semicolon;", "Ünïcödé ✓", "O'Neill\\&Co")
_CHOICES = ("New", "Open", "Closed Won", "Hot;Warm")
_STAGES = ("Prospecting", "Qualification", "Closed Won", "Closed Lost")


def spread(records: int) -> dict[str, int]:
    """How many of each object, by weight; every object with a weight has at least one."""
    whole = sum(each.weight for each in OBJECTS.values())
    return {name: max(1, records * each.weight // whole) for name, each in OBJECTS.items() if each.weight}


class Population:
    """Makes rows of an org."""

    def __init__(self, org: Org, seed: int, until: float, span_s: float) -> None:
        self._org = org
        self._dice = random.Random(f"population {seed}")
        self._until = until
        self._span_s = span_s

    def settle(self, counts: Mapping[str, int]) -> None:
        """Fill the org. Raises ValueError for an object that there is not."""
        if unknown := counts.keys() - OBJECTS.keys():
            raise ValueError(f"no object {', '.join(sorted(unknown))}; there are {', '.join(OBJECTS)}")
        self._org.create("Organization", {"Name": "Headrace Mill", "IsSandbox": False, "Id": self._org.id}, self._until)
        for number, stage in enumerate(_STAGES):
            self._org.create("OpportunityStage", {"MasterLabel": stage, "SortOrder": number}, self._until)
        self._org.create("RecordType", {"Name": "Standard", "SobjectType": "Account"}, self._until)
        for name in OBJECTS:
            for _ in range(counts.get(name, 0)):
                self._org.create(name, self.made(name), self._until - self._span_s * self._dice.random() ** 2)

    def made(self, name: str) -> dict[str, Any]:
        """The fields of a new row."""
        kind = OBJECTS[name]
        return {each.name: self._value(kind, each) for each in kind.own if each.type not in ("address", "base64")}

    def _value(self, kind: ObjectType, field: Field) -> Any:
        dice = self._dice
        if field.type == "reference":
            return self._any(field.to) if field.name != "MasterRecordId" else None
        if field.name == "PublishStatus":
            return dice.choice(("Draft", "Online", "Archived"))
        if field.name == "IsArchived":
            return dice.random() < 0.3
        if dice.random() < 0.2 and field.name != "Name":
            return False if field.type == "boolean" else None
        return _VALUES.get(field.type, _text)(dice)

    def _any(self, names: tuple[str, ...]) -> str | None:
        """The id of a row of one of these objects."""
        tables = [self._org.tables[name] for name in names if name in self._org.tables]
        for table in self._dice.sample(tables, len(tables)):
            for _ in range(_TRIES if table.index else 0):
                key = self._dice.choice(table.index)[1]
                if not table.rows[key].get("IsDeleted"):
                    return key
        return self._org.user


def _text(dice: random.Random) -> str:
    return f"{dice.choice(_TEXTS)} {dice.randrange(10**6)}"


_VALUES: dict[str, Callable[[random.Random], Any]] = {
    "boolean": lambda dice: dice.random() < 0.5,
    "int": lambda dice: dice.randrange(100_000),
    "double": lambda dice: round(dice.uniform(-100, 100), 3),
    "currency": lambda dice: float(dice.randrange(10**8)) / dice.choice((1, 1, 100)),
    "percent": lambda dice: float(dice.randrange(101)),
    "date": lambda dice: f"{dice.randrange(1970, 2027)}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}",
    "datetime": lambda dice: f"2026-0{dice.randrange(1, 10)}-11T10:{dice.randrange(10, 60)}:00.000+0000",
    "time": lambda dice: f"{dice.randrange(10, 24)}:30:00.000Z",
    "email": lambda dice: f"ada{dice.randrange(10**6)}@example.com",
    "picklist": lambda dice: dice.choice(_CHOICES),
}
