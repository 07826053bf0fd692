"""The control of GitHub's server over HTTP, beside what every provider server has (`headrace.testing.control`).

GET    /_control/world                     counts by collection, repositories, changes so far
GET    /_control/things/NAME               every object, one a line
POST   /_control/things/NAME               {"repository": …, "under": …, "fields": {…}}: create; its id
POST   /_control/things/NAME/ID            {"repository": …, "fields": {…}}: update
DELETE /_control/things/NAME/ID            delete (?repository=…)
PUT    /_control/repositories/ID           {"name": …, "owner": …}: rename or transfer; {"installed": …, "readable": …}
POST   /_control/repositories              {"name": …}: make one; its id
DELETE /_control/repositories/ID           delete one
"""

from typing import TYPE_CHECKING

import orjson

from headrace.testing.control import LINES, lines
from headrace.testing.exchange import Call, Reply
from headrace.testing.github.catalog import RESOURCES

if TYPE_CHECKING:
    from headrace.testing.github.server import GithubServer


def add_controls(server: "GithubServer") -> None:
    """Add GitHub's routes to the server's control."""
    world = server.world

    def show(_call: Call, _rest: list[str]) -> Reply:
        counts = {name: sum(1 for _ in world.all(name)) for name in RESOURCES}
        named = {str(place.id): place.full_name for place in world.repositories.values()}
        return Reply.json({"counts": counts, "repositories": named, "changes": world.changes})

    def things(_call: Call, rest: list[str]) -> Reply:
        shown = (world.shown(place, thing.data, server.base_url) for place, _, thing in world.all(rest[0]))
        return Reply(body=lines(map(orjson.dumps, shown)), content_type=LINES)

    def change(call: Call, rest: list[str]) -> Reply:
        asked = orjson.loads(call.body or b"{}")
        fields, repository = asked.get("fields", {}), asked.get("repository")
        if len(rest) > 1:
            world.update(rest[0], int(rest[1]), repository, **fields)
            return Reply(204)
        return Reply.json({"id": world.create(rest[0], repository, asked.get("under"), **fields).order}, 201)

    def delete(call: Call, rest: list[str]) -> Reply:
        repository = dict(call.query).get("repository")
        world.delete(rest[0], int(rest[1]), None if repository is None else int(repository))
        return Reply(204)

    def make(call: Call, _rest: list[str]) -> Reply:
        return Reply.json({"id": world.add_repository(orjson.loads(call.body)["name"]).id}, 201)

    def alter(call: Call, rest: list[str]) -> Reply:
        asked = orjson.loads(call.body)
        place = world.repositories[int(rest[0])]
        if "name" in asked or "owner" in asked:
            world.rename(place.id, asked.get("name", place.data["name"]), asked.get("owner"))
        place.installed = bool(asked.get("installed", place.installed))
        place.readable = bool(asked.get("readable", place.readable))
        return Reply(204)

    def remove(_call: Call, rest: list[str]) -> Reply:
        world.remove_repository(int(rest[0]))
        return Reply(204)

    for method, name, route in (
        ("GET", "world", show),
        ("GET", "things", things),
        ("POST", "things", change),
        ("DELETE", "things", delete),
        ("POST", "repositories", make),
        ("PUT", "repositories", alter),
        ("DELETE", "repositories", remove),
    ):
        server.control.add(method, name, route)
