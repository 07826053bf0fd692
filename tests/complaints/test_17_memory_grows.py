"""Complaint 17: memory grows with every record that is read, until the process is killed."""

from uuid import uuid4

from processes import complete, empty_database, eventually, start_sync
from resident import resident_mb, told

from headrace.client import AsyncClient
from headrace.testing.faults import Fault
from headrace.testing.processes import ServeProcess
from headrace.testing.stripe import StripeServer

SETTINGS = {"limits_override": "none"}
RECORDS = 6_000
LARGE = Fault.of("huge", path="/v1/customers", bytes=30_000)
"""Together they are more than the process may have, and half of them more than it may grow by."""


@told
async def test_the_second_half_of_a_load_takes_no_more_memory_than_the_first(template_url: str) -> None:
    async with (
        StripeServer({"customers": RECORDS, "charges": 1}, faults=[LARGE]) as provider,
        empty_database(template_url) as url,
        ServeProcess(database_url=url, settings=SETTINGS) as server,
    ):
        await server.ready()
        async with AsyncClient(server.url, server.token) as api:
            sync = await start_sync(api, provider.base_url, f"account-{uuid4().hex[:8]}")

            async def halfway() -> bool:
                rows = await api.syncs.collections(sync["id"])
                return sum(row["records"] for row in rows) > RECORDS / 2

            await eventually(halfway)
            before = resident_mb(server.pid)
            await complete(api, sync)
            assert resident_mb(server.pid) < before + 40
            assert resident_mb(server.pid) < 250
