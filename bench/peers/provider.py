"""The provider that every peer copies: the server of `headrace fake stripe` as a process of its own, and a hand on it.

`python -m bench.peers.provider CUSTOMERS INVOICES [--long]` serves it. Invoices have one line each, so that every
object fits on one page of its list; with `--long` they have up to 25, of which a list shows ten.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import orjson
import uvloop

from headrace.testing.stripe import StripeServer

COLLECTIONS = ("customers", "invoices")
VERSION = "2026-10-28.endive"
KEY = "sk_test_peers"


class Provider:
    """A provider that runs: what it holds, what was asked of it, and how it is changed."""

    def __init__(self, url: str, pid: int, http: httpx2.AsyncClient) -> None:
        self.url = url
        self.pid = pid
        self._http = http

    async def requests(self) -> int:
        """How many requests of the API there were so far, refused ones included."""
        answer = await self._asked("GET", "/_control/counts")
        return int(answer.json()["requests"])

    async def objects(self, collection: str) -> AsyncIterator[bytes]:
        """The whole JSON of every object, newest first."""
        async with self._http.stream("GET", f"{self.url}/_control/objects/{collection}") as answer:
            async for line in answer.aiter_lines():
                yield line.encode()

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Every event that its list shows, newest first."""
        asked = {"limit": "100"}
        while True:
            answer = await self._http.get(
                f"{self.url}/v1/events", params=asked, headers={"Authorization": f"Bearer {KEY}"}
            )
            answer.raise_for_status()
            page = answer.json()
            for event in page["data"]:
                yield event
            if not page["has_more"]:
                return
            asked["starting_after"] = page["data"][-1]["id"]

    async def first(self, collection: str, count: int = 100) -> AsyncIterator[bytes]:
        """The first of them."""
        async for raw in self.objects(collection):
            yield raw
            if (count := count - 1) <= 0:
                return

    async def update(self, collection: str, object_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Change an object as a person would; the object."""
        answer = await self._asked("POST", f"/_control/objects/{collection}/{object_id}", {"fields": dict(fields)})
        changed: dict[str, Any] = answer.json()
        return changed

    async def delete(self, collection: str, object_id: str) -> None:
        await self._asked("DELETE", f"/_control/objects/{collection}/{object_id}")

    async def misbehave(self, kind: str, **values: Any) -> None:
        """Let a fault stand."""
        await self._asked("POST", "/_control/faults", {"kind": kind, **values})

    async def behave(self, *, but: str) -> None:
        """Take all faults away but those of this kind."""
        standing = {fault["kind"] for fault in (await self._asked("GET", "/_control/faults")).json()}
        for kind in standing - {but}:
            await self._asked("DELETE", f"/_control/faults?kind={kind}")

    async def stir(self, changes_per_s: float) -> None:
        """So many changes a second from now on, of all kinds."""
        await self._asked("PUT", "/_control/mutator", {"changes_per_s": changes_per_s})

    async def register(self, url: str, events: Sequence[str]) -> str:
        """A webhook endpoint for these types of events; its secret."""
        form = {"url": url, "enabled_events[]": list(events)}
        answer = await self._http.post(
            f"{self.url}/v1/webhook_endpoints", data=form, headers={"Authorization": f"Bearer {KEY}"}
        )
        answer.raise_for_status()
        return str(answer.json()["secret"])

    async def _asked(self, method: str, path: str, said: Any = None) -> httpx2.Response:
        content = None if said is None else orjson.dumps(said)
        answer = await self._http.request(method, self.url + path, content=content)
        answer.raise_for_status()
        return answer


@asynccontextmanager
async def provider(customers: int, invoices: int, *, long: bool = False) -> AsyncIterator[Provider]:
    """A provider without limits, for the time of the block."""
    arguments = [str(customers), str(invoices), *(["--long"] if long else [])]
    command = [sys.executable, "-m", "bench.peers.provider", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        url = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
        async with httpx2.AsyncClient(timeout=600) as http:
            yield Provider(url, process.pid, http)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _serve(customers: int, invoices: int, long: bool) -> None:
    children = None if long else {"invoice_lines": (1,)}
    server = StripeServer({"customers": customers, "invoices": invoices}, children=children)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    # It ends with the process that has started it, however that ends: its standard input is then at its end.
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    async with server:
        print(server.base_url, flush=True)
        await ended.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.provider", description=__doc__)
    parser.add_argument("customers", type=int)
    parser.add_argument("invoices", type=int)
    parser.add_argument("--long", action="store_true")
    uvloop.run(_serve(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
