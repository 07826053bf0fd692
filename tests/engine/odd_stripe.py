"""A server that calls itself Stripe and is not: an emulator as others write them, and a mock of fixed answers.

It knows a few lists and nothing else, refuses parameters that it does not know, gives no Request-Id, lists the oldest
first, and answers in plain text where it has nothing.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from loopback import listening


@dataclass
class OddStripe:
    """`lists` by path, each as it is listed. `knows`: the parameters that are taken, None for all. `fixed`: every page
    is the whole list, wherever the caller says that it stands. `refuses`: paths and the status of their answers."""

    lists: dict[str, list[dict[str, Any]]]
    knows: frozenset[str] | None = None
    fixed: bool = False
    refuses: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, query: Mapping[str, str]) -> web.Response:
        self.asked.append(path)
        if path in self.refuses:
            return web.json_response({"error": {"message": "Not for you"}}, status=self.refuses[path])
        unknown = sorted(set(query) - self.knows) if self.knows is not None else []
        if unknown:
            error = {"type": "invalid_request_error", "message": f"Received unknown parameter: {unknown[0]}"}
            return web.json_response({"error": error}, status=400)
        if path in self.lists:
            return web.json_response(self._page(path, query))
        whole, _, name = path.rpartition("/")
        found = next((each for each in self.lists.get(whole, ()) if each["id"] == name), None)
        return web.Response(text="404: Not Found", status=404) if found is None else web.json_response(found)

    def _page(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        things = self.lists[path]
        if self.fixed:
            return {"object": "list", "url": path, "has_more": False, "data": things}
        names = [each["id"] for each in things]
        after = query.get("starting_after")
        begin = names.index(after) + 1 if after in names else 0
        shown = things[begin : begin + int(query.get("limit", "10"))]
        return {"object": "list", "url": path, "has_more": begin + len(shown) < len(things), "data": shown}


@asynccontextmanager
async def odd_stripe(server: OddStripe) -> AsyncIterator[OddStripe]:
    async def handle(request: web.Request) -> web.Response:
        return server.answer(request.path, request.query)

    async with listening(handle) as server.url:
        yield server
