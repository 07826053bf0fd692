"""What the bases begin with: one of one's own, a copy of it, and one that is shared for reading only."""

import random
from collections.abc import Mapping

from headrace.testing.airtable.world import OWNER, Base, Field, Json, Table, World, made_id

TABLES = ("Orders", "Customers")
_FIELDS: tuple[tuple[str, str, Json], ...] = (
    ("Name", "singleLineText", {}),
    ("Amount", "number", {"precision": 0}),
    ("Notes", "multilineText", {}),
    ("Done", "checkbox", {"icon": "check", "color": "greenBright"}),
    ("Stage", "singleSelect", {"choices": [{"id": "selOpen0000000000", "name": "Open"}]}),
    ("Tags", "multipleSelects", {"choices": []}),
    ("Files", "multipleAttachments", {"isReversed": False}),
    ("Twice", "formula", {"isValid": True, "formula": "{Amount} * 2", "result": {"type": "number"}}),
    ("Number", "autoNumber", {}),
    ("Modified", "lastModifiedTime", {"isValid": True, "result": {"type": "dateTime"}}),
)
_SHARES = (("Mill", "create"), ("Mill (copy)", "create"), ("Weir", "read"))


class Population:
    """Fills the world with what was born over `span_s` seconds up to `until` (Unix seconds): the same for the same
    seed. Copies of a base have the ids of its tables and fields."""

    def __init__(self, world: World, seed: int, until: float, span_s: float) -> None:
        self._world = world
        self._seed = seed
        self._dice = random.Random(f"bases {seed}")
        self._until = until
        self._span_s = span_s

    def settle(self, records: int | Mapping[str, int]) -> None:
        """So many records in all, or in each table of a name. Raises ValueError for a table that there is not."""
        if isinstance(records, int):
            share = max(1, records // (len(TABLES) * len(_SHARES)))
            records = dict.fromkeys(TABLES, share)
        if unknown := records.keys() - set(TABLES):
            raise ValueError(f"no table {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
        for name, level in _SHARES:
            base = Base(made_id("app", self._seed, name), name, level)
            self._world.bases[base.id] = base
            self._people(base)
            for table in TABLES:
                self._table(base, table, "Mill" if name.startswith("Mill") else name, records.get(table, 0))

    def _people(self, base: Base) -> None:
        """Its owner has it by way of the workspace too; two were added to it, and a group."""
        born = self._until - self._span_s
        self._world.note("createBase", base.id, born)
        self._world.invite(base, OWNER, "owner", born, inherited=True)
        for number, level in enumerate(("create", "edit", "comment")):
            who = OWNER if number == 0 else made_id("usr", self._seed, base.name, number)
            self._world.invite(base, who, level, born + number)
        self._world.invite(base, made_id("ugp", self._seed, base.name), "read", born + 3)

    def _table(self, base: Base, name: str, origin: str, count: int) -> None:
        fields = [
            Field(made_id("fld", self._seed, origin, name, each), each, type_, dict(options))
            for each, type_, options in _FIELDS
        ]
        table = Table(made_id("tbl", self._seed, origin, name), name, fields)
        base.tables[table.id] = table
        for _ in range(count):
            born = self._until - self._span_s * self._dice.random() ** 2
            row = self._world.create(base, table, self.cells(table, self._dice), born)
            if self._dice.random() < 0.5:
                row.changed = born + (self._until - born) * self._dice.random()
            if self._dice.random() < 0.1:
                self._world.comment(table, row.id, "Grüße")

    def cells(self, table: Table, dice: random.Random) -> Json:
        """The cells of a new record, some of them empty."""
        values: Json = {
            "Name": f"Ünï {dice.randrange(10**6)}",
            "Amount": dice.randrange(10**4),
            "Notes": "a line\nand another",
            "Done": dice.random() < 0.5,
            "Stage": "Open",
            "Tags": ["a", "b"],
            "Files": [{"id": made_id("att", dice.random()), "filename": "a.png", "type": "image/png", "size": 12}],
        }
        ids = {each.name: each.id for each in table.fields}
        return {ids[name]: value for name, value in values.items() if name in ids and dice.random() < 0.7}
