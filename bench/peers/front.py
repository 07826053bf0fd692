"""HTTP before the queue in a table, answered as Headrace answers its consumers: so that both are measured from the same
place, by the same client.

`python -m bench.peers.front DATABASE_URL` serves it, with the server that Headrace has (uvicorn, uvloop, httptools).
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson
import uvicorn

from bench.peers.queues import ack, read

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_CONNECTIONS = 16
_JSON = [(b"content-type", b"application/json")]


class Front:
    """POST …/next {"batch_size": N}, and POST …/ack {"ack_tokens": […]}."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if self._pool is None:
            self._pool = await asyncpg.create_pool(self._dsn, min_size=_CONNECTIONS, max_size=_CONNECTIONS)
        said = orjson.loads(await _body(receive))
        async with self._pool.acquire() as conn:
            if scope["path"].endswith("/next"):
                rows = await read(conn, said["batch_size"])
                held = (f'{{"ack_token":"{row["id"]}","record":{row["message"]}}}' for row in rows)
                await _answer(send, 200, f'{{"data":[{",".join(held)}]}}'.encode())
            else:
                await ack(conn, [int(token) for token in said["ack_tokens"]])
                await _answer(send, 204, b"")


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body.extend(message.get("body", b""))
        if not message.get("more_body"):
            return bytes(body)


async def _answer(send: Send, status: int, body: bytes) -> None:
    length = [] if status == 204 else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*_JSON, *length]})
    await send({"type": "http.response.body", "body": body})


class _Announced(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"http://127.0.0.1:{port}", flush=True)


@asynccontextmanager
async def front(dsn: str) -> AsyncIterator[str]:
    """The front as a process of its own, for the time of the block; its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.peers.front", dsn, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
    finally:
        process.terminate()
        await process.wait()


def main() -> None:
    config = uvicorn.Config(
        Front(sys.argv[1]), host="127.0.0.1", port=0, loop="uvloop", http="httptools", lifespan="off", log_level="error"
    )
    _Announced(config).run()


if __name__ == "__main__":
    main()
