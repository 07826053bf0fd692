"""Paginators that count: by offset and by the number of the page. Their verbs are those of `pagers`.

Nothing of an answer says that the count was heeded. A server that passes over it shows the same page for ever, or until
a total is reached of which most was never shown: so their cursors keep a mark of what the page before showed, and the
third page in a row with the same rows is a transient fault. (The second may be one that was pushed on meanwhile.)
"""

from collections.abc import Mapping
from typing import Literal

import xxhash

from headrace.errors import ImplementationError
from headrace.http import Request, Response
from headrace.providers.kit.pagers import Sized, stuck
from headrace.providers.kit.readings import Cursor
from headrace.providers.kit.rows import Answer, Path

_MOST_ALIKE = 2


class Counted(Sized):
    """What offsets and page numbers share: when to stop.

    `end` is `short` where a page with fewer rows than asked for is the last, or `empty` where only a page without rows
    is (some providers filter after they have cut the page). `more` is a field that says whether more follows, `total`
    one with the number of all rows.
    """

    def __init__(
        self,
        param: str,
        size: tuple[str, int],
        first: int,
        end: Literal["short", "empty"] | None,
        more: Path | None,
        total: Path | None,
    ) -> None:
        if end is None and more is None and total is None:
            raise ImplementationError(f"paging by '{param}' could never stop: say how its end is known")
        told = {"more": more, "total": total}
        self.told: Mapping[str, Path] = {name: where for name, where in told.items() if where is not None}
        self._param, self._first, self._end = param, first, end
        super().__init__(size)

    def first(self, request: Request) -> Request:
        return self._at(self._in_size(request, None), self._first)

    def next(self, request: Request, cursor: Cursor) -> Request:
        return self._at(self._in_size(request, cursor), cursor["at"])

    def onward(self, before: Cursor | None, after: Cursor, answer: Answer) -> Cursor:
        """`after`, with the mark of this page and how many before it in a row showed the same rows."""
        shown = xxhash.xxh3_64_hexdigest(b"".join(map(bytes, answer.rows)))
        alike = before.get("alike", 0) + 1 if before is not None and before.get("shown") == shown else 0
        if alike >= _MOST_ALIKE:
            raise stuck(f"it passes over '{self._param}', and showed the same rows in three pages one after another")
        return {**after, "shown": shown, "alike": alike}

    def _at(self, request: Request, place: int) -> Request:
        return request.with_query((self._param, str(place)))

    def _place(self, request: Request) -> int:
        return int(dict(request.query)[self._param])

    def _after(self, request: Request, answer: Answer, step: int) -> Cursor | None:
        if self._over(request, answer):
            return None
        place = self._place(request) + step
        total = answer.told.get("total")
        over = total is not None and place - self._first >= int(total)
        return None if over else self._keeping(request, {"at": place})

    def _over(self, request: Request, answer: Answer) -> bool:
        if "more" in self.told:
            if answer.told["more"] and not answer.rows:
                raise stuck("it says that more follows and shows no row")
            return not answer.told["more"]
        if not answer.rows:
            return True
        return self._end == "short" and len(answer.rows) < self._asked(request)


class Offset(Counted):
    """`offset` and `limit`, beginning at `first` (0 or 1) and going on by the size asked for. The end: see `Counted`.

    Rows that move while a list is read slip over page edges: such a `Listing` declares `moves`.
    """

    def __init__(
        self,
        size: tuple[str, int],
        param: str = "offset",
        *,
        first: int = 0,
        end: Literal["short", "empty"] | None = None,
        more: Path | None = None,
        total: Path | None = None,
    ) -> None:
        super().__init__(param, size, first, end, more, total)

    def after(self, request: Request, response: Response, answer: Answer) -> Cursor | None:
        return self._after(request, answer, self._asked(request))


class PageNumber(Counted):
    """`page` and `per_page`, beginning at `first` (0 or 1). `pages` is the field with their number. See
    `Counted` for the end."""

    def __init__(
        self,
        size: tuple[str, int],
        param: str = "page",
        *,
        first: int = 1,
        end: Literal["short", "empty"] | None = None,
        more: Path | None = None,
        pages: Path | None = None,
    ) -> None:
        super().__init__(param, size, first, end, more, pages)

    def half(self, request: Request, cursor: Cursor | None) -> Request | None:
        """Numbers count pages of the size asked for. Where their number is known it is that of whole pages."""
        smaller = None if "total" in self.told or self._asked(request) % 2 else super().half(request, cursor)
        return None if smaller is None else self._at(smaller, self._first + 2 * (self._place(request) - self._first))

    def after(self, request: Request, response: Response, answer: Answer) -> Cursor | None:
        return self._after(request, answer, 1)
