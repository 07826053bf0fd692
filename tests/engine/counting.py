"""A server that notes when each request came."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from loopback import listening


@dataclass
class Counting:
    """`moments` are steady seconds, in order; `most_at_once` the most requests that were under way together."""

    url: str = ""
    moments: list[float] = field(default_factory=list)
    under_way: int = 0
    most_at_once: int = 0


@asynccontextmanager
async def counting(answer_after_s: float = 0.0) -> AsyncIterator[Counting]:
    count = Counting()

    async def handle(request: web.Request) -> web.Response:
        count.moments.append(time.monotonic())
        count.under_way += 1
        count.most_at_once = max(count.most_at_once, count.under_way)
        try:
            await asyncio.sleep(answer_after_s)
        finally:
            count.under_way -= 1
        return web.json_response({"data": []})

    async with listening(handle) as count.url:
        yield count
