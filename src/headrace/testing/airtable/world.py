"""What is in a user's bases: tables, fields, records, comments, and the log of what happens to them.

Sources: https://airtable.com/developers/web/api (record, field model, comments), https://support.airtable.com (last
modified time: what people change in cells that are not computed).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from headrace.testing.airtable.webhooks import Change, Webhook

Json = dict[str, Any]
OWNER = "usr00000000000001"
ENTERPRISE = "ent00000000000001"
COMPUTED = frozenset({"formula", "createdTime", "lastModifiedTime", "autoNumber", "count"})


def written(moment: float) -> str:
    """A time as Airtable writes it."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def made_id(prefix: str, *seed: object) -> str:
    """An id of Airtable's form: three letters and fourteen characters."""
    return prefix + sha256("/".join(map(str, seed)).encode()).hexdigest()[:14]


@dataclass
class Field:
    id: str
    name: str
    type: str
    options: Json = field(default_factory=dict)

    @property
    def computed(self) -> bool:
        return self.type in COMPUTED

    def described(self) -> Json:
        return {"id": self.id, "name": self.name, "type": self.type} | (
            {"options": self.options} if self.options else {}
        )


@dataclass
class Row:
    """A record: `changed` is when somebody last changed a cell that is not computed, None for never."""

    id: str
    number: int
    created: float
    changed: float | None = None
    cells: Json = field(default_factory=dict)
    comments: list[Json] = field(default_factory=list)


@dataclass
class Table:
    id: str
    name: str
    fields: list[Field]
    rows: dict[str, Row] = field(default_factory=dict)
    trash: dict[str, Row] = field(default_factory=dict)
    factor: int = 2
    """What the formula multiplies by."""

    def of(self, type_: str) -> Field:
        return next(each for each in self.fields if each.type == type_)

    def field(self, name: str) -> Field | None:
        """By id or name."""
        return next((each for each in self.fields if name in (each.id, each.name)), None)

    def described(self) -> Json:
        fields = [each.described() for each in self.fields]
        views = [{"id": made_id("viw", self.id), "name": "Grid view", "type": "grid"}]
        return {"id": self.id, "name": self.name, "primaryFieldId": self.fields[0].id, "fields": fields, "views": views}


@dataclass
class Base:
    id: str
    name: str
    level: str
    tables: dict[str, Table] = field(default_factory=dict)
    webhooks: dict[str, Webhook] = field(default_factory=dict)
    members: dict[str, Json] = field(default_factory=dict)
    """Who may work in it, by id: `usr…` persons, `ugp…` groups."""
    inherited: dict[str, Json] = field(default_factory=dict)
    """Who may by way of its workspace."""

    def table(self, name: str) -> Table | None:
        """By id or name."""
        return next((each for each in self.tables.values() if name in (each.id, each.name)), None)


