"""How the tests of the console enter it, and what they ask of every page that they come to.

With HEADRACE_TEST_SCREENSHOTS=FOLDER a picture of each is kept, wide and narrow.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from headrace.server import Running

TOKEN = "hr_console_token_for_tests"


async def enter(page: Any, served: Running) -> None:
    await page.goto(served.url + "/")
    await page.get_by_label("API token").fill(TOKEN)
    await page.get_by_role("button", name="Log in").click()


async def looked_at(page: Any, name: str) -> None:
    """No script failed, nothing came from elsewhere, axe finds nothing serious, and a phone shows it whole."""
    axe = pytest.importorskip("axe_playwright_python.async_playwright", reason="no axe")
    found = (await axe.Axe().run(page)).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    assert [line for line in page.said if "422" not in line] == []
    assert {url.split("/")[2] for url in page.asked} == {page.url.split("/")[2]}
    await picture(page, name)
    size = page.viewport_size
    await page.set_viewport_size({"width": 390, "height": 844})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await picture(page, f"{name}-narrow")
    await page.set_viewport_size(size)


async def picture(page: Any, name: str) -> None:
    folder = os.environ.get("HEADRACE_TEST_SCREENSHOTS")
    if folder:
        await page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)  # makes the folder
