"""What every provider server shares: connections, log, limits, faults, control, an orderly start and stop.

A provider's own server subclasses `ProviderServer`, says how it answers a call (`answer`), how it tells an error in its
own words (`refusal`), and what it counts against which limit (`allowances`); the rest stands here. It runs in the
test's own event loop, or as a process of its own, where `/_control/…` gives what the object gives in process.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Sequence
from time import monotonic, time
from typing import Any, ClassVar, Literal, Self, TypedDict, Unpack

from headrace.testing.connection import Connection
from headrace.testing.control import Control
from headrace.testing.exchange import Call, Reply, ServerClock
from headrace.testing.faults import REQUEST_KINDS, STATE_KINDS, Fault, Faults
from headrace.testing.limits import Allowance, Limiter
from headrace.testing.lookout import Lookout
from headrace.testing.mutator import Mutator
from headrace.testing.requestlog import Entry, RequestLog

Limits = Literal["real", "none"]
Refusal = Literal["rate_limited", "server_error", "unauthorized", "forbidden"]

_HTML = b"<!DOCTYPE html><html><head><title>Service unavailable</title></head><body><h1>503</h1></body></html>"


class Options(TypedDict, total=False):
    """What every provider's server takes, beside what its own says.

    `limits` is `none` (default) or the provider's own (`real`). `faults` stand from the start; more can be added at
    run time. `host` (default 127.0.0.1) and `port` (default 0: a free one) are where it listens; `log_size` is the
    number of requests that the log keeps (default 100 000).
    """

    host: str
    port: int
    limits: Limits
    faults: Iterable[Fault]
    log_size: int


class ProviderServer(ABC):
    """A provider on loopback. `seed` decides everything that looks like chance.

    Use it as an async context manager; `base_url` is its address. What it holds is changed by its `mutator`, where it
    has one.
    """

    kinds: ClassVar[frozenset[str]] = frozenset()
    """The kinds of faults that this provider has beyond those of every provider."""

    mutator: Mutator | None = None

    def __init__(self, *, seed: int = 0, **options: Unpack[Options]) -> None:
        self.host = options.get("host", "127.0.0.1")
        self.port = options.get("port", 0)
        self.seed = seed
        self.limits: Limits = options.get("limits", "none")
        self.log = RequestLog(options.get("log_size", 100_000))
        self.clock = ServerClock()
        self.faults = Faults(REQUEST_KINDS | STATE_KINDS | self.kinds, seed, options.get("faults", ()))
        self.control = Control(self)
        self.limiter = Limiter()
        self.lookout = Lookout()
        self._alive: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._set_clock()
        self.faults.changed = self.standing_changed

    # What a provider says for itself.

    @abstractmethod
    def answer(self, call: Call) -> Reply:
        """The provider's answer where nothing is amiss. It must not wait: a page is made at once."""

    @abstractmethod
    def refusal(self, kind: Refusal, call: Call, fault: Fault | None = None, reason: str = "") -> Reply:
        """The provider's own words for an error; `reason` names the limit that is used up."""

    def allowances(self, call: Call) -> Sequence[Allowance]:
        """What this call counts against under `limits="real"`."""
        return ()

    def credential(self, call: Call) -> str:
        """The credential of the call, shortened for the log."""
        return ""

    def standing_changed(self) -> None:
        """Faults were added or cleared: what depends on standing ones is brought up to date."""
        self._set_clock()

    def _set_clock(self) -> None:
        self.clock.offset_s = sum(fault.option("offset_s", 300.0) for fault in self.faults.standing("clock"))

    # The life of the server.

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen. With port 0 a free port is taken, and `port` says which."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self.handle, self.clock.date, self._alive), self.host, self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self.spawn(self.lookout.run())
        if self.mutator is not None:
            self.spawn(self.mutator.run())

    async def stop(self) -> None:
        """Stop listening, end background work, break off what is open."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            for connection in tuple(self._alive):
                connection.end()
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Background work that ends with the server."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def disconnect(self) -> None:
        """Break off all open connections."""
        for connection in tuple(self._alive):
            connection.end()

    # One call.

    def handle(self, call: Call) -> Reply:
        """Control, faults, limits, the provider's answer, faults of the answer; and a line in the log."""
        if call.path.startswith("/_control"):
            return self.control.answer(call)
        moment, late_s = time(), self.lookout.away_s()
        if self.mutator is not None:
            self.mutator.before_an_answer()
        reply, fault = self._before(call) if self.faults else (None, "")
        used_up = None
        if reply is None:
            used_up = self._used_up(call, late_s) if self.limits == "real" else None
            reply = self.answer(call) if used_up is None else self.refusal("rate_limited", call, None, used_up.reason)
            if self.faults:
                reply, struck = self._after(call, reply)
                fault = fault or struck
        key = self.credential(call)
        refused = used_up is not None or fault == "rate_limited"
        if self.clock.offset_s and self.faults.standing("clock"):
            self.faults.met("clock")
        self.log.add(Entry(moment, call.method, call.path, call.raw_query, reply.status, key, fault, refused, late_s))
        return reply

    def _used_up(self, call: Call, late_s: float) -> Allowance | None:
        return self.limiter.take(self.allowances(call), monotonic(), late_s)

    def _before(self, call: Call) -> tuple[Reply | None, str]:
        """Faults that take the place of the answer: the provider does nothing."""
        refusals: tuple[Refusal, ...] = ("rate_limited", "server_error", "unauthorized", "forbidden")
        for kind in refusals:
            if fault := self.faults.strikes(kind, call.path, call.method):
                return self.refusal(kind, call, fault, fault.option("reason", "")), kind
        if fault := self.faults.strikes("redirect", call.path, call.method):
            location = fault.option("location", "http://attacker.invalid") + call.path
            return Reply(302, b"", (("Location", location),)), "redirect"
        if self.faults.strikes("html", call.path, call.method):
            return Reply(200, _HTML, content_type="text/html; charset=utf-8"), "html"
        if self.faults.strikes("hang", call.path, call.method):
            return Reply(never=True), "hang"
        return None, ""

    def _after(self, call: Call, reply: Reply) -> tuple[Reply, str]:
        """Faults of an answer that was made: a write has taken place, the client may never learn it."""
        if not isinstance(reply.body, bytes):
            return reply, ""
        if fault := self.faults.strikes("slow", call.path, call.method):
            return reply.changed(delay_s=float(fault.option("delay_s", 1.0))), "slow"
        if fault := self.faults.strikes("reset", call.path, call.method):
            return reply.changed(cut_at=int(fault.option("at", 0)), reset=True), "reset"
        if fault := self.faults.strikes("truncated_json", call.path, call.method):
            return reply.changed(cut_at=int(fault.option("at", len(reply.body) // 2))), "truncated_json"
        if self.faults.strikes("invalid_json", call.path, call.method):
            return reply.changed(body=reply.body[: len(reply.body) // 2]), "invalid_json"
        return reply, ""
