"""Headrace itself: `headrace serve` with one sync into a stream."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from typing import Any

from bench.peers.ground import Ground
from bench.peers.peer import Peer
from bench.peers.program import busy_s
from bench.peers.rightness import Fields
from bench.stand import Stand
from headrace.client import AsyncClient, Sync
from headrace.testing.processes import ServeProcess

_IDS = {"customers": "stripe:customer", "invoices": "stripe:invoice"}


class Headrace(Peer):
    """It is started once, and goes on by itself; `start` again asks it to read everything again."""

    name = "Headrace"
    live = True

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._server: ServeProcess | None = None
        self._sync: Sync | None = None
        self._again = False

    @property
    def api_url(self) -> str:
        assert self._server is not None
        return self._server.url

    @property
    def token(self) -> str:
        assert self._server is not None
        return self._server.token

    @property
    def stream_id(self) -> str:
        assert self._sync is not None
        return self._sync["stream_id"]

    async def open(self) -> None:
        """Start the server, unless it runs."""
        if self._server is None:
            server = ServeProcess(database_url=self.ground.database_url, settings={"limits_override": "none"})
            await server.start()
            self._server = server
            await server.ready()
            self.api = AsyncClient(server.url, server.token, timeout=120)
            self._stand = Stand(self.ground.provider.url, server, self.api, self.ground.folder)

    async def start(self) -> None:
        await self.open()
        if self._sync is None:
            self._sync = await self._stand.sync({theirs: ours for ours, theirs in _IDS.items()})
        self._again = (await self.api.syncs.get(self._sync["id"]))["initial_backfill_completed_at"] is not None

    async def done(self) -> None:
        assert self._sync is not None
        if self._again:
            await self._stand.read_again(self._sync, await self._stand.count(self._sync))
        else:
            await self._stand.complete(self._sync)

    async def kill(self) -> None:
        if self._server is not None:
            await self.api.aclose()
            await self._server.kill()
            self._server = None

    def pids(self) -> Iterable[int]:
        return [] if self._server is None else [self._server.pid]

    def busy_s(self) -> float:
        return 0.0 if self._server is None else busy_s(self._server.pid)

    async def columns(self, collection: str) -> Collection[str] | None:
        return None

    async def rows(self, collection: str, ids: Sequence[str] | None = None) -> AsyncIterator[tuple[str, Fields]]:
        for wanted in [None] if ids is None else ids:
            asked: dict[str, Any] = {} if wanted is None else {"upstream_id": wanted}
            async for record in self.api.records.list(
                sync_id=self._sync["id"] if self._sync else None, collection_id=_IDS[collection], limit=1000, **asked
            ):
                if not record["deleted"]:
                    yield record["upstream_id"], record["data"]
