"""From a request, a paginator and a reader of rows to a page function: what most listings are."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from headrace.errors import ImplementationError
from headrace.http import TOO_LARGE, Request, Response
from headrace.providers.kit.pagers import Halving, Moving, Pager
from headrace.providers.kit.readings import EVERYTHING, Context, Cursor, Page, PageFunction, Steps, Window
from headrace.providers.kit.rows import Body, Raw, decoded
from headrace.providers.kit.trail import Trail
from headrace.stream.items import Item


@dataclass(frozen=True, slots=True)
class Rows:
    """One page of a list: its rows as sent, the moment for which they speak, and the cursor of the next page. `gone`:
    the answer had a status that the request accepts beyond 2xx (the parent is not there any more)."""

    rows: list[Raw]
    as_of: datetime
    next: Cursor | None = None
    expected: int | None = None
    gone: bool = False


Read = Generator[Request, Response, Rows]
ReadItems = Callable[[Context, Rows], list[Item] | Generator[Request, Response, list[Item]]]
"""The items of a page. As a generator it may ask for more: the rest of a sub-list that came cut short."""


class Paged:
    """A list at the provider: the request that begins it, how it goes on, where its rows are.

    `expected` is the path of the number of all rows, where the provider tells it. A page whose answer is larger than is
    read is asked for in halves, where its paginator can.
    """

    def __init__(
        self,
        request: Callable[[Context, Window], Request] | Request,
        pager: Pager,
        rows: str | None = "data",
        expected: str | None = None,
    ) -> None:
        self._request = request
        self._pager = pager
        told = dict(pager.told)
        if expected is not None:
            told["expected"] = expected
        self._body = Body(rows, **told)

    def read(self, ctx: Context, window: Window, cursor: Cursor | None) -> Read:
        """One page of it."""
        begin = self._request if isinstance(self._request, Request) else self._request(ctx, window)
        request = self._pager.first(begin) if cursor is None else self._pager.next(begin, cursor)
        while True:
            half = self._pager.half(request, cursor) if isinstance(self._pager, Halving) else None
            response = yield request if half is None else replace(request, accept=(*request.accept, TOO_LARGE))
            if half is None or response.status != TOO_LARGE:
                break
            request = half
        if response.status >= 300:
            return Rows([], response.sent_at, gone=True)
        answer = decoded(lambda: self._body.read(response))
        expected = answer.told.get("expected")
        after = self._pager.after(request, response, answer)
        if after is not None and isinstance(self._pager, Moving):
            after = self._pager.onward(cursor, after, answer)
        return Rows(answer.rows, response.sent_at, after, expected if isinstance(expected, int) else None)

    def read_all(self, ctx: Context) -> Read:
        """All its rows, page after page, with the moment of the first page: for lists that are known to be short.
        Raises Faulted where it goes in circles."""
        trail = Trail()
        read = yield from self.read(ctx, EVERYTHING, None)
        rows, cursor = read.rows, read.next
        while cursor is not None:
            page = yield from self.read(ctx, EVERYTHING, trail.follow(cursor))
            rows, cursor = rows + page.rows, page.next
            if page.gone:
                return page
        return Rows(rows, read.as_of, gone=read.gone)


def pages(paged: Paged, items: ReadItems) -> PageFunction:
    """The page function of a list."""

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        read = yield from paged.read(ctx, window, cursor)
        made = yield from _items(items, ctx, read)
        return Page(made, next=read.next, expected=read.expected)

    return page


def _items(items: ReadItems, ctx: Context, read: Rows) -> Generator[Request, Response, list[Item]]:
    made = items(ctx, read)
    if isinstance(made, list):
        return made
    return (yield from made)


def joined(*functions: PageFunction) -> PageFunction:
    """Several lists that together are everything, read one after another (what is active, then what is not)."""
    if not functions:
        raise ImplementationError("no list at all cannot be read: give at least one page function")

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        which = 0 if cursor is None else cursor["list"]
        read = yield from functions[which](ctx, window, None if cursor is None else cursor.get("at"))
        if read.next is not None:
            read.next = {"list": which, "at": read.next}
        elif which + 1 < len(functions):
            read.next = {"list": which + 1}
        return read

    return page


def nested(
    parents: Paged,
    parent_id: Callable[[Raw], str],
    children: Callable[[str], Paged],
    items: Callable[[Context, str, Rows], list[Item]],
    requests: int = 25,
    only: Callable[[Raw], bool] = lambda row: True,
) -> PageFunction:
    """The page function of children that the provider lists per parent: along the parents' listing, parent by parent.

    One page reads children for at most `requests` requests; the next one begins at the parent, and within it at the
    page of children, where this one stopped, after asking for the parents' page again. If that parent has gone
    meanwhile, the parents' page is begun anew. The window applies to the parents. `only` are the parents whose rows
    do not rule out children.
    """
    if requests < 1:
        raise ImplementationError("a nested page that may ask for nothing never gets on: allow at least one request")

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        place: dict[str, Any] = cursor or {}
        above = yield from parents.read(ctx, window, place.get("parents"))
        ids = [parent_id(row) for row in above.rows if only(row)]
        first, at = 0, None
        if place.get("parent") in ids:
            first, at = ids.index(place["parent"]), place.get("children")
        made: list[Item] = []
        left = requests
        for parent in ids[first:]:
            if left == 0:
                return Page(made, next=_place(place, parent, None))
            paged = children(parent)
            while True:
                read = yield from paged.read(ctx, EVERYTHING, at)
                made += items(ctx, parent, read)
                at, left = read.next, left - 1
                if at is None:
                    break
                if left == 0:
                    return Page(made, next=_place(place, parent, at))
        return Page(made, next=None if above.next is None else {"parents": above.next})

    return page


def _place(place: Cursor, parent: str, children: Cursor | None) -> Cursor:
    """Where a nested reading goes on: the parents' page, the parent on it, the page of its children."""
    cursor: Cursor = {"parent": parent}
    if place.get("parents") is not None:
        cursor["parents"] = place["parents"]
    if children is not None:
        cursor["children"] = children
    return cursor
