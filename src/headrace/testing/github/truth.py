"""What there is, in the connector's words: the truth that laws compare copies with."""

from collections.abc import Iterator

import orjson

from headrace.testing.github.catalog import RESOURCES
from headrace.testing.github.objects import profile
from headrace.testing.github.server import GithubServer
from headrace.testing.github.world import Repository, Thing


class Truth:
    """Called with a collection id: (id, raw JSON) of every object that the app may see."""

    def __init__(self, server: GithubServer) -> None:
        self._server = server

    def __call__(self, collection_id: str) -> Iterator[tuple[str, bytes]]:
        world, base = self._server.world, self._server.base_url
        name = collection_id.partition(":")[2]
        if name == "repository":
            for place in world.repositories.values():
                if place.installed:
                    yield str(place.id), orjson.dumps(world.shown(place, place.data, base))
        elif name == "organization":
            yield str(world.org["id"]), orjson.dumps(world.shown(world.own, world.org, base))
        elif name == "user":
            for _, key, thing in world.all("member"):
                yield str(key), orjson.dumps(world.shown(world.own, profile(thing.data, world.org["created_at"]), base))
        else:
            for place, _, thing in world.all(name):
                if name not in place.off:
                    yield _id(name, place, thing), orjson.dumps(world.shown(place, thing.data, base))


def _id(name: str, place: Repository, thing: Thing) -> str:
    """An id of its own below a parent or repository only has that one's before it."""
    resource, data = RESOURCES[name], thing.data
    if name == "timeline_event":
        mention = f"{data.get('source', {}).get('issue', {}).get('id')}@{data['created_at']}"
        return f"{thing.under}/{data['event']}/{data.get('node_id') or mention}"
    if resource.own is None:
        return str(data["id"])
    return f"{place.id if thing.under is None else thing.under}/{data[resource.own]}"
