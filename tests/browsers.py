"""A real browser for the tests of pages: Chromium, as the system brings it, or as Playwright or `tools/browser` have
fetched it.

    async with a_page() as page:
        await page.goto(url)

Where neither is to be had the test is skipped, and says what would run it.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace"
_MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


@asynccontextmanager
async def a_page(**options: Any) -> AsyncIterator[Any]:
    """A page of a browser of its own, which ends with the block. `page.said` holds the errors that it has logged,
    `page.asked` the addresses that it has asked for."""
    api = pytest.importorskip("playwright.async_api", reason="no Playwright: pip install playwright")
    async with api.async_playwright() as playwright:
        found = _chromium(playwright)
        browser = await playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox"], env=_environment(found)
        )
        try:
            page = await browser.new_page(**options)
            page.said, page.asked = [], []
            page.on("pageerror", lambda error: page.said.append(str(error)))
            page.on("console", lambda line: page.said.append(line.text) if line.type == "error" else None)
            page.on("request", lambda request: page.asked.append(request.url))
            yield page
        finally:
            await browser.close()


def _chromium(playwright: Any) -> str:
    named = os.environ.get("HEADRACE_TEST_CHROMIUM")
    fetched = playwright.chromium.executable_path
    kept = sorted(_CACHE.glob("chromium-*/chromium"))
    for found in (named, *map(shutil.which, _NAMES), fetched, _MACOS, *map(str, reversed(kept))):
        if found and Path(found).exists():
            return str(found)
    pytest.skip("no browser: run tools/browser, which says what is missing")


def _environment(chromium: str) -> dict[str, str | float | bool]:
    """The fetched one brings the libraries that a bare system lacks."""
    libraries = Path(chromium).parent / "lib"
    if not Path(chromium).is_relative_to(_CACHE) or not libraries.exists():
        return dict(os.environ)
    return {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
