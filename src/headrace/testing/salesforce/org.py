"""What an org holds: rows of objects, the recycle bin, the log of deletions, who may see what.

Sources: https://developer.salesforce.com/docs/atlas.en-us.api.meta/api (System fields: SystemModstamp moves with every
change and with a deletion; getDeleted; merge), and the recorded answers of restforce (spec/fixtures, MIT).
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from headrace.testing.faults import Faults
from headrace.testing.salesforce import soql
from headrace.testing.salesforce.catalog import BORN, OBJECTS, Field, ObjectType
from headrace.testing.salesforce.ids import row_id
from headrace.testing.salesforce.soql import Malformed, Row, Select

INDEX = "SystemModstamp"


class NoSuchRow(LookupError):
    """There is no such row, or it is purged."""


class Table:
    """The rows of one object, in the recycle bin or not, and an index of their last change."""

    def __init__(self, type_: ObjectType) -> None:
        self.type = type_
        self.fields: dict[str, Field] = {each.name: each for each in type_.fields}
        self.rows: dict[str, Row] = {}
        self.stamp = INDEX if type_.changes else BORN[0].name
        self.index: list[tuple[str, str]] = []
        self.hidden_fields: set[str] = set()
        self.unseen: dict[str, float] = {}
        """Rows out of the user's sight, until then (Unix seconds)."""
        self.deletions: list[tuple[float, str]] = []
        self.made = 0

    def put(self, row: Row) -> None:
        old = self.rows.get(row["Id"])
        if old is not None:
            del self.index[bisect_left(self.index, (old[self.stamp], old["Id"]))]
        self.rows[row["Id"]] = row
        insort(self.index, (row[self.stamp], row["Id"]))

    def drop(self, key: str) -> None:
        row = self.rows.pop(key)
        del self.index[bisect_left(self.index, (row[self.stamp], key))]

    @property
    def visible_fields(self) -> list[Field]:
        return [each for name, each in self.fields.items() if name not in self.hidden_fields]


class Org:
    """The org. Rows are never changed in place."""

    def __init__(self, now: Callable[[], float], faults: Faults, seed: int) -> None:
        self.id = row_id("00D", seed)
        self.user = row_id("005", 0)
        self.tables = {name: Table(each) for name, each in OBJECTS.items()}
        self.forbidden: set[str] = set()
        self.changes = 0
        self.purged_at = 0.0
        """Until then the log of deletions was purged."""
        self._now = now
        self._faults = faults

    # Changing it.

    def create(self, name: str, fields: Row | None = None, born: float | None = None) -> str:
        """A new row's id."""
        table = self.tables[name]
        key = row_id(table.type.prefix, table.made)
        table.made += 1
        when = self._stamp(born)
        row: Row = dict.fromkeys(table.fields)
        row |= {"Id": key, "CreatedDate": when, "CreatedById": self.user}
        if table.type.soft:
            row["IsDeleted"] = False
        if table.type.changes:
            row |= {"LastModifiedDate": when, "LastModifiedById": self.user, INDEX: when}
        self._write(table, row | (fields or {}))
        return key

    def update(self, name: str, key: str, fields: Row) -> None:
        """Change a row. Raises NoSuchRow for one that is deleted."""
        table, row = self._row(name, key)
        stamp = self._stamp()
        self._write(table, row | fields | {"LastModifiedDate": stamp, INDEX: stamp})

    def touch(self, name: str, key: str) -> None:
        """Change a row as automation does: only SystemModstamp moves."""
        table, row = self._row(name, key)
        self._write(table, row | {INDEX: self._stamp()})

    def delete(self, name: str, key: str, *, master: str | None = None) -> None:
        """Into the recycle bin, where the object has one; else for good. `master` is the row it was merged into."""
        table, row = self._row(name, key)
        if not table.type.soft:
            self._remember(table, key)
            table.drop(key)
            self.changes += 1
            return
        merged = {"MasterRecordId": master} if master is not None else {}
        stamp = {INDEX: self._stamp()} if table.type.changes else {}
        self._remember(table, key)
        self._write(table, row | merged | stamp | {"IsDeleted": True})
        for name_below, below in self._below(name, key):
            if not self.tables[name_below].rows[below]["IsDeleted"]:
                self.delete(name_below, below)

    def merge(self, name: str, loser: str, winner: str) -> None:
        self.delete(name, loser, master=winner)
        self.touch(name, winner)

    def restore(self, name: str, key: str) -> None:
        """Out of the recycle bin."""
        table = self.tables[name]
        table.deletions = [each for each in table.deletions if each[1] != key]
        self._write(table, table.rows[key] | {"IsDeleted": False, INDEX: self._stamp()})

    def purge(self, name: str, key: str) -> None:
        """For good, out of the recycle bin or not: no query shows it any more."""
        table = self.tables[name]
        if not table.rows[key].get("IsDeleted"):
            self._remember(table, key)
        for name_below, below in self._below(name, key):
            self.purge(name_below, below)
        table.drop(key)
        self.changes += 1

    def _below(self, name: str, key: str) -> list[tuple[str, str]]:
        """The links of a file, which go with it."""
        if name != "ContentDocument":
            return []
        links = self.tables["ContentDocumentLink"].rows.values()
        return [("ContentDocumentLink", row["Id"]) for row in links if row["ContentDocumentId"] == key]

    def add_field(self, name: str, field: Field) -> None:
        table = self.tables[name]
        table.fields[field.name] = field
        for key, row in list(table.rows.items()):
            table.rows[key] = row | {field.name: None}

    def _stamp(self, when: float | None = None) -> str:
        """Now, to the second; a birth long ago, with `ties`, to the multiple of so many seconds before it."""
        seconds = self._now() if when is None else when
        for fault in self._faults.standing("ties") if when is not None else ():
            seconds -= seconds % fault.option("second", 3600)
        return soql.moment(datetime.fromtimestamp(seconds, UTC))

    def _write(self, table: Table, row: Row) -> None:
        table.put(row)
        self.changes += 1
        if fault := self._faults.strikes("late_rows", table.type.name):
            table.unseen[row["Id"]] = self._now() + fault.option("delay_s", 1.0)

    def _remember(self, table: Table, key: str) -> None:
        table.deletions.append((self._now(), key))

    def _row(self, name: str, key: str) -> tuple[Table, Row]:
        table = self.tables[name]
        row = table.rows.get(key)
        if row is None or row.get("IsDeleted"):
            raise NoSuchRow(f"{name} {key} is not there")
        return table, row

    # Reading it.

    def table(self, name: str) -> Table:
        """The object of this name, in any case. Raises Malformed as for one that the user may not see."""
        known = next((each for each in self.tables if each.lower() == name.lower()), None)
        if known is None or known in self.forbidden:
            raise Malformed("INVALID_TYPE", f"sObject type '{name}' is not supported.")
        return self.tables[known]

    def seen(self, table: Table, key: str) -> bool:
        until = table.unseen.get(key)
        if until is None:
            return True
        if until > self._now():
            return False
        del table.unseen[key]
        return True

    def alive(self, name: str) -> Iterator[Row]:
        """The rows that are not deleted, seen or not."""
        return (row for row in self.tables[name].rows.values() if not row.get("IsDeleted"))

    def select(self, query: Select, *, deleted: bool) -> list[Row]:
        """The rows of the query, whole, in its order. `deleted`: with those in the recycle bin. Raises Malformed."""
        table = self.table(query.name)
        names = {name.lower(): name for name in table.fields if name not in table.hidden_fields}
        for name in (*query.fields, *query.used):
            if name.lower() not in names:
                said = f"No such column '{name}' on entity '{table.type.name}'."
                raise Malformed("INVALID_FIELD", said)
        _check_restrictions(table, query)
        found: list[Row] = []
        indexed = [name for name, down in query.order if not down][:2] == [table.stamp, "Id"] and len(query.order) == 2
        most = query.limit + query.offset if indexed and query.limit is not None else None
        for row in self._candidates(table, query) if indexed else table.rows.values():
            if row.get("IsDeleted") and not deleted:
                continue
            if all(test(row) for test in query.tests) and self.seen(table, row["Id"]):
                found.append(row)
                if most is not None and len(found) >= most:
                    break
        if not indexed:
            soql.ordered(found, query.order)
        return found[query.offset :][: query.limit]

    @staticmethod
    def _candidates(table: Table, query: Select) -> Iterator[Row]:
        """The rows by the index of their last change, from the lowest that a condition allows on."""
        lows = [each.value for each in query.plain if each.field == table.stamp and each.op in (">", ">=", "=")]
        at = bisect_left(table.index, (max(lows), "")) if lows else 0
        return (table.rows[key] for _, key in table.index[at:])


