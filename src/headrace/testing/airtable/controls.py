"""The control of Airtable's server over HTTP, beside what every provider server has (`headrace.testing.control`).

GET    /_control/world                     bases, their tables with the number of records, changes so far
GET    /_control/rows/BASE/TABLE           every record, one a line
POST   /_control/rows/BASE/TABLE           {field id: value}: create; its id
POST   /_control/rows/BASE/TABLE/ID        {field id: value}: update; null empties a cell
DELETE /_control/rows/BASE/TABLE/ID        into the trash
PUT    /_control/scopes                    {"scopes": […]}: what the tokens may from now on
"""

from typing import TYPE_CHECKING

import orjson

from headrace.testing.airtable.world import Base, Table
from headrace.testing.control import LINES, lines
from headrace.testing.exchange import Call, Reply

if TYPE_CHECKING:
    from headrace.testing.airtable.server import AirtableServer


def add_controls(server: "AirtableServer") -> None:
    """Add Airtable's routes to the server's control."""
    world = server.world

    def place(rest: list[str]) -> tuple[Base, Table]:
        base = world.bases[rest[0]]
        return base, base.tables[rest[1]]

    def show(_call: Call, _rest: list[str]) -> Reply:
        tables = [
            {"base": base.id, "table": table.id, "name": table.name, "records": len(table.rows)}
            for base, table in world.each_table()
        ]
        return Reply.json({"tables": tables, "changes": world.changes})

    def rows(_call: Call, rest: list[str]) -> Reply:
        _, table = place(rest)
        shown = (orjson.dumps(world.shown(table, row, by_id=True)) for row in table.rows.values())
        return Reply(body=lines(shown), content_type=LINES)

    def change(call: Call, rest: list[str]) -> Reply:
        base, table = place(rest)
        cells = orjson.loads(call.body or b"{}")
        if len(rest) > 2:
            world.update(base, table, rest[2], cells)
            return Reply(204)
        return Reply.json({"id": world.create(base, table, cells).id}, 201)

    def delete(_call: Call, rest: list[str]) -> Reply:
        base, table = place(rest)
        world.delete(base, table, rest[2])
        return Reply(204)

    def scopes(call: Call, _rest: list[str]) -> Reply:
        server.scopes = set(orjson.loads(call.body)["scopes"])
        return Reply(204)

    for method, name, route in (
        ("GET", "world", show),
        ("GET", "rows", rows),
        ("POST", "rows", change),
        ("DELETE", "rows", delete),
        ("PUT", "scopes", scopes),
    ):
        server.control.add(method, name, route)
