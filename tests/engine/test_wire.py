"""One request on the wire is one request at the provider."""

import asyncio

import aiohttp
import pytest
from yarl import URL

from headrace.engine.wire import Wire
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
