"""What there is, in the connector's words: the truth that laws compare copies with."""

from collections.abc import Iterator

import orjson

from headrace.testing.linear.server import LinearServer


class Truth:
    """Called with a collection id: (id, raw JSON) of every object, archived ones included."""

    def __init__(self, server: LinearServer) -> None:
        self._server = server

    def __call__(self, collection_id: str) -> Iterator[tuple[str, bytes]]:
        for key, thing in self._server.world.things[collection_id.partition(":")[2]].items():
            yield key, orjson.dumps(thing.data)
