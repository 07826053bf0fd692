"""HTTP/1.1 over asyncio, as thin as it can be: parse with httptools, hand over a Call, write the Reply.

A provider server must never be what a benchmark measures. aiohttp and uvicorn spend more time on a request than the
rendering of a page of a hundred objects takes; here a request costs a parse, a function call and a write. Calls of one
connection are answered in order, one at a time.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import cast

import httptools

from headrace.testing.exchange import Call, Reply

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """One client's connection. `answer` is called with each Call; `date` gives the Date header."""

    def __init__(self, answer: Callable[[Call], Reply], date: Callable[[], str], alive: "set[Connection]") -> None:
        self._answer = answer
        self._date = date
        self._alive = alive
        self._parser = httptools.HttpRequestParser(self)
        self._calls: deque[tuple[Call, bool]] = deque()
        self._busy = False
        self._paused = False
        self._pieces: Iterator[bytes] | None = None
        self._keep = True
        self._timer: asyncio.TimerHandle | None = None
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    # The transport's callbacks.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._alive.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._alive.discard(self)
        self._calls.clear()
        self._pieces = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self._transport.close()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._pieces is not None:
            self._pump()
        else:
            self._next()

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        self._begin()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        path, _, query = self._url.decode("latin-1").partition("?")
        method = self._parser.get_method().decode()
        call = Call(method, path, query, self._headers, b"".join(self._body))
        self._calls.append((call, self._parser.should_keep_alive()))
        self._next()

    # Answering.

    def _next(self) -> None:
        while self._calls and not self._busy and not self._paused and not self._transport.is_closing():
            call, self._keep = self._calls.popleft()
            reply = self._answer(call)
            if reply.never:
                self._busy = True
            elif reply.delay_s > 0:
                self._busy = True
                self._timer = asyncio.get_running_loop().call_later(reply.delay_s, self._later, reply)
            else:
                self._send(reply)

    def _later(self, reply: Reply) -> None:
        self._busy = False
        self._timer = None
        self._send(reply)
        self._next()

    def _send(self, reply: Reply) -> None:
        if isinstance(reply.body, bytes):
            head = self._head(reply, f"Content-Length: {len(reply.body)}")
            if reply.cut_at is not None:
                self._cut(head + reply.body[: reply.cut_at] if reply.cut_at else b"", reply.reset)
                return
            self._transport.writelines((head, reply.body))
            self._done()
        else:
            self._transport.write(self._head(reply, "Transfer-Encoding: chunked"))
            self._pieces = reply.body
            self._busy = True
            self._pump()

    def _head(self, reply: Reply, length: str) -> bytes:
        lines = [f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Unknown')}", f"Date: {self._date()}"]
        lines += [f"Content-Type: {reply.content_type}", length]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        if not self._keep:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _cut(self, data: bytes, reset: bool) -> None:
        """Send what is to arrive and break off. A reset discards what the kernel has not sent: RST, not FIN."""
        if data:
            self._transport.write(data)
        sock = cast(socket.socket | None, self._transport.get_extra_info("socket"))
        if reset and sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()
        else:
            self._transport.close()

    def _pump(self) -> None:
        """Write pieces until the client is slow, giving the loop a turn after each."""
        if self._pieces is None or self._transport.is_closing() or self._paused:
            return
        piece = next(self._pieces, None)
        if piece is None:
            self._pieces = None
            self._busy = False
            self._transport.write(b"0\r\n\r\n")
            self._done()
            self._next()
            return
        if piece:
            self._transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n"))
        asyncio.get_running_loop().call_soon(self._pump)

    def _done(self) -> None:
        if not self._keep:
            self._transport.close()

    def end(self) -> None:
        """Break the connection off, for a server that stops."""
        self._transport.abort()
