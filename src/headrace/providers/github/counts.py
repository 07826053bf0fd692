"""How much there is in a list of GitHub's, for the price of one request: with one row a page, the number of the last
page is that of the rows.

Source: https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api. Lists that go by cursors
name no last page, and searches count no further than a thousand: of these nothing is told. Nor is it of servers that
send no Link header: GitHub sends none either where one page holds everything, which the second page tells.
"""

from collections.abc import Callable, Generator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from headrace.http import Request, Response
from headrace.providers.github.lists import REFUSALS, Rowed, ends
from headrace.providers.github.places import LARGEST_PAGE, UNASKED_PAGE
from headrace.providers.kit import Context, Counting, Total, Window
from headrace.providers.kit.pagers import linked
from headrace.providers.kit.rows import Body, decoded

_EMPTY = (409, 410, 451)


def counted(listed: Rowed, *between: str) -> Callable[[Context, Window], Counting]:
    """The count of `listed.whole(*between)`."""

    def count(ctx: Context, window: Window) -> Counting:
        one_a_page = (*ends(window, between), ("per_page", "1"))
        asked = replace(listed.request(ctx.partition).with_query(*one_a_page), accept=REFUSALS)
        response = yield asked
        if response.status in _EMPTY:
            return Total.in_pages(0, LARGEST_PAGE)
        if response.status >= 300:
            return None
        header = response.headers.get("link", "")
        rows = _last_page(header) if header else (yield from _unlinked(listed, asked, response))
        return None if rows is None else Total.in_pages(rows, LARGEST_PAGE)

    return count


def _last_page(header: str) -> int | None:
    pages = parse_qs(urlsplit(linked(header, "last") or "").query).get("page", [])
    return int(pages[0]) if len(pages) == 1 and pages[0].isdecimal() else None


def _unlinked(listed: Rowed, asked: Request, response: Response) -> Generator[Request, Response, int | None]:
    """The rows of a list that has one page as far as its headers say; None where there may be more."""
    body = Body(listed.rows)
    rows = len(decoded(lambda: body.read(response).rows))
    if rows in (LARGEST_PAGE, UNASKED_PAGE):
        return None
    if rows == 1 and listed.numbered:
        second = yield asked.with_query(("page", "2"))
        if second.status >= 300 or decoded(lambda: body.read(second).rows):
            return None
    return rows
