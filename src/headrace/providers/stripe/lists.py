"""Stripe's lists: `{"object": "list", "data": […], "has_more": …, "url": …}`, newest first, at most 100 rows, paged by
`starting_after` (https://docs.stripe.com/api/pagination) and, where they take `created`, by time.

`has_more` is required in Stripe's OpenAPI description. A server that leaves it out says nothing of the end: there a
list goes on after a page that holds as many rows as were asked for.
"""

import math
from collections.abc import Generator
from dataclasses import replace
from typing import Any

from headrace.providers.kit import (
    EVERYTHING,
    Context,
    Cursor,
    Fault,
    Faulted,
    Paged,
    Query,
    Request,
    Response,
    Rows,
    Window,
)
from headrace.providers.kit.lists import Read
from headrace.providers.kit.pagers import LastId, stuck
from headrace.providers.kit.rows import Body, Picker, Raw, decoded
from headrace.providers.stripe.access import is_crash, is_gone

SIZE = ("limit", "100")
_BY_ID = LastId("starting_after", ("limit", 100), more="has_more")
_row = Picker(id=("id", Any), created=("created", Any))


def paged(path: str, limit_class: str, query: Query = (), *, windowed: bool = False, child: bool = False) -> Paged:
    """One of Stripe's lists. `windowed`: it takes `created[…]`. `child`: it is one that a parent has."""
    plain = Request(path, query=(*query, SIZE), limit_class=limit_class)
    if child:
        return _OfParent(plain)
    return _Windowed(plain) if windowed else Paged(plain, _BY_ID)


def filled_up(request: Request) -> Paged:
    """The list at the request's address, from its beginning, within a parent that may be gone."""
    return _OfParent(request.with_query(SIZE))


def created(window: Window) -> Query:
    """The window on Stripe's whole seconds, such that windows which meet leave no second out and share none."""
    bounds = (("created[gte]", window.lo), ("created[lt]", window.hi))
    return tuple((name, str(math.ceil(moment.timestamp()))) for name, moment in bounds if moment is not None)


class _OfParent(Paged):
    """A list that a parent has: where Stripe says that the parent is not there, it is empty and `gone`. Any other 404
    says nothing of the parent."""

    def __init__(self, plain: Request) -> None:
        super().__init__(replace(plain, accept=(404,), any_body=True), _BY_ID)

    def read(self, ctx: Context, window: Window, cursor: Cursor | None) -> Read:
        steps = super().read(ctx, window, cursor)
        response = yield next(steps)
        is_gone(response)
        try:
            steps.send(response)
        except StopIteration as end:
            read: Rows = end.value
            return read
        raise AssertionError("a page of a list takes one request")


class _Windowed(Paged):
    """A list within a window of `created`.

    A cursor within such a window was seen to lose the rest of its own second (stripe/sync-engine-fork, pull request
    378). So the next page is asked for by time, up to and including the second of the last row, and the rows of that
    second come twice. Where a whole page lies within one second, the rest of it is read by `starting_after`, outside
    any window.
    """

    def __init__(self, plain: Request) -> None:
        super().__init__(plain, _BY_ID)
        self._plain = plain
        self._list = Body("data", more="has_more")

    def read(self, ctx: Context, window: Window, cursor: Cursor | None) -> Read:
        if window == EVERYTHING:
            return (yield from super().read(ctx, window, cursor))
        place = cursor or {}
        response = yield self._asked(window, place)
        if response.status == 500:
            response = yield from self._once_more(response, window, place)
        answer = decoded(lambda: self._list.read(response))
        rows: list[Raw] = answer.rows
        more = answer.told["more"] if answer.told["more"] is not None else len(rows) >= int(SIZE[1])
        if not rows:
            if more:
                raise stuck("it says that more follows and shows no row to go on from")
            return Rows([], response.sent_at)
        first, (last, oldest) = _told(rows[0])[1], _told(rows[-1])
        if "timeless" in place or self._is_timeless(window, place, first, oldest):
            following = {"after": last, "timeless": True} if more else None
            return Rows([row for row in rows if _lies_in(window, row)], response.sent_at, following)
        least = -math.inf if window.lo is None else math.ceil(window.lo.timestamp())
        if oldest is not None and oldest < least:
            return Rows([row for row in rows if (_told(row)[1] or least) >= least], response.sent_at)
        if not more:
            return Rows(rows, response.sent_at)
        if first is None or oldest is None or first == oldest:
            return Rows(rows, response.sent_at, {"after": last})
        return Rows(rows, response.sent_at, {"until": oldest + 1})

    def _once_more(self, failed: Response, window: Window, cursor: Cursor) -> Generator[Request, Response, Response]:
        """The answer after one with status 500. A server that breaks down over the bounds twice, and not without them,
        cannot take them: then everything is to be asked for in place of the window."""
        asked = self._asked(window, cursor)
        if is_crash(failed):
            yield self._plain
            response = yield asked
            if is_crash(response):
                raise Faulted(Fault("bad", f"{asked.url} answers with status 500 where `created` is given"))
            if response.status < 300:
                return response
        return (yield replace(asked, accept=()))

    def _is_timeless(self, window: Window, cursor: Cursor, first: int | None, last: int | None) -> bool:
        """Whether the page shows that time leads nowhere in this list: the oldest come first, or bounds that were asked
        for are passed over. Stripe does neither; servers that stand in for it do, and then ids alone lead on."""
        if first is None or last is None:
            return False
        bounds = {} if "after" in cursor else dict(self._bounds(window, cursor))
        below, above = int(bounds.get("created[gte]", last)), int(bounds.get("created[lt]", first + 1))
        return first < last or last < below or first >= above

    def _asked(self, window: Window, cursor: Cursor) -> Request:
        if "after" in cursor:
            return self._plain.with_query(("starting_after", str(cursor["after"])))
        return replace(self._plain.with_query(*self._bounds(window, cursor)), accept=(500,), any_body=True)

    def _bounds(self, window: Window, cursor: Cursor) -> Query:
        bounds = dict(created(window))
        if "until" in cursor:
            bounds["created[lt]"] = str(cursor["until"])
        return tuple(bounds.items())


def _told(row: Raw) -> tuple[Any, int | None]:
    """The id and the birth of a row."""
    key, born = decoded(lambda: _row(row))
    return key, born if isinstance(born, int) else None


def _lies_in(window: Window, row: Raw) -> bool:
    """Whether the row was born in the window, or tells no birth."""
    born = _told(row)[1]
    bounds = {name: int(value) for name, value in created(window)}
    return born is None or bounds.get("created[gte]", born) <= born < bounds.get("created[lt]", born + 1)
