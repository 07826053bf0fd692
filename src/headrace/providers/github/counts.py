"""How much there is in a list of GitHub's, for the price of one request: with one row a page, the number of the last
page is that of the rows.

Source: https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api. Lists that go by cursors
name no last page, and searches count no further than a thousand: of these nothing is told.
"""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from headrace.http import Response
from headrace.providers.github.lists import REFUSALS, Rowed, ends
from headrace.providers.github.places import LARGEST_PAGE
from headrace.providers.kit import Context, Counting, Total, Window
from headrace.providers.kit.pagers import linked, next_link
from headrace.providers.kit.rows import Body, decoded

_EMPTY = (409, 410, 451)


def counted(listed: Rowed, *between: str) -> Callable[[Context, Window], Counting]:
    """The count of `listed.whole(*between)`."""

    def count(ctx: Context, window: Window) -> Counting:
        one_a_page = (*ends(window, between), ("per_page", "1"))
        response = yield replace(listed.request(ctx.partition).with_query(*one_a_page), accept=REFUSALS)
        if response.status in _EMPTY:
            return Total.in_pages(0, LARGEST_PAGE)
        rows = _rows(listed, response) if response.status < 300 else None
        return None if rows is None else Total.in_pages(rows, LARGEST_PAGE)

    return count


def _rows(listed: Rowed, response: Response) -> int | None:
    header = response.headers.get("link", "")
    last = linked(header, "last")
    if last is not None:
        pages = parse_qs(urlsplit(last).query).get("page", [])
        return int(pages[0]) if len(pages) == 1 and pages[0].isdecimal() else None
    if next_link(header) is not None:
        return None
    return len(decoded(lambda: Body(listed.rows).read(response)).rows)
