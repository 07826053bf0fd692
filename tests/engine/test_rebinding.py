"""A name server that answers with the provider's address first and with one of this machine afterwards leads no request
here: not by a next link, a redirect, an instance's address or a token endpoint.

The sockets, the connector and the resolver's gate are the real ones. Played are the name server's answers, and that
127.0.0.2 is an address of the internet; TLS is left out, since nobody has the provider's certificate.
"""

import socket
from collections.abc import AsyncIterator, Generator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from paced import SECRET, access, provider
from yarl import URL

from headrace import egress
from headrace.db.pool import Database
from headrace.egress import Reach
from headrace.engine.access import Access
from headrace.engine.exchanges import Unanswered
from headrace.engine.pace import Pace, Priority
from headrace.engine.transport import ReadFailed, Transport
from headrace.engine.wire import Answer, Wire
from headrace.http import Request, Response
from headrace.ids import uuid7
from headrace.settings import Settings

PROVIDER, INSIDE = "127.0.0.2", "127.0.0.1"
SETTINGS = Settings(limits_override="none")


class Rebinding(AbstractResolver):
    """The first so many answers for a name are the provider's address; those that follow are inside."""

    honest = 1
    asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        Rebinding.asked += 1
        address = PROVIDER if Rebinding.asked <= Rebinding.honest else INSIDE
        return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None: ...


class Plain(Wire):
    """The wire, without TLS, on the port where the two servers listen."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    async def send(self, request: Request, url: URL, *, private: bool, total_s: float = 30.0) -> Answer:
        assert url.scheme == "https"
        plain = url.with_scheme("http").with_port(self._port)
        return await super().send(request, plain, private=private, total_s=total_s)


class Places:
    """The provider's server and one that answers inside, on the same port; who asked which."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.reached: dict[str, list[str]] = {PROVIDER: [], INSIDE: []}

    async def answer(self, request: web.Request) -> web.Response:
        here = request.transport.get_extra_info("sockname")[0] if request.transport else ""
        self.reached[here].append(request.path)
        headers = {"connection": "close"}
        if request.path == "/moved":
            return web.Response(status=302, headers={**headers, "location": "https://api.example.com/there"})
        return web.json_response({"access_token": "t"}, headers=headers)


def on_one_port() -> tuple[socket.socket, socket.socket]:
    """Two that listen on the same port, which is free at both addresses."""
    for _ in range(50):
        try:
            first = socket.create_server((PROVIDER, 0))
        except OSError:
            pytest.skip(f"this machine has no {PROVIDER}")
        try:
            return first, socket.create_server((INSIDE, first.getsockname()[1]))
        except OSError:
            first.close()
    raise AssertionError("no port is free at both addresses")


@pytest.fixture
async def places() -> AsyncIterator[Places]:
    sockets = on_one_port()
    made = Places(sockets[0].getsockname()[1])
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    for each in sockets:
        await web.SockSite(runner, each).start()
    yield made
    await runner.cleanup()


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    real = egress.reach
    there = ip_address(PROVIDER)
    monkeypatch.setattr(egress, "reach", lambda address: Reach.PUBLIC if address == there else real(address))
    monkeypatch.setattr(aiohttp, "DefaultResolver", Rebinding)
    monkeypatch.setattr("headrace.engine.wire._NAMES_KEPT_S", 0)  # each request asks the name server anew
    monkeypatch.setattr("headrace.engine.transport.backoff_s", lambda attempt: 0.01)
    Rebinding.honest, Rebinding.asked = 1, 0


@pytest.fixture
async def transport(db: Database, places: Places) -> AsyncIterator[Transport]:
    made = Transport(db, Pace(db, uuid7(), SETTINGS), SETTINGS)
    await made._wire.close()
    made._wire = made.exchanges._wire = Plain(places.port)
    yield made
    await made.close()


def ask(*requests: Request) -> Generator[Request, Response, None]:
    for request in requests:
        _ = yield request


async def refused(transport: Transport, who: Access, *requests: Request) -> None:
    with pytest.raises(ReadFailed) as failed:
        await transport.run(who, None, ask(*requests), Priority.CHANGES)
    assert failed.value.fault.kind == "config"
    assert "not allowed" in failed.value.fault.message
    assert SECRET not in failed.value.fault.message


async def test_a_next_link(transport: Transport, places: Places) -> None:
    await refused(transport, access(provider()), Request("/one"), Request("https://api.example.com/two"))
    assert places.reached == {PROVIDER: ["/one"], INSIDE: []}


async def test_a_redirect(transport: Transport, places: Places) -> None:
    await refused(transport, access(provider()), Request("/moved"))
    assert places.reached == {PROVIDER: ["/moved"], INSIDE: []}


async def test_an_instances_address(transport: Transport, places: Places) -> None:
    """Anybody may name an instance of a provider's, and who owns its name may let it point anywhere."""
    Rebinding.honest = 0
    of = replace(provider(), hosts=("*.example.com",), base_url=lambda properties: "https://evil.example.com")
    await refused(transport, access(of), Request("/one"))
    assert places.reached == {PROVIDER: [], INSIDE: []}


async def test_a_token_endpoint(transport: Transport, places: Places) -> None:
    of = provider()
    told: dict[str, Any] = {"secret": SECRET}
    token = Request("https://api.example.com/token", "POST", body=b"x", anonymous=True, safe=False)
    await transport.exchanges.make_token(of, of.kinds[0], told, ask(token))
    with pytest.raises(Unanswered) as failed:
        await transport.exchanges.make_token(of, of.kinds[0], told, ask(token))
    assert failed.value.unsent
    assert places.reached == {PROVIDER: ["/token"], INSIDE: []}


async def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(
    transport: Transport, places: Places
) -> None:
    """The name server is asked once for a connection, not once for the look and once for the socket."""
    await transport.run(access(provider()), None, ask(Request("/one")), Priority.CHANGES)
    assert Rebinding.asked == 1
    assert places.reached == {PROVIDER: ["/one"], INSIDE: []}


async def test_without_the_gate_the_inside_would_have_been_reached(
    monkeypatch: pytest.MonkeyPatch, transport: Transport, places: Places
) -> None:
    """What the tests above would see if it were not there."""
    monkeypatch.setattr(egress, "check_address", lambda text, *, private: None)
    await transport.run(access(provider()), None, ask(Request("/one"), Request("/two")), Priority.CHANGES)
    assert places.reached == {PROVIDER: ["/one"], INSIDE: ["/two"]}
