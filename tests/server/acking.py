"""A consumer's worker that acks everything and notes whatever breaks a promise, for tests that disturb processes."""

from headrace.client import AsyncClient, Record, RetryPolicy

PATIENT = RetryPolicy(attempts=1000, first_s=0.1, most_s=0.5)


class Reader:
    """A consumer's worker that acks everything, and notes whatever breaks a promise."""

    def __init__(self, api: AsyncClient, consumer_id: str) -> None:
        self._api = api
        self._consumer_id = consumer_id
        self._acked: dict[str, Record] = {}
        self.seen: dict[str, int] = {}
        self.broken: list[str] = []

    async def run(self) -> None:
        while True:
            batch = await self._api.consumers.next(self._consumer_id, 500, 0)
            if not batch["data"]:
                batch = await self._api.consumers.next(self._consumer_id, 1, 2_000)
            for delivery in batch["data"]:
                self._note(delivery["record"])
            if batch["data"]:
                await self._api.consumers.ack(self._consumer_id, [each["ack_token"] for each in batch["data"]])
            for delivery in batch["data"]:
                self._acked[delivery["record"]["id"]] = delivery["record"]

    def _note(self, record: Record) -> None:
        name, idx = record["id"], record["updated_idx"]
        if idx < self.seen.get(name, 0):
            self.broken.append(f"{name}: {idx} after {self.seen[name]}")
        acked = self._acked.get(name)
        if acked is not None and acked["data"] == record["data"] and acked["deleted"] == record["deleted"]:
            self.broken.append(f"{name}: {idx}, the same as {acked['updated_idx']}, whose ack was answered")
        self.seen[name] = idx

    async def missed(self, sync_id: str) -> set[str]:
        """The records whose latest state it has not been given."""
        held = {r["id"]: r["updated_idx"] async for r in self._api.records.list(sync_id=sync_id, limit=1000)}
        return {name for name, idx in held.items() if self.seen.get(name) != idx}
