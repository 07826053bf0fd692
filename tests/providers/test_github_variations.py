"""Any answer that GitHub's documentation allows gives the same records.

The small server here is none of ours: it shows three issues, labels and runs in every form that the documentation
leaves open, or that servers which speak GitHub's language are known for, read over HTTP by the connector as it is.

Sources: https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api, "Best practices for using
the REST API" (redirects), https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from headrace.providers.github import GITHUB
from headrace.providers.kit import EVERYTHING, ChildSet, Record
from headrace.testing.driver import Driver
from headrace.testing.reader import Reader

ROWS = 75
BIG = 2**63 + 1_000
PARTITION = "7/the-mill/wheel"
WRAPPED = {"workflows": "workflows", "runs": "workflow_runs", "environments": "environments"}


@dataclass(frozen=True)
class Form:
    """How the server shows a list. `link` makes the header of a page that another follows, from that one's path with
    its query; `rows` how many a page holds, given what was asked for."""

    link: Callable[[str, str], str | None] = lambda host, path: f'<{host}{path}>; rel="next"'
    rows: Callable[[int], int] = lambda asked: asked
    headers: Mapping[str, str] = field(default_factory=dict)
    dress: Callable[[dict[str, Any]], dict[str, Any]] = lambda row: row
    order: int = 1
    wrap: Callable[[list[Any]], dict[str, Any]] = lambda rows: {"total_count": ROWS}
    moved: int | None = None


RATE = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4900", "X-RateLimit-Resource": "core"}
FORMS = {
    "as documented": Form(headers={**RATE, "X-RateLimit-Reset": "4102444800", "ETag": '"1"'}),
    "no header but Content-Type": Form(),
    "headers that are no numbers": Form(headers={"X-RateLimit-Remaining": "many", "X-RateLimit-Reset": "soon"}),
    "a Link without a host": Form(lambda host, path: f'<{path}>; rel="next"'),
    "a Link of a query alone": Form(lambda host, path: f'<?{path.partition("?")[2]}>; rel="next"'),
    "rel without quotes": Form(lambda host, path: f"<{host}{path}>; rel=next"),
    "rel in capitals": Form(lambda host, path: f'<{host}{path}>; REL="Next"'),
    "many links": Form(
        lambda host, path: (
            f'<{host}/x?page=1>; rel="first", <{host}{path}>; rel="next"; title="a, b", <{host}/y>; rel="last"'
        )
    ),
    "parameters before rel": Form(lambda host, path: f'<{host}{path}>; title="next; rel=prev"; rel="next"'),
    "parameters of its own": Form(lambda host, path: f'<{host}{path}&token=a%2Bb%3D&flag=>; rel="next"'),
    "a Link to another host": Form(lambda host, path: f'<https://api.example.com{path}>; rel="next"'),
    "per_page not heeded": Form(rows=lambda asked: 30),
    "per_page not heeded, no Link": Form(lambda host, path: None, rows=lambda asked: 30),
    "no Link": Form(lambda host, path: None),
    "fewer rows a page than asked for": Form(rows=lambda asked: min(asked, 10)),
    "no pages at all": Form(lambda host, path: None, rows=lambda asked: ROWS),
    "another order": Form(order=-1),
    "unknown fields": Form(
        dress=lambda row: {**row, "x": {"y": [1, None, {"z": 1.5}]}, "performed_via_github_app": None}
    ),
    "fields that are null": Form(dress=lambda row: {**row, "created_at": None, "closed_at": None, "milestone": None}),
    "optional fields that are missing": Form(
        dress=lambda row: {name: value for name, value in row.items() if name in ("id", "number", "url", "updated_at")}
    ),
    "times with fractions and an offset": Form(
        dress=lambda row: {**row, "updated_at": row["updated_at"].replace("Z", ".000+00:00")}
    ),
    "total_count that is wrong": Form(wrap=lambda rows: {"total_count": len(rows)}),
    "total_count that is missing": Form(wrap=lambda rows: {}),
    **{f"moved by {status}": Form(moved=status) for status in (301, 302, 307, 308)},
}


def row(number: int) -> dict[str, Any]:
    return {
        "id": BIG + number,
        "number": number,
        "url": f"https://api.github.com/repos/the-mill/wheel/issues/{number}",
        "name": f"n{number}",
        "title": "Wheel",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z",
    }


@asynccontextmanager
async def shown(form: Form) -> AsyncIterator[str]:
    """The address of a server that shows its lists in this form."""

    async def answer(request: web.Request) -> web.Response:
        host = f"http://{request.host}"
        if form.moved is not None and request.path.startswith("/repos/"):
            there = request.path_qs.replace("/repos/the-mill/wheel", "/repositories/7")
            return web.Response(status=form.moved, headers={"Location": host + there})
        query = dict(request.query)
        size, page = form.rows(int(query.get("per_page", 30))), int(query.get("page", 1))
        rows = [row(number) for number in range(ROWS)][:: form.order]
        if "since" in query:
            rows = [each for each in rows if each["updated_at"] >= query["since"]]
        if size >= ROWS:
            page = 1
        part = [form.dress(each) for each in rows[(page - 1) * size : page * size]]
        headers = dict(form.headers)
        if page * size < len(rows):
            pairs = "&".join(f"{name}={value}" for name, value in {**query, "page": page + 1}.items())
            link = form.link(host, f"{request.path}?{pairs}")
            headers |= {} if link is None else {"Link": link}
        name = WRAPPED.get(request.path.rpartition("/")[2])
        return web.json_response(part if name is None else {**form.wrap(part), name: part}, headers=headers)

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def read(base_url: str, key: str) -> set[str]:
    properties = {"token": "ghp_headraceTests", "base_url": base_url}
    async with Driver(GITHUB, "github_token", properties, tries=2) as driver:
        listing = Reader(driver, [key]).collection(key).listing
        assert listing is not None
        found: set[str] = set()
        cursor = None
        for _ in range(50):
            page = await driver.page(listing.page, [key], EVERYTHING, cursor, PARTITION)
            found |= {item.id for item in page.items if isinstance(item, Record)}
            cursor = page.next
            if cursor is None:
                return found
    raise AssertionError(f"the list of {key} does not end: {cursor}")


async def watched(base_url: str, key: str) -> set[str]:
    """What the feed of short lists says is all of the list; without validators it shows the rows alone."""
    async with Driver(GITHUB, "github_token", {"token": "ghp_headraceTests", "base_url": base_url}, tries=2) as driver:
        token = {"round": 1, "tags": {}, "left": [PARTITION]}
        page = await driver.page(GITHUB.feeds[0].page, [key], EVERYTHING, token)
    read = {item.id for item in page.items if isinstance(item, Record)}
    assert all(item.ids == read for item in page.items if isinstance(item, ChildSet))
    return read


EVERY = {str(BIG + number) for number in range(ROWS)}


@pytest.mark.parametrize("name", FORMS)
async def test_any_documented_form_of_a_list_gives_the_same_records(name: str) -> None:
    async with shown(FORMS[name]) as base_url:
        for key in ("github:issue", "github:pull_request", "github:label", "github:workflow", "github:workflow_run"):
            assert await read(base_url, key) == EVERY, key
        for key in ("github:label", "github:workflow"):
            assert await watched(base_url, key) == EVERY, key
