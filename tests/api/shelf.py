"""A sync whose records the tests append themselves."""

from uuid import UUID

from headrace.api.services import Services
from headrace.stream.append import append
from headrace.stream.items import Batch, Canon, Delete, Fence, Record


class Shelf:
    """One sync of one stream; `put` and `remove` are appends as the engine makes them."""

    def __init__(self, services: Services, stream_id: UUID, sync_id: UUID) -> None:
        self.stream_id = stream_id
        self.sync_id = sync_id
        self._services = services

    async def put(self, id_: str, raw: bytes = b'{"a":1}', collection: str = "shop:order") -> None:
        now = self._services.db.clock.now()
        await self._append(Batch(records=[Record(collection, id_, raw, as_of=now, updated=now)]))

    async def put_many(self, count: int, size: int = 20) -> None:
        """`count` records whose data has about `size` bytes."""
        now = self._services.db.clock.now()
        raw = b'{"x":"%s"}' % (b"x" * size)
        await self._append(
            Batch(records=[Record("shop:order", f"ord_{number:06}", raw, as_of=now) for number in range(count)])
        )

    async def remove(self, id_: str, collection: str = "shop:order") -> None:
        await self._append(Batch(deletes=[Delete(collection, id_, as_of=self._services.db.clock.now())]))

    async def _append(self, batch: Batch) -> None:
        row = await self._services.db.api.fetchrow(
            "select epoch, revision from sync_epochs where stream_id = $1 and sync_id = $2",
            self.stream_id,
            self.sync_id,
        )
        assert row is not None
        fence = Fence(self.stream_id, self.sync_id, row["epoch"], row["revision"])
        canons = {f"shop:{name}": Canon() for name in ("order", "customer", "invoice")}
        await append(self._services.db, fence, batch, canons, self._services.db.clock.now())
        self._services.wakeups.appended(self.stream_id)
