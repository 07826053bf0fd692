"""/docs in a real browser: the whole reference, found by its address, and nothing from elsewhere."""

import httpx2

from browsers import a_page


async def test_the_reference_shows_every_route_and_loads_nothing_from_elsewhere(base_url: str) -> None:
    async with httpx2.AsyncClient() as http:
        paths = (await http.get(f"{base_url}/openapi.json")).json()["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    async with a_page() as page:
        await page.goto(f"{base_url}/docs")
        await page.wait_for_selector("article")
        titles = await page.locator("article h3").all_inner_texts()
        assert sorted(" ".join(title.split()) for title in titles) == sorted(routes)
        assert (await page.locator("nav h2").first.inner_text()).lower() == "streams"
        assert page.asked == [f"{base_url}/docs", f"{base_url}/openapi.json"]
        assert page.said == []


async def test_a_route_is_found_by_its_address_and_by_its_name(base_url: str) -> None:
    async with a_page(viewport={"width": 1200, "height": 800}) as page:
        await page.goto(f"{base_url}/docs#update_sync_v1_syncs__id__patch")
        title = page.locator("#update_sync_v1_syncs__id__patch h3")
        await title.wait_for()
        await page.wait_for_function("scrollY > 0")
        box = await title.bounding_box()
        assert 0 <= box["y"] < 800
        await page.get_by_label("Find a route").fill("dead-letters")
        shown = await page.locator("nav a:visible").all_inner_texts()
        assert len(shown) == 2
        assert all("dead-letters" in text for text in shown)
        assert page.said == []


async def test_an_answer_opens_to_its_fields_and_a_call_can_be_pasted(base_url: str) -> None:
    async with a_page() as page:
        await page.goto(f"{base_url}/docs")
        one = page.locator("#create_stream_v1_streams_post")
        await one.wait_for()
        assert """-d '{"slug":"…"}'""" in await one.locator("pre").inner_text()
        await one.locator("summary", has_text="200").click()
        await one.locator("details[open] code", has_text="event_days").wait_for()
        assert page.said == []
