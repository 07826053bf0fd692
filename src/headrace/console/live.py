"""Pages that update themselves: server-sent events, each the new text of the part that changes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from headrace.console.visit import Door, Visit
from headrace.errors import HeadraceError

LOOK_EVERY_S = 1.0
_SILENCE_S = 15.0
_SHARE = 9
"""A part that is dear to make is made less often: whoever looks takes a tenth of the time at most."""
_ENDS_AFTER_S = 600.0

Part = Callable[[Visit], Awaitable[str]]


def stream(door: Door, part: Part, every_s: float = LOOK_EVERY_S) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that sends the part whenever it has changed. It ends after some minutes, when the session does, or
    when the part cannot be had: the browser then asks again."""

    async def endpoint(request: Request) -> Response:
        visit = await door.visit(request)
        if visit is None:
            return Response(status_code=401)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(door, visit, part, every_s), media_type="text/event-stream", headers=headers)

    return endpoint


async def _events(door: Door, visit: Visit, part: Part, every_s: float) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    ends, spoke = loop.time() + _ENDS_AFTER_S, loop.time()
    sent = b""
    while loop.time() < ends:
        if await door.principal(visit.session.token) is None or visit.now.timestamp() >= visit.session.ends:
            return
        began = loop.time()
        try:
            text = await part(visit)
        except HeadraceError:
            return
        pause = max(every_s, _SHARE * (loop.time() - began))
        known = sha256(text.encode()).digest()
        if known != sent:
            sent, spoke = known, loop.time()
            yield b"".join(b"data: " + line.encode() + b"\n" for line in text.splitlines()) + b"\n"
        elif loop.time() - spoke > _SILENCE_S:
            spoke = loop.time()
            yield b": still here\n\n"
        await asyncio.sleep(pause)
