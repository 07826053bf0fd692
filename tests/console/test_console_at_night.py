"""In a real browser: what waits for a person's word is decided on its page."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from looking import enter, looked_at

from browsers import a_page
from headrace.client import AsyncClient
from headrace.ids import uuid7
from headrace.server import Running
from headrace.testing.stripe import StripeServer

pytestmark = pytest.mark.slow


@pytest.fixture
async def sync(api: AsyncClient, provider: StripeServer) -> dict[str, Any]:
    """Of customers, read whole."""
    stream = await api.streams.create(slug="main")
    properties = {
        "kind": "stripe_key", "name": "a", "secret": "sk_test_a", "test": True, "base_url": provider.base_url
    }  # fmt: skip
    made = await api.syncs.create(
        name="Acme",
        provider="stripe",
        stream_id=stream["id"],
        collection_ids=["stripe:customer"],
        credential={"properties": properties},
    )
    await api.syncs.wait(made["id"], timeout_ms=60_000)
    return dict(made)


async def test_deletes_that_are_held_back_go_through_when_confirmed(
    served: Running, api: AsyncClient, sync: dict[str, Any], dsn: str
) -> None:
    """Held by hand, as a sweep that misses so many would hold them."""
    gone = [each async for each in api.records.list(sync_id=sync["id"], limit=100)][:3]
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute(
            "insert into held_deletes (stream_id, sync_id, collection_id, sweep_id, held, record_ids, held_at) "
            "values ($1, $2, 'stripe:customer', $3, 30, $4, now())",
            UUID(sync["stream_id"]),
            UUID(sync["id"]),
            uuid7(),
            [UUID(each["id"]) for each in gone],
        )
    finally:
        await conn.close()
    async with a_page(viewport={"width": 1280, "height": 900}) as page:
        await enter(page, served)
        await page.get_by_role("link", name="Acme").click()
        await page.get_by_text("3 records of stripe:customer were not there any more").wait_for()
        await looked_at(page, "held")
        await page.get_by_role("button", name="Delete these 3").click()
        await page.get_by_text("3 deletes of stripe:customer went through").wait_for()
        await page.get_by_role("button", name="Delete these").wait_for(state="detached")
    assert all([(await api.records.get(each["id"]))["deleted"] for each in gone])


async def test_dead_letters_are_delivered_again_from_their_page(
    served: Running, api: AsyncClient, sync: dict[str, Any]
) -> None:
    consumer = await api.consumers.create(stream_id=sync["stream_id"], name="billing", max_deliver=1)
    [message] = (await api.consumers.next(consumer["id"], 1))["data"]
    await api.consumers.term(consumer["id"], [message["ack_token"]], "no such account")
    record = message["record"]
    async with a_page(viewport={"width": 1280, "height": 900}) as page:
        await enter(page, served)
        await page.goto(f"{served.url}/consumers/{consumer['id']}")
        await page.get_by_role("heading", name="Dead letters").wait_for()
        await page.get_by_role("link", name=record["upstream_id"]).wait_for()
        await page.get_by_text("no such account").wait_for()
        await looked_at(page, "dead-letters")
        await page.get_by_role("button", name="Deliver all again").click()
        await page.get_by_role("heading", name="Dead letters").wait_for(state="detached")
    again = await api.consumers.next(consumer["id"], 1000)
    assert record["id"] in {each["record"]["id"] for each in again["data"]}
