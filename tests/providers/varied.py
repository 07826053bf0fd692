"""A provider's server asked without sockets, whose answers are varied on their way as the provider's documentation
allows: what a connector reads may not depend on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from headrace.clock import from_unix
from headrace.engine.partitions import every_partition
from headrace.engine.verdicts import verdict
from headrace.http import Request, Response
from headrace.providers.kit import EVERYTHING, Canon, Collection, Context, Faulted, Item, Provider, Record, Window
from headrace.providers.kit.checks import drive, walk
from headrace.testing.copies import canonical
from headrace.testing.exchange import Call
from headrace.testing.provider import ProviderServer

Json = dict[str, Any]
Vary = Callable[[Request, Response], Response]
Told = dict[tuple[str, str], Any]


def as_it_is(request: Request, response: Response) -> Response:
    return response


def bodies(change: Callable[[Any], Any]) -> Vary:
    """Good answers with another body."""

    def vary(request: Request, response: Response) -> Response:
        if response.status >= 300:
            return response
        return replace(response, body=orjson.dumps(change(orjson.loads(response.body))))

    return vary


def rows(name: str, change: Callable[[Json], Json]) -> Vary:
    """Good answers with each row of the list of this name changed."""

    def within(body: Any) -> Any:
        if isinstance(body, dict) and isinstance(body.get(name), list):
            return {**body, name: [change(row) if isinstance(row, dict) else row for row in body[name]]}
        return body

    return bodies(within)


def without(*names: str) -> Callable[[Json], Json]:
    return lambda row: {name: value for name, value in row.items() if name not in names}


def no_headers(request: Request, response: Response) -> Response:
    return replace(response, headers={"content-type": "application/json"})


@dataclass
class Varied:
    """A connector at a server. `respond` answers a request as the engine would hand it to the connector: what is no
    success, and is not accepted, is raised as its fault."""

    provider: Provider
    server: ProviderServer
    properties: Mapping[str, Any]
    kind: str
    vary: Vary = as_it_is
    asked: list[Request] = field(default_factory=list)

    def respond(self, request: Request) -> Response:
        self.asked.append(request)
        kind = next(each for each in self.provider.kinds if each.kind == self.kind)
        now = from_unix(self.server.clock.now())
        ready = kind.sign(self.provider.prepare(request), self.properties, now)
        place = urlsplit(ready.url)
        query = "&".join(part for part in (place.query, urlencode(ready.query)) if part)
        headers = {name.lower(): value for name, value in ready.headers.items()}
        reply = self.server.handle(Call(ready.method, place.path, query, headers, ready.body or b""))
        body = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
        told = {"content-type": reply.content_type, **{name.lower(): value for name, value in reply.headers}}
        response = self.vary(request, Response(reply.status, body, now, told, ready.url))
        if (fault := verdict(self.provider, request, response)) is not None:
            raise Faulted(fault)
        return response

    def context(self, *collections: str) -> Context:
        now = from_unix(self.server.clock.now())
        return Context(self.properties, now, self.provider.reads(collections))

    def items(self, collection_id: str, window: Window = EVERYTHING) -> list[Item]:
        """What the collection's listing gives, page after page. Raises Faulted."""
        collection = self.provider.collection(collection_id)
        assert collection is not None
        if collection.embedded and collection.children is not None:
            collection = self.provider.collection(collection.children.parent)
        assert collection is not None
        assert collection.listing is not None
        found = [
            page
            for partition in self.partitions(collection)
            for page in walk(
                collection.listing.page,
                replace(self.context(collection_id), partition=partition),
                window,
                self.respond,
            )
        ]
        return [item for page in found for item in page.items if item.collection == collection_id]

    def partitions(self, collection: Collection) -> list[str | None]:
        """The ids of its partitions; `[None]` where it has none."""
        if collection.partitions is None:
            return [None]
        steps: Any = every_partition(collection.partitions, self.context(collection.id))
        found: Any = drive(steps, self.respond)[0]
        return [*found]

    def read(self, *collections: str, window: Window = EVERYTHING) -> Told:
        """The records of these collections as a consumer gets them. Raises Faulted."""
        made: Told = {}
        for key in collections:
            collection = self.provider.collection(key)
            canon = Canon() if collection is None else collection.canon
            for item in self.items(key, window):
                if isinstance(item, Record):
                    made[key, item.id] = (canonical(item.raw, canon), item.parent)
        return made

    def fetched(self, collection_id: str, key: str, parent: str | None = None) -> list[Item]:
        collection = self.provider.collection(collection_id)
        assert collection is not None
        assert collection.fetch is not None
        return drive(collection.fetch.page(self.context(collection_id), key, parent), self.respond)[0].items