class World:
    """The bases of one user. `now` is the provider's clock, `lag` how long the next payload takes to show."""

    def __init__(self, now: Callable[[], float], lag: Callable[[], float] = lambda: 0.0) -> None:
        self.now = now
        self.bases: dict[str, Base] = {}
        self.audit: list[Json] = []
        """The enterprise's log, in the order of time."""
        self.changes = 0
        self._lag = lag
        self._readings = 0
        self._made = 0

    # What people do.

    def create(self, base: Base, table: Table, cells: Json, born: float | None = None) -> Row:
        self._made += 1
        moment = self.now() if born is None else born
        key = made_id("rec", table.id, len(table.rows) + len(table.trash), self._made)
        row = Row(key, self._made, moment, cells=dict(cells))
        table.rows[key] = row
        self._tell(base, table, Change(created={key: moment}))
        return row

    def update(self, base: Base, table: Table, key: str, cells: Json) -> None:
        """Set cells; None empties one."""
        row = table.rows[key]
        row.cells = {name: value for name, value in {**row.cells, **cells}.items() if value is not None}
        row.changed = self.now()
        self._tell(base, table, Change(changed=[key]))

    def delete(self, base: Base, table: Table, key: str) -> None:
        table.trash[key] = table.rows.pop(key)
        self._tell(base, table, Change(destroyed=[key]))

    def restore(self, base: Base, table: Table, key: str) -> None:
        """Take a record out of the trash: it has the id that it had."""
        row = table.rows[key] = table.trash.pop(key)
        self._tell(base, table, Change(created={key: row.created}))

    def drop(self, base: Base, table: Table) -> None:
        """Delete a table with all that is in it."""
        del base.tables[table.id]
        self.changes += 1
        self.note("deleteTable", table.id)
        for webhook in base.webhooks.values():
            webhook.dropped(table.id, self.now(), self._lag())

    def comment(self, table: Table, key: str, text: str) -> str:
        """A comment on a record. Neither its time of change moves, nor is there a payload."""
        self._made += 1
        comment_id = made_id("com", table.id, self._made)
        author = {"id": OWNER, "email": "ada@example.com", "name": "Ada"}
        made = {"id": comment_id, "author": author, "createdTime": written(self.now()), "lastUpdatedTime": None}
        table.rows[key].comments.append({**made, "text": text})
        self.changes += 1
        return comment_id

    def uncomment(self, table: Table, key: str) -> None:
        """Delete the last comment on a record."""
        table.rows[key].comments.pop()
        self.changes += 1

    def reckon(self, base: Base, table: Table, factor: int) -> None:
        """Change the formula: every record shows another value, and nobody has changed one."""
        table.factor = factor
        amount = next(each.id for each in table.fields if each.name == "Amount")
        self._tell(base, table, Change(changed=[key for key, row in table.rows.items() if amount in row.cells]))

    def rename(self, thing: Base | Table | Field, name: str) -> None:
        thing.name = name
        self.changes += 1
        self.note("renameModel", thing.id)

    def invite(self, base: Base, who: str, level: str, born: float | None = None, *, inherited: bool = False) -> None:
        """Let a person (`usr…`) or a group (`ugp…`) work in a base."""
        moment = self.now() if born is None else born
        made = {"createdTime": written(moment), "grantedByUserId": OWNER, "permissionLevel": level}
        own = {"userId": who, "email": f"{who[-4:]}@example.com"}
        made |= {"groupId": who, "name": f"group {who[-4:]}"} if who.startswith("ugp") else own
        (base.inherited if inherited else base.members)[who] = made
        self.changes += 1
        self.note("createBaseCollaboration", base.id, moment)

    def dismiss(self, base: Base, who: str) -> None:
        del base.members[who]
        self.changes += 1
        self.note("deleteBaseCollaboration", base.id)

    def note(self, action: str, model_id: str, born: float | None = None) -> None:
        """Write it into the enterprise's log."""
        moment = self.now() if born is None else born
        event = {
            "id": made_id("01", len(self.audit)),
            "timestamp": written(moment),
            "action": action,
            "actor": {"type": "user", "user": {"id": OWNER, "email": "ada@example.com", "name": "Ada"}},
            "modelId": model_id,
            "payload": {},
            "payloadVersion": "1.0",
            "context": {"actionId": made_id("act", len(self.audit)), "enterpriseAccountId": ENTERPRISE},
            "origin": {"ipAddress": "192.0.2.1", "userAgent": "Mozilla/5.0"},
        }
        self.audit.append({**event, "modelType": "base" if model_id.startswith("app") else "table"})

    def _tell(self, base: Base, table: Table, change: Change) -> None:
        self.changes += 1
        for webhook in base.webhooks.values():
            webhook.append(table.id, change, self.now(), self._lag())

    # What the API shows.

    def shown(self, table: Table, row: Row, *, by_id: bool, fields: list[str] | None = None) -> Json:
        """A record, without cells that are empty. `fields` are the ids of those that are asked for."""
        cells = {
            each.id if by_id else each.name: value
            for each in table.fields
            if (fields is None or each.id in fields)
            and (value := self.cell(table, each, row)) not in (None, "", [], False)
        }
        return {"id": row.id, "createdTime": written(row.created), "fields": cells}

    def cell(self, table: Table, of: Field, row: Row) -> Any:
        """A cell; the address of an attachment is another at each reading."""
        match of.type:
            case "formula":
                amount = row.cells.get(next(each.id for each in table.fields if each.name == "Amount"))
                return {"specialValue": "NaN"} if amount is None else amount * table.factor
            case "createdTime":
                return written(row.created)
            case "lastModifiedTime":
                return None if row.changed is None else written(row.changed)
            case "autoNumber":
                return row.number
            case "multipleAttachments":
                return [self._signed(each) for each in row.cells.get(of.id, ())]
        return row.cells.get(of.id)

    def _signed(self, attachment: Json) -> Json:
        self._readings += 1
        address = f"https://v5.airtableusercontent.com/{self._readings}/{attachment['id']}"
        sizes = {name: {"url": f"{address}/{name}", "width": 36, "height": 36} for name in ("small", "large", "full")}
        return {**attachment, "url": address, "thumbnails": sizes}

    def each_table(self) -> Iterator[tuple[Base, Table]]:
        for base in self.bases.values():
            for table in base.tables.values():
                yield base, table
