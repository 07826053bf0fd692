"""A TCP proxy that makes a connection as bad as asked: between Headrace and its database, a provider, a consumer."""

import asyncio
import random
import socket
import struct
from dataclasses import dataclass
from typing import Self

_RESET = struct.pack("ii", 1, 0)
_CHUNK = 65536


@dataclass(slots=True)
class Weather:
    """How bad it is. May be changed at any time; it holds for what passes from then on.

    `latency_s` delays every chunk, `jitter_s` adds up to that much more. `reset` is the probability, at each chunk,
    that both sides are reset. `stalled` lets nothing through and tells nobody: a half-open connection. `cut_after` ends
    a connection in order after that many bytes towards the client: a truncated answer. `refuse` resets new connections.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    reset: float = 0.0
    stalled: bool = False
    cut_after: int | None = None
    refuse: bool = False


class ChaosProxy:
    """Listens on loopback (`host`, `port`) and passes on to `to_host`:`to_port`. The same seed throws the same dice."""

    def __init__(self, to_host: str, to_port: int, *, seed: int = 0, host: str = "127.0.0.1", port: int = 0) -> None:
        self.weather = Weather()
        self.host = host
        self.port = port
        self._to = (to_host, to_port)
        self._dice = random.Random(seed)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.reset_all()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def reset_all(self) -> None:
        """Reset every connection that is open."""
        for writer in tuple(self._writers):
            _reset(writer)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.weather.refuse:
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._to)
        except OSError:
            _reset(writer)
            return
        both = {writer, far_writer}
        self._writers |= both
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, far_writer, both, answering=False))
                group.create_task(self._pass_on(far_reader, writer, both, answering=True))
        except* (OSError, ConnectionError):
            pass
        finally:
            self._writers -= both
            for each in both:
                each.close()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        both: set[asyncio.StreamWriter],
        *,
        answering: bool,
    ) -> None:
        """Chunks from one side to the other, towards the client when `answering`; `both` are the two sides' writers."""
        passed = 0
        while chunk := await reader.read(_CHUNK):
            weather = self.weather
            if weather.latency_s or weather.jitter_s:
                await asyncio.sleep(weather.latency_s + self._dice.random() * weather.jitter_s)
            while self.weather.stalled:  # noqa: ASYNC110 - the weather is plain data, changed by whoever tests
                await asyncio.sleep(0.02)
            if weather.reset and self._dice.random() < weather.reset:
                for each in both:
                    _reset(each)
                raise ConnectionResetError
            if answering and weather.cut_after is not None and passed + len(chunk) > weather.cut_after:
                writer.write(chunk[: max(0, weather.cut_after - passed)])
                await writer.drain()
                raise ConnectionAbortedError
            passed += len(chunk)
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End with RST: what is under way is lost on both sides."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
