"""In a real browser: with the keyboard alone, and while the server goes away and comes back."""

from typing import Any

import pytest
from looking import TOKEN

from browsers import a_page
from headrace.client import AsyncClient
from headrace.server import Running
from headrace.testing.chaos import ChaosProxy

pytestmark = pytest.mark.slow

_FOCUSED = """() => {
  const at = document.activeElement, style = getComputedStyle(at);
  return {
    text: (at.labels?.[0]?.innerText || at.innerText || "").trim().split("\\n")[0],
    seen: at === document.body || style.outlineStyle !== "none" || style.boxShadow !== "none",
  };
}"""
_MOST_STOPS = 40


async def tab_to(page: Any, text: str) -> None:
    """On to the element that is called so; each stop on the way shows where one is."""
    for _ in range(_MOST_STOPS):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(_FOCUSED)
        assert focused["seen"], focused["text"]
        if focused["text"].startswith(text):
            return
    raise AssertionError(f"{text!r} is not reached by Tab")


async def test_everything_is_reached_with_the_keyboard(served: Running, api: AsyncClient) -> None:
    await api.streams.create(slug="main")
    async with a_page(viewport={"width": 1280, "height": 900}) as page:
        await page.goto(served.url + "/")
        await page.keyboard.type(TOKEN)  # the field has the focus
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Nothing is synced yet").wait_for()
        await tab_to(page, "Skip to the content")
        await page.keyboard.press("Enter")
        await tab_to(page, "Connect the first account")
        await page.goto(served.url + "/")
        await tab_to(page, "Consumers")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="A new consumer").wait_for()
        await tab_to(page, "Name")
        await page.keyboard.type("billing")
        await tab_to(page, "Make it")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="billing").wait_for()
        assert [each["name"] async for each in api.consumers.list()] == ["billing"]


async def test_a_page_follows_again_when_the_server_is_back(served: Running, api: AsyncClient) -> None:
    stream = await api.streams.create(slug="main")
    host, _, port = served.url.removeprefix("http://").partition(":")
    async with ChaosProxy(host, int(port)) as away, a_page() as page:
        await page.goto(f"http://{away.host}:{away.port}/consumers")
        await page.get_by_label("API token").fill(TOKEN)
        async with page.expect_response("**/consumers/live"):
            await page.get_by_role("button", name="Log in").click()
        failed: list[str] = []
        page.on("requestfailed", lambda request: failed.append(request.url))

        away.weather.refuse = True
        away.reset_all()
        await api.consumers.create(name="made meanwhile", stream_id=stream["id"])
        while len(failed) < 2:  # the stream that was cut, and a try that met nobody
            await page.wait_for_timeout(50)
        away.weather.refuse = False
        await page.get_by_role("link", name="made meanwhile").wait_for()
