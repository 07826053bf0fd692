"""Calls that wait: whoever hangs up, or may not call any more, waits no longer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from headrace.api.auth import identified
from headrace.api.brief import LIFE_S
from headrace.db.pool import AWAY
from headrace.errors import Unauthorized


@asynccontextmanager
async def watched(request: Request, *, waits: bool = True) -> AsyncIterator[asyncio.Event]:
    """An event that is set when the caller hangs up, or may not call any more: a call that waits must then claim
    nothing. Raises Unauthorized at the end when the token was revoked, or expired, meanwhile."""
    gone = asyncio.Event()
    if not waits:
        yield gone
        return
    request.scope["headrace.waited"] = True
    refused: list[Unauthorized] = []

    async def watch() -> None:
        while True:
            try:
                async with asyncio.timeout(LIFE_S):
                    if (await request.receive())["type"] == "http.disconnect":
                        break
            except TimeoutError:
                try:
                    await identified(request)
                except Unauthorized as error:
                    refused.append(error)
                    break
                except AWAY:
                    continue  # the call itself will meet it
        gone.set()

    watching = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        watching.cancel()
    if refused:
        raise refused[0]
