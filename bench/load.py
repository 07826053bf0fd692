"""Workers that take messages and ack them over HTTP as fast as they are answered: a client that costs little, so that
the server is what is measured."""

import asyncio
import time
from urllib.parse import urlsplit

import msgspec

from bench.report import check


class _Message(msgspec.Struct):
    ack_token: str


class _Batch(msgspec.Struct):
    data: list[_Message]


class Connection:
    """One kept-alive connection, one request at a time."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = f"Host: {self._host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=1 << 26)

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        self._writer.write(f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 : head.index(b"\r\n", at)]) if at >= 0 else 0
        return status, await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


async def consume(url: str, token: str, consumer_id: str, batch: int, workers: int, seconds: float) -> float:
    """Messages acked a second, over so many seconds or until none is left. The run ends when a call is refused."""
    path = f"/v1/http-consumers/{consumer_id}"
    decoder = msgspec.json.Decoder(_Batch)
    asked = msgspec.json.encode({"batch_size": batch, "wait_for": 0})
    acked = 0
    began = time.perf_counter()
    until = began + seconds

    async def work() -> None:
        nonlocal acked
        connection = Connection(url, token)
        await connection.open()
        while time.perf_counter() < until:
            status, body = await connection.post(f"{path}/next", asked)
            check(status == 200, f"next answered {status}: {body[:200]!r}")
            tokens = [message.ack_token for message in decoder.decode(body).data]
            if not tokens:
                break
            status, body = await connection.post(f"{path}/ack", msgspec.json.encode({"ack_tokens": tokens}))
            check(status == 204, f"ack answered {status}: {body[:200]!r}")
            acked += len(tokens)
        connection.close()

    await asyncio.gather(*(work() for _ in range(workers)))
    return acked / (time.perf_counter() - began)
