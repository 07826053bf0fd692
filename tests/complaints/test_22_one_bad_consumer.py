"""Complaint 22: one consumer that was stuck stopped all the others, and the reading too."""

from uuid import uuid4

from processes import complete, differences, empty_database, equal_in_the_end, start_sync

from headrace.client import AsyncClient
from headrace.testing.processes import ServeProcess
from headrace.testing.stripe import StripeServer


async def test_a_consumer_that_acks_nothing_holds_up_nobody(template_url: str) -> None:
    async with (
        StripeServer(400) as provider,
        empty_database(template_url) as url,
        ServeProcess(database_url=url, settings={"limits_override": "none"}) as server,
    ):
        await server.ready()
        async with AsyncClient(server.url, server.token) as api:
            sync = await start_sync(api, provider.base_url, f"account-{uuid4().hex[:8]}")
            stuck = await api.consumers.create(
                stream_id=sync["stream_id"], name="stuck", max_ack_pending=5, ack_wait_ms=600_000
            )
            well = await api.consumers.create(stream_id=sync["stream_id"], name="well")
            taken = await api.consumers.next(stuck["id"], 5, 10_000)
            assert len(taken["data"]) == 5
            await complete(api, sync)
            provider.account.create("customers", {"name": "Born while one is stuck"})
            await equal_in_the_end(api, sync, provider)
            given: dict[str, int] = {}
            while batch := (await api.consumers.next(well["id"], 500, 0))["data"]:
                given |= {each["record"]["id"]: each["record"]["updated_idx"] for each in batch}
                await api.consumers.ack(well["id"], [each["ack_token"] for each in batch])
            held = {each["id"]: each["updated_idx"] async for each in api.records.list(sync_id=sync["id"], limit=1000)}
            assert given == held
            assert (await api.consumers.next(stuck["id"], 5, 0))["data"] == []
            assert await differences(api, sync, provider) == {}
