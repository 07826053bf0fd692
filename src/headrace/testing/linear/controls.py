"""The control of Linear's server over HTTP, beside what every provider server has (`headrace.testing.control`).

GET    /_control/world                     counts by collection, changes so far
GET    /_control/things/NAME               every object, one a line
POST   /_control/things/NAME               {field: value}: create; its id
POST   /_control/things/NAME/ID            {field: value}: update
DELETE /_control/things/NAME/ID            into the archive or the trash (?purge=1: for good)
"""

from typing import TYPE_CHECKING

import orjson

from headrace.testing.control import LINES, lines
from headrace.testing.exchange import Call, Reply

if TYPE_CHECKING:
    from headrace.testing.linear.server import LinearServer


def add_controls(server: "LinearServer") -> None:
    """Add Linear's routes to the server's control."""
    world = server.world

    def show(_call: Call, _rest: list[str]) -> Reply:
        counts = {name: len(things) for name, things in world.things.items()}
        return Reply.json({"counts": counts, "changes": world.changes})

    def things(_call: Call, rest: list[str]) -> Reply:
        shown = (orjson.dumps(thing.data) for thing in world.things[rest[0]].values())
        return Reply(body=lines(shown), content_type=LINES)

    def change(call: Call, rest: list[str]) -> Reply:
        fields = orjson.loads(call.body or b"{}")
        if len(rest) > 1:
            world.update(rest[0], rest[1], **fields)
            return Reply(204)
        return Reply.json({"id": world.create(rest[0], **fields)}, 201)

    def delete(call: Call, rest: list[str]) -> Reply:
        if "purge" in dict(call.query):
            world.purge(rest[0], rest[1])
        else:
            world.archive(rest[0], rest[1], trashed=True)
        return Reply(204)

    for method, name, route in (
        ("GET", "world", show),
        ("GET", "things", things),
        ("POST", "things", change),
        ("DELETE", "things", delete),
    ):
        server.control.add(method, name, route)
