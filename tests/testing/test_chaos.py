"""The proxy makes a connection as bad as asked, and no worse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic

import pytest

from headrace.testing.chaos import ChaosProxy


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[ChaosProxy]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with ChaosProxy("127.0.0.1", server.sockets[0].getsockname()[1], seed=1) as made:
        yield made
    server.close()
    await server.wait_closed()


async def _say(proxy: ChaosProxy, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def test_in_calm_everything_passes(proxy: ChaosProxy) -> None:
    data = bytes(range(256)) * 4000
    assert await _say(proxy, data) == data
    assert await asyncio.gather(*(_say(proxy, b"%d" % n) for n in range(20))) == [b"%d" % n for n in range(20)]


async def test_latency_is_added_each_way(proxy: ChaosProxy) -> None:
    proxy.weather.latency_s = 0.1
    began = monotonic()
    assert await _say(proxy, b"slowly") == b"slowly"
    assert monotonic() - began >= 0.2


async def test_connections_are_reset(proxy: ChaosProxy) -> None:
    proxy.weather.reset = 1.0
    with pytest.raises(ConnectionResetError):
        await _say(proxy, b"lost")
    proxy.weather.reset = 0.0
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    writer.write(b"a")
    assert await reader.read(1) == b"a"
    proxy.reset_all()
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    writer.close()


async def test_new_connections_are_refused(proxy: ChaosProxy) -> None:
    proxy.weather.refuse = True
    with pytest.raises(ConnectionResetError):
        await _say(proxy, b"lost")
    proxy.weather.refuse = False
    assert await _say(proxy, b"found") == b"found"


async def test_answers_are_cut_short(proxy: ChaosProxy) -> None:
    proxy.weather.cut_after = 5
    assert await _say(proxy, b"truncated") == b"trunc"


async def test_a_half_open_connection_says_nothing_until_it_clears(proxy: ChaosProxy) -> None:
    proxy.weather.stalled = True
    waiting = asyncio.create_task(_say(proxy, b"late"))
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done
    proxy.weather.stalled = False
    assert await asyncio.wait_for(waiting, 60) == b"late"


async def test_a_dead_target_resets() -> None:
    async with ChaosProxy("127.0.0.1", 1) as made:
        with pytest.raises(ConnectionResetError):
            await _say(made, b"lost")
