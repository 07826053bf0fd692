"""One request on the wire is one request at the provider, and an answer is bounded in size and time."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from yarl import URL

from headrace.engine.wire import MOST_BYTES, AnswerTooLarge, Wire
from headrace.http import Request

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"


async def test_a_request_over_a_kept_connection_that_breaks_is_not_sent_again_behind_our_back() -> None:
    """The second request on a connection is read, and the connection closed without an answer."""
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        writer.write(WHOLE)
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/things")
    wire = Wire()
    try:
        assert (await wire.send(Request("/things"), url, private=True)).body == b"{}"
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await wire.send(Request("/things"), url, private=True)
        assert requests == 2
    finally:
        await wire.close()
        server.close()


Serve = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def asked(serve: Serve, **spans: float) -> AsyncIterator[tuple[Wire, URL]]:
    """A wire, and the address of a server that answers so; a server that would go on for ever is told to stop."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await serve(writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    wire = Wire(**spans)
    try:
        yield wire, URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/things")
    finally:
        await wire.close()
        for task in tasks:
            task.cancel()
        server.close()


async def test_an_answer_that_unpacks_to_more_than_is_read_is_given_up() -> None:
    packed = gzip.compress(b"0" * (MOST_BYTES + 1), 9)
    assert len(packed) < MOST_BYTES // 100

    async def serve(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n"
        writer.write(head.encode() + packed)
        await writer.drain()

    async with asked(serve) as (wire, url):
        with pytest.raises(AnswerTooLarge):
            await wire.send(Request("/things"), url, private=True)


async def test_an_answer_that_never_ends_is_given_up() -> None:
    async def serve(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\n0\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with asked(serve) as (wire, url):
        with pytest.raises(TimeoutError):
            await wire.send(Request("/things"), url, private=True, total_s=0.5)
    async with asked(serve, total_s=0.5) as (wire, url):
        for total_s in (None, 60.0):
            with pytest.raises(TimeoutError):
                await wire.send(Request("/things"), url, private=True, total_s=total_s)


async def test_a_server_that_falls_silent_is_given_up() -> None:
    async def serve(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{")
        await writer.drain()
        await asyncio.Event().wait()

    async with asked(serve, quiet_s=0.5) as (wire, url):
        with pytest.raises(TimeoutError):
            await wire.send(Request("/things"), url, private=True)
