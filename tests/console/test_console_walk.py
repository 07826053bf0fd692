"""In a real browser: from an empty installation to a message acked, and each action of a sync's page."""

from typing import Any

import pytest
from looking import enter, looked_at

from browsers import a_page
from headrace.client import AsyncClient
from headrace.server import Running
from headrace.testing.stripe import StripeServer

pytestmark = pytest.mark.slow


async def test_from_an_empty_installation_to_a_message_acked(served: Running, provider: StripeServer) -> None:
    async with a_page(viewport={"width": 1280, "height": 900}) as page:
        await enter(page, served)
        await page.get_by_role("heading", name="Nothing is synced yet").wait_for()
        await looked_at(page, "welcome")
        await page.get_by_role("link", name="Connect the first account").click()
        await looked_at(page, "connect")
        await page.get_by_role("link", name="Stripe").click()
        form = page.locator("details", has_text="stripe_key")
        await form.locator("[name='p.secret']").fill("wrong_key")
        await form.locator("[name='p.name']").fill("Acme")
        await form.locator("[name='p.base_url']").fill(provider.base_url)
        await form.get_by_role("button").click()
        await page.get_by_role("alert").wait_for()
        await looked_at(page, "connect-refused")
        assert "wrong_key" not in await page.content()
        await form.locator("[name='p.secret']").fill("sk_test_acme")
        await form.get_by_role("button").click()

        await page.get_by_role("heading", name="What to sync").wait_for()
        await page.get_by_label("Search").fill("stripe:cust")
        await page.get_by_label("All that are shown").check()
        await page.get_by_text("The first reading").wait_for()
        await looked_at(page, "connect-collections")
        await page.get_by_role("button", name="Make the sync").click()

        await page.get_by_role("heading", name="Collections").wait_for()
        held = page.locator("dt:text-is('Records') + dd")
        for _ in range(600):  # the page follows by itself
            if (await held.inner_text()).isdigit() and int(await held.inner_text()) > 0:
                break
            await page.wait_for_timeout(100)
        await page.locator("h1 .state.healthy").wait_for()
        await looked_at(page, "sync")

        await page.get_by_role("link", name="Consumers").click()
        await page.get_by_label("Name").fill("billing")
        await page.get_by_role("button", name="Make it").click()
        await page.get_by_role("spinbutton", name="Messages").fill("2")
        await page.get_by_role("button", name="Pull").click()
        await page.get_by_role("button", name="Ack", exact=True).wait_for()
        await looked_at(page, "consumer")
        before = await page.locator("dt:text-is('Pending') + dd").inner_text()
        await page.get_by_role("button", name="Ack", exact=True).click()
        await page.get_by_text("2 messages acked").wait_for()
        assert (await page.locator("dt:text-is('Out') + dd").inner_text()).startswith("0")
        assert await page.locator("dt:text-is('Pending') + dd").inner_text() == before


