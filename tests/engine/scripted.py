"""A provider server that answers as a test has written down, and notes what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from loopback import listening

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Scripted:
    """`answers` are given one after the other, the last one for ever. `asked` are (method, path with query), `heads`
    the headers that came."""

    url: str = ""
    answers: list[Handler] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs))
        self.heads.append({name.lower(): value for name, value in request.headers.items()})
        self.bodies.append(await request.read())
        self.came.set()
        handler = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await handler(request)


@asynccontextmanager
async def scripted(*answers: Handler) -> AsyncIterator[Scripted]:
    server = Scripted(answers=list(answers))
    async with listening(server.handle) as server.url:
        yield server


def answer(status: int = 200, body: str = '{"data": []}', **headers: str) -> Handler:
    """An answer with this status, text and headers (underscores stand for hyphens)."""
    named = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body.encode(), headers=named)

    return handle


async def cut_off(request: web.Request) -> web.StreamResponse:
    """The connection breaks in the middle of the body."""
    response = web.StreamResponse(headers={"content-length": "1000", "content-type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"data": [')
    assert request.transport is not None
    request.transport.close()
    return response


async def hang_up(request: web.Request) -> web.StreamResponse:
    """The connection is closed without an answer."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


def zeros(size: int) -> Handler:
    """A JSON text of this many bytes, sent in chunks."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        await response.write(b'"')
        chunk = b"0" * 2**20
        for _ in range(size // len(chunk)):
            await response.write(chunk)
        await response.write(b'"')
        return response

    return handle


def never(release: asyncio.Event) -> Handler:
    """No answer until the test lets it go."""

    async def handle(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.json_response({"data": []})

    return handle
