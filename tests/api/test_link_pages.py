"""The pages of the auth link in a real browser: they fit a phone, hide nothing from a screen reader, and say what
happens next.

With HEADRACE_TEST_SCREENSHOTS=FOLDER a picture of each page is kept, wide and narrow.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from callers import Caller

from browsers import a_page
from headrace.testing.oauth import AuthorizationServer

WIDTHS = (1280, 400)


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    async with a_page(viewport={"width": WIDTHS[0], "height": 900}) as page:
        yield page


async def begin(admin: Caller, server: AuthorizationServer, public: str, kind: str) -> str:
    """A link for an account of the kind that ends on our own page."""
    app = {"provider": kind.partition("_")[0], "name": "ours", "base_url": server.url}
    client = {"client_id": server.client_id, "client_secret": server.client_secret}
    made = await admin.ok("POST", "/v1/oauth-apps", {**app, **client})
    body = {"oauth_app_id": made["id"], "credential_kind": kind, "redirect_url": f"{public}/link/oauth2/connected"}
    url: str = (await admin.ok("POST", "/v1/credentials/start-auth", body))["start_url"]
    return url


async def looked_at(page: Any, name: str, next_steps: str = "What happens next") -> None:
    """axe finds nothing serious, no width cuts anything off, nothing came from elsewhere, and the steps are named."""
    axe = pytest.importorskip("axe_playwright_python.async_playwright", reason="no axe")
    assert await page.get_by_role("heading", level=1).count() == 1
    await page.get_by_role("heading", name=next_steps).wait_for()
    assert await page.get_by_role("listitem").count() >= 2
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 900})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        found = (await axe.Axe().run(page)).response["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == [], name
        if folder := os.environ.get("HEADRACE_TEST_SCREENSHOTS"):
            await page.screenshot(path=str(Path(folder) / f"link-{name}-{width}.png"), full_page=True)
    assert [line for line in page.said if "status of 4" not in line] == []


async def test_from_the_link_to_the_code(admin: Caller, server: AuthorizationServer, public: str, browser: Any) -> None:
    await browser.goto(await begin(admin, server, public, "shopify_oauth2"))
    await looked_at(browser, "asked")
    await browser.get_by_label("Shop").fill("example.com")
    await browser.get_by_role("button", name="Continue").click()
    await browser.get_by_text("does not look like one").wait_for()
    assert await browser.get_by_label("Shop").get_attribute("aria-invalid") == "true"
    await looked_at(browser, "asked-again")
    await browser.get_by_label("Shop").fill("acme.myshopify.com")
    await browser.get_by_role("button", name="Continue").click()
    onward = browser.get_by_role("link", name="Continue to Shopify")
    await onward.wait_for()
    await looked_at(browser, "onward")
    await onward.click()  # the provider says yes at once, and sends the browser back
    await browser.get_by_role("heading", name="The account is connected").wait_for()
    assert len(await browser.locator("pre").inner_text()) > 20
    await looked_at(browser, "connected")
    assert {url.split("/")[2] for url in browser.asked} == {public.split("/")[2], server.url.split("/")[2]}


async def test_two_things_that_must_be_known_are_asked_for_together(
    admin: Caller, server: AuthorizationServer, public: str, browser: Any
) -> None:
    await browser.goto(await begin(admin, server, public, "workday_oauth2"))
    await browser.get_by_label("Tenant").wait_for()
    await looked_at(browser, "asked-tenant")


async def test_an_owner_who_says_no_and_a_link_that_is_over(
    admin: Caller, server: AuthorizationServer, public: str, browser: Any
) -> None:
    server.denies = True
    link = await begin(admin, server, public, "airtable_oauth2")
    await browser.goto(link)
    await browser.get_by_text("The owner said no.").wait_for()
    await looked_at(browser, "refused", "What you can do")
    assert (await browser.goto(link)).status == 410
    await looked_at(browser, "over", "What you can do")
    await browser.goto(f"{public}/link/oauth2/connected")
    await browser.get_by_role("heading", name="Nothing was connected here").wait_for()
    await looked_at(browser, "nothing", "What you can do")


async def test_dark_pages_can_be_read_too(admin: Caller, server: AuthorizationServer, public: str) -> None:
    async with a_page(viewport={"width": WIDTHS[0], "height": 900}, color_scheme="dark") as page:
        await page.goto(await begin(admin, server, public, "shopify_oauth2"))
        await looked_at(page, "asked-dark")