async def test_each_action_of_a_syncs_page(served: Running, api: AsyncClient, provider: StripeServer) -> None:
    stream = await api.streams.create(slug="main", event_days=3)
    sync = await api.syncs.create(
        name="Acme",
        provider="stripe",
        stream_id=stream["id"],
        collection_ids=["stripe:customer", "stripe:product"],
        credential={
            "properties": {
                "kind": "stripe_key", "name": "a", "secret": "sk_test_a", "test": True, "base_url": provider.base_url
            }
        },
    )  # fmt: skip

    async def shown(**wanted: Any) -> bool:
        held = await api.syncs.get(sync["id"])
        return all(held[name] == value for name, value in wanted.items())

    async with a_page(viewport={"width": 1280, "height": 900}) as page:
        page.set_default_timeout(5000)
        await enter(page, served)
        await page.get_by_role("link", name="Acme").click()
        await page.get_by_role("button", name="Pause").click()
        await page.get_by_text("The sync is paused").wait_for()
        assert await shown(status="disabled")
        await page.get_by_role("button", name="Resume").click()
        await page.get_by_text("goes on from where it was").wait_for()
        assert await shown(status="active")
        await page.get_by_role("button", name="Run now").click()
        await page.get_by_text("Changes are being read now").wait_for()
        await page.get_by_role("row", name="stripe:product").get_by_role("button", name="Read again").click()
        await page.get_by_text("stripe:product is read again").wait_for()
        await page.get_by_role("button", name="Read everything again").click()
        await page.get_by_text("Every collection is read again").wait_for()

        await page.get_by_role("link", name="Edit").click()
        await looked_at(page, "edit")
        await page.get_by_label("Name").fill("Acme Inc")
        await page.get_by_label("Only records younger than").fill("-1")
        await page.get_by_role("button", name="Show what this would do").click()
        await page.get_by_text("must be greater than 0").wait_for()
        await page.get_by_label("Only records younger than").fill("")
        await page.get_by_label("Requests", exact=True).fill("7")
        await page.get_by_label("stripe:product").uncheck()
        await page.get_by_role("button", name="Show what this would do").click()
        await page.get_by_role("heading", name="What this would do").wait_for()
        await looked_at(page, "plan")
        assert await shown(name="Acme")
        await page.get_by_role("button", name="Apply").click()
        await page.get_by_text("The change is in force").wait_for()
        assert await shown(name="Acme Inc", collection_ids=["stripe:customer"], max_age_days=None)
        assert (await api.syncs.get(sync["id"]))["rate_limit"]["allowed_requests"] == 7

        await page.get_by_role("link", name="Records", exact=True).click()
        await looked_at(page, "records")
        await page.locator("tbody th a").first.click()
        await page.get_by_role("heading", name="As it is").wait_for()
        await looked_at(page, "record")

        await page.goto(f"{served.url}/streams/{stream['id']}")
        made = provider.account.update("customers", next(iter(provider.account.ids("customers"))), {"name": "Live!"})
        await page.get_by_text("Live!").first.wait_for()  # the tail grows without a reload
        await looked_at(page, "stream")
        assert made["name"] == "Live!"

        await page.locator("a", has_text=made["id"]).first.click()
        await page.get_by_role("heading", name="History").wait_for()
        changed = page.locator(".history tr", has=page.get_by_role("rowheader", name="name", exact=True)).first
        assert await changed.locator("ins").inner_text() == "Live!"
        assert await changed.locator("del").inner_text() not in ("", "Live!")
        await looked_at(page, "record-changed")

        await page.goto(f"{served.url}/syncs/{sync['id']}")
        await page.get_by_text("Delete this sync").click()
        await page.get_by_label("Type the sync's name").fill("Acme")
        await page.get_by_role("button", name="Delete", exact=True).click()
        await page.get_by_text("Nothing was deleted").wait_for()
        await page.get_by_text("Delete this sync").click()
        await page.get_by_label("Type the sync's name").fill("Acme Inc")
        await page.get_by_role("button", name="Delete", exact=True).click()
        await page.get_by_text("is deleted, and its records are gone").wait_for()
        assert [each async for each in api.records.list(stream_id=stream["id"])] == []


async def test_the_other_pages(served: Running, api: AsyncClient) -> None:
    await api.streams.create(slug="main")
    async with a_page(viewport={"width": 1280, "height": 900}, color_scheme="dark") as page:
        await enter(page, served)
        for name in ("Connect", "Consumers", "Credentials", "OAuth apps", "Tokens", "Settings"):
            await page.get_by_role("link", name=name, exact=True).click()
            await page.locator("h1").wait_for()
            await looked_at(page, name.lower().replace(" ", "-"))
        await page.get_by_label("days").fill("5")
        await page.get_by_role("button", name="Set").click()
        await page.get_by_text("keeps its events").wait_for()
        assert [stream["event_days"] async for stream in api.streams.list()] == [5]

        await page.get_by_role("link", name="Tokens").click()
        await page.get_by_label("Name").fill("a worker")
        await page.get_by_label("read", exact=False).first.check()
        await page.get_by_role("button", name="Make it").click()
        token = await page.locator(".said.done code").inner_text()
        async with AsyncClient(served.url, token) as worker:
            assert [each async for each in worker.consumers.list()] == []
