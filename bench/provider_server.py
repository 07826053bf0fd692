"""The provider server itself, so that it is known not to be what a benchmark measures: objects served per second of one
core, out of ten million, and its memory.

python -m bench.provider_server [--quick] [--records 10000000]
"""

import asyncio
import socket
import time
from urllib.parse import urlsplit

import orjson
import psutil

from bench.report import check, figure
from bench.stand import busy_s, options
from headrace.testing.processes import FakeProcess

RECORDS = 10_000_000
PAGES = {"customers": 1000, "charges": 1000, "invoices": 500}
"""How many are read of so many records; of fewer, as many fewer."""


class Pager:
    """Pages through a list over one connection, with as little work of its own as can be."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port))

    def page(self, path: str) -> bytes:
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_test_bench\r\n\r\n".encode())
        held = bytearray()
        while (end := held.find(b"\r\n\r\n")) < 0:
            held += self._socket.recv(1 << 20)
        size = int(held[:end].partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        parts, missing = [bytes(held[end + 4 :])], size - (len(held) - end - 4)
        while missing:
            parts.append(self._socket.recv(min(missing, 1 << 20)))
            missing -= len(parts[-1])
        return b"".join(parts)

    def read(self, name: str, pages: int) -> tuple[int, int]:
        """(objects, bytes) of this many pages of a hundred."""
        objects = size = 0
        after = ""
        for _ in range(pages):
            body = self.page(f"/v1/{name}?limit=100{after}")
            rows = orjson.loads(body)["data"]
            objects += len(rows)
            size += len(body)
            after = f"&starting_after={rows[-1]['id']}"
        return objects, size


async def main() -> None:
    chosen = options(__doc__, RECORDS)
    async with FakeProcess("stripe", records=chosen.records, limits="none") as server:
        await server.ready()
        for name, most in PAGES.items():
            pages = max(1, most * chosen.records // RECORDS)
            busy, began = busy_s([server.pid]), time.perf_counter()
            objects, size = await asyncio.to_thread(Pager(server.url).read, name, pages)
            check(objects == pages * 100, f"{objects} {name} in {pages} pages")
            used = busy_s([server.pid]) - busy
            goal = 50_000 if name != "invoices" else None
            figure(f"{name} of {size // objects:,} bytes", objects / used, "per core s", at_least=goal)
            figure(f"{name}, with one reader on the same machine", objects / (time.perf_counter() - began), "objects/s")
        resident = psutil.Process(server.pid).memory_info().rss
        figure(f"memory with {chosen.records:,} objects", resident / 1e6, "MB", below=250)


if __name__ == "__main__":
    asyncio.run(main())
