"""Complaint 21: metrics are missing, or have to be paid for."""

from uuid import uuid4

import httpx2
from processes import complete, empty_database, eventually, start_sync
from prometheus_client.parser import text_string_to_metric_families

from headrace.client import AsyncClient
from headrace.testing.processes import ServeProcess
from headrace.testing.stripe import StripeServer


async def test_what_is_read_how_late_it_is_and_what_fails_is_told_to_anyone_who_asks(template_url: str) -> None:
    async with (
        StripeServer(300) as provider,
        empty_database(template_url) as url,
        ServeProcess(database_url=url, settings={"limits_override": "none"}) as server,
        httpx2.AsyncClient() as browser,
    ):
        await server.ready()
        async with AsyncClient(server.url, server.token) as api:
            sync = await start_sync(api, provider.base_url, f"account-{uuid4().hex[:8]}")
            await complete(api, sync)
            held = sum([1 async for _ in api.records.list(sync_id=sync["id"], limit=1000)])

        async def figures() -> dict[str, float]:
            text = (await browser.get(f"{server.url}/metrics")).text
            samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
            return {" ".join([each.name, *sorted(each.labels.values())]): each.value for each in samples}

        async def told() -> bool:
            shown = await figures()
            return shown.get("headrace_syncs healthy") == 1 and "headrace_read_lag_seconds stripe" in shown

        await eventually(told)
        shown = await figures()
        assert shown["headrace_records_appended_total created stripe"] == held
        assert shown["headrace_requests_total ok stripe"] >= 4
        assert 0 <= shown["headrace_read_lag_seconds stripe"] < 120
