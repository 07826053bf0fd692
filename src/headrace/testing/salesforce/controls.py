"""The control of Salesforce's server over HTTP, beside what every provider server has (`headrace.testing.control`).

GET    /_control/org                       the org's id, counts by object, changes so far
GET    /_control/rows/OBJECT               every row that is not deleted, one a line
POST   /_control/rows/OBJECT               {field: value}: create; its id
POST   /_control/rows/OBJECT/ID            {field: value}: update
DELETE /_control/rows/OBJECT/ID            into the recycle bin (?purge=1: for good)
POST   /_control/sessions                  end every session issued so far
"""

from typing import TYPE_CHECKING

import orjson

from headrace.testing.control import LINES, lines
from headrace.testing.exchange import Call, Reply

if TYPE_CHECKING:
    from headrace.testing.salesforce.server import SalesforceServer


def add_controls(server: "SalesforceServer") -> None:
    """Add Salesforce's routes to the server's control."""
    org = server.org

    def show(_call: Call, _rest: list[str]) -> Reply:
        counts = {name: sum(1 for _ in org.alive(name)) for name in org.tables}
        return Reply.json({"id": org.id, "counts": counts, "changes": org.changes})

    def rows(_call: Call, rest: list[str]) -> Reply:
        return Reply(body=lines(map(orjson.dumps, org.alive(rest[0]))), content_type=LINES)

    def change(call: Call, rest: list[str]) -> Reply:
        fields = orjson.loads(call.body or b"{}")
        if len(rest) == 1:
            return Reply.json({"id": org.create(rest[0], server.population.made(rest[0]) | fields)}, 201)
        org.update(rest[0], rest[1], fields)
        return Reply(204)

    def delete(call: Call, rest: list[str]) -> Reply:
        (org.purge if "purge" in dict(call.query) else org.delete)(rest[0], rest[1])
        return Reply(204)

    def sessions(_call: Call, _rest: list[str]) -> Reply:
        server.end_sessions()
        return Reply(204)

    for method, name, route in (
        ("GET", "org", show),
        ("GET", "rows", rows),
        ("POST", "rows", change),
        ("DELETE", "rows", delete),
        ("POST", "sessions", sessions),
    ):
        server.control.add(method, name, route)
