"""The control of a provider server over HTTP, for tests and people that run it as a process of its own.

    GET    /_control/log?since=MOMENT&path=GLOB     the requests, one JSON object a line
    DELETE /_control/log                            forget them
    GET    /_control/counts                         all requests by method and status, and faults that stand
    GET    /_control/faults                         the faults that stand
    POST   /_control/faults                         {"kind": …, "path": …, …}: let one stand
    DELETE /_control/faults?kind=KIND               take away all, or those of a kind
    PUT    /_control/limits                         {"limits": "real" | "none"}
    PUT    /_control/mutator                        {"changes_per_s": N}, where the server has a mutator
    POST   /_control/disconnect                     break off all open connections

A provider adds routes of its own with `add`. Nothing here is part of the provider's API or of its log.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import orjson

from headrace.testing.exchange import Call, Reply
from headrace.testing.faults import Fault

if TYPE_CHECKING:
    from headrace.testing.provider import ProviderServer

Route = Callable[[Call, list[str]], Reply]
LINES = "application/x-ndjson"


class Control:
    """Routes by (method, first segment); what is left of the path goes to the route."""

    def __init__(self, server: "ProviderServer") -> None:
        self._server = server
        self._routes: dict[tuple[str, str], Route] = {
            ("GET", "log"): self._log,
            ("DELETE", "log"): self._forget,
            ("GET", "counts"): self._counts,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("PUT", "limits"): self._limits,
            ("PUT", "mutator"): self._mutate,
            ("POST", "disconnect"): self._disconnect,
        }

    @property
    def routes(self) -> list[tuple[str, str]]:
        """(method, name) of every control."""
        return sorted(self._routes)

    def add(self, method: str, name: str, route: Route) -> None:
        self._routes[method, name] = route

    def answer(self, call: Call) -> Reply:
        segments = call.segments[1:]
        route = self._routes.get((call.method, segments[0] if segments else ""))
        if route is None:
            known = sorted(f"{method} /_control/{name}" for method, name in self.routes)
            return Reply.json({"error": "no such control", "there_are": known}, 404)
        try:
            return route(call, segments[1:])
        except (ValueError, TypeError, LookupError) as error:
            return Reply.json({"error": str(error)}, 400)

    def _log(self, call: Call, _: list[str]) -> Reply:
        query = dict(call.query)
        entries = self._server.log.find(query.get("path", "*"), since=float(query.get("since", 0)))
        return Reply(body=b"".join(orjson.dumps(asdict(entry)) + b"\n" for entry in entries), content_type=LINES)

    def _forget(self, _call: Call, _: list[str]) -> Reply:
        self._server.log.clear()
        return Reply(204)

    def _counts(self, _call: Call, _: list[str]) -> Reply:
        counts = {f"{method} {status}": number for (method, status), number in self._server.log.counts.items()}
        return Reply.json({"requests": self._server.log.total, "by_status": counts})

    def _faults(self, _call: Call, _: list[str]) -> Reply:
        return Reply.json([fault.describe() for fault in self._server.faults])

    def _add_fault(self, call: Call, _: list[str]) -> Reply:
        values = orjson.loads(call.body)
        return Reply.json(self._server.faults.put(Fault.of(**values)).describe(), 201)

    def _clear_faults(self, call: Call, _: list[str]) -> Reply:
        self._server.faults.clear(dict(call.query).get("kind"))
        return Reply(204)

    def _limits(self, call: Call, _: list[str]) -> Reply:
        limits = orjson.loads(call.body)["limits"]
        if limits not in ("real", "none"):
            raise ValueError(f"limits are 'real' or 'none', not {limits!r}")
        self._server.limits = limits
        return Reply(204)

    def _mutate(self, call: Call, _: list[str]) -> Reply:
        if self._server.mutator is None:
            raise ValueError("nothing changes by itself here")
        self._server.mutator.changes_per_s = float(orjson.loads(call.body)["changes_per_s"])
        return Reply(204)

    def _disconnect(self, _call: Call, _: list[str]) -> Reply:
        self._server.disconnect()
        return Reply(204)


def lines(pairs: Iterator[bytes], size: int = 1000) -> Iterator[bytes]:
    """The lines in pieces of `size`, for an answer that is sent while it is made."""
    piece: list[bytes] = []
    for line in pairs:
        piece.append(line)
        if len(piece) >= size:
            yield b"\n".join(piece) + b"\n"
            piece.clear()
    if piece:
        yield b"\n".join(piece) + b"\n"
