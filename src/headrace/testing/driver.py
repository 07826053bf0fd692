"""Drives page functions over HTTP, without engine and database: for the laws, and to look at a connector alone."""

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, Self, TypeVar
from urllib.parse import quote_plus, urlsplit

import aiohttp
import orjson
from yarl import URL

from headrace.clock import from_unix
from headrace.http import Request, Response
from headrace.providers.kit import (
    Account,
    Context,
    Cursor,
    Fault,
    Faulted,
    Found,
    Page,
    PageFunction,
    Partitions,
    Provider,
    Window,
)

R = TypeVar("R")
_RETRIED = frozenset({"rate", "quota", "transient"})
_SKEW = timedelta(seconds=1.5)
_REDIRECTS = (301, 302, 307, 308)
_MOST_REDIRECTS = 5


class _Sent(Faulted):
    """An answer was no success, as often as it was asked for."""


class Driver:
    """Sends what page functions ask for, signed, to the provider at `properties["base_url"]`.

    Faults that pass are tried again, `tries` times in all, after `wait_s`; others are raised as `Faulted`. `asked` are
    the requests sent so far. `offset` is how far the provider's clock is ahead, as its Date header says. `provider` is
    the one given, and after `discover` the provider as the account has it.
    """

    def __init__(
        self, provider: Provider, kind: str, properties: Mapping[str, Any], *, tries: int = 8, wait_s: float = 0.02
    ) -> None:
        self.provider = provider
        self.asked: list[Request] = []
        self.offset = timedelta(0)
        self._kind = next(each for each in provider.kinds if each.kind == kind)
        self._properties = properties
        self._tries = tries
        self._wait_s = wait_s

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        # aiohttp has no public switch for it: else it sends a GET twice when the connection breaks, and tells nobody.
        self._session._retry_connection = False
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    def now(self) -> datetime:
        """The present in the provider's clock."""
        return from_unix(time()) + self.offset

    def context(self, collections: Iterable[str] = (), partition: str | None = None) -> Context:
        known = {name: value for name, value in self._properties.items() if name not in self._kind.secret}
        return Context(known, self.now(), self.provider.reads(collections), partition)

    async def verify(self) -> Account:
        """Whose credential it is; the provider's clock is known thereafter. Raises Refused, Faulted."""
        return await self.again(lambda: self._kind.verify(self._properties, self.now()))

    async def discover(self) -> dict[str, Found]:
        """Find the account's own collections, by id; `provider` has them from then on. Raises Faulted."""
        discovery = self.provider.discovery
        assert discovery is not None, f"{self.provider.slug} finds no collections of an account's own"
        found: dict[str, Found] = {}
        cursor: Cursor | None = None
        while True:
            at = _through_json(cursor)
            page, cursor = await self.again(lambda at=at: discovery.page(self.context(), at))  # type: ignore[misc]
            for each in page:
                found[each.collection_id or f"{self.provider.slug}:{each.scope}.{each.upstream_id}"] = each
            if cursor is None:
                self.provider = self.provider.of_account(found)
                return found

    async def partitions(self, source: Partitions | None) -> list[str | None]:
        """The ids of all partitions; `[None]` where a collection has none. Raises Faulted."""
        if source is None:
            return [None]
        found: list[str | None] = []
        cursor: Cursor | None = None
        while True:
            at = _through_json(cursor)
            pairs, cursor = await self.again(lambda at=at: source.page(self.context(), at))  # type: ignore[misc]
            found += (key for key, _ in pairs)
            if cursor is None:
                return found

    async def page(
        self,
        function: PageFunction,
        collections: Iterable[str],
        window: Window,
        cursor: Cursor | None,
        partition: str | None = None,
    ) -> Page:
        """One page."""
        context, at = self.context(collections, partition), _through_json(cursor)
        return await self.again(lambda: function(context, window, at))

    async def again(self, make: Callable[[], Generator[Request, Response, R]]) -> R:
        """Run the generator that `make` makes; where it found wrong in an answer what may pass, it is made anew. Raises
        Faulted."""
        for _ in range(self._tries - 1):
            try:
                return await self.run(make())
            except _Sent:
                raise
            except Faulted as error:
                if error.fault.kind not in _RETRIED:
                    raise
        return await self.run(make())

    async def run(self, steps: Generator[Request, Response, R]) -> R:
        """Answer the requests of a generator until it returns. Raises Faulted."""
        try:
            request = next(steps)
            while True:
                response = await self.send(request)
                request = steps.send(response)
        except StopIteration as stop:
            result: R = stop.value
            return result

    async def send(self, request: Request) -> Response:
        """Send, and send again what may pass. Raises Faulted for an answer that is no success."""
        attempt = 0
        while True:
            attempt += 1
            outcome = await self._attempt(request)
            if isinstance(outcome, Response):
                return outcome
            if outcome.kind not in _RETRIED or attempt >= self._tries:
                raise _Sent(outcome)
            await asyncio.sleep(self._wait_s * attempt)

    async def _attempt(self, request: Request) -> Response | Fault:
        """Send once: the answer, or what was wrong with it."""
        try:
            response = await self._once(request)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            return Fault("transient", repr(error))
        if self.provider.limits.too_many(response) is not None:
            return Fault("rate", f"too many requests: status {response.status}")
        if "html" in response.headers.get("content-type", "") and response.status < 300:
            return Fault("transient", f"a web page came with status {response.status} where data was asked for")
        fault = None if response.status in request.accept else self.provider.fault(response)
        return fault or response

    async def _once(self, request: Request) -> Response:
        self.asked.append(request)
        prepared = self.provider.prepare(request)
        signed = prepared if prepared.anonymous else self._kind.sign(prepared, self._properties, self.now())
        url = signed.url
        if not urlsplit(url).netloc:
            url = self.provider.base_url(self._properties).rstrip("/") + url
        if signed.query:
            pairs = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in signed.query)
            url += ("&" if "?" in url else "?") + pairs
        place = URL(url, encoded=True)
        for _ in range(_MOST_REDIRECTS):
            response = await self._exchange(signed, place)
            led = place.join(URL(response.headers.get("location", ""), encoded=True))
            follow = response.status in _REDIRECTS and signed.method == "GET" and led.origin() == place.origin()
            if not follow or led == place or response.status in request.accept:
                return response
            place = led
        return response

    async def _exchange(self, request: Request, place: URL) -> Response:
        sent_at = self.now()
        async with self._session.request(
            request.method, place, headers=dict(request.headers), data=request.body, allow_redirects=False
        ) as answer:
            body = await answer.read()
            headers = {name.lower(): value for name, value in answer.headers.items()}
            self._learn(headers)
            return Response(answer.status, body, sent_at, headers, str(answer.url))

    def _learn(self, headers: Mapping[str, str]) -> None:
        """Take the provider's clock from its Date header; within its whole seconds the clocks count as one."""
        if "date" in headers:
            ahead = parsedate_to_datetime(headers["date"]) - from_unix(time())
            if abs(ahead - self.offset) > _SKEW:
                self.offset = ahead if abs(ahead) > _SKEW else timedelta(0)


def _through_json(cursor: Cursor | None) -> Cursor | None:
    """The cursor as it comes back from a checkpoint."""
    return None if cursor is None else orjson.loads(orjson.dumps(cursor))