def _check_restrictions(table: Table, query: Select) -> None:
    """What some objects refuse."""
    asked = {each.field for each in query.plain if each.op in ("=", "IN")}
    kind = table.type
    if not kind.queryable:
        raise Malformed("INVALID_TYPE_FOR_OPERATION", f"entity type {kind.name} does not support query")
    if kind.needs_id and not asked & {"Id", *kind.needs_id}:
        said = (
            f"Implementation restriction: {kind.name} requires a filter by a single Id on {' or '.join(kind.needs_id)}"
        )
        raise Malformed("MALFORMED_QUERY", said)
    if kind.needs_status and not asked & {"Id", "PublishStatus"}:
        raise Malformed("MALFORMED_QUERY", f"Implementation restriction: filter {kind.name} by a single PublishStatus")
    for name in query.used:
        field = table.fields[next(each for each in table.fields if each.lower() == name.lower())]
        if not field.describe()["filterable"]:
            raise Malformed("INVALID_FIELD", f"field '{name}' can not be filtered in a query call")


def rendered(table: Table, row: Row, names: list[str], version: str) -> dict[str, Any]:
    """A row as a query answers it: compound fields as objects, contents as an address."""
    url = f"/services/data/{version}/sobjects/{table.type.name}/{row['Id']}"
    made: dict[str, Any] = {"attributes": {"type": table.type.name, "url": url}}
    known = {name.lower(): field for name, field in table.fields.items()}
    for name in names:
        field = known[name.lower()]
        if field.type == "address":
            made[field.name] = _compound(table, row, field.name)
        elif field.type == "base64":
            made[field.name] = f"{url}/{field.name}"
        else:
            made[field.name] = row[field.name]
    return made


def _compound(table: Table, row: Row, whole: str) -> dict[str, Any] | None:
    prefix = whole.removesuffix("Address")
    parts = {name: row[name] for name, field in table.fields.items() if field.part_of == whole}
    if all(value is None for value in parts.values()):
        return None
    return {
        name.removeprefix(prefix)[0].lower() + name.removeprefix(prefix)[1:]: value for name, value in parts.items()
    }
