"""Lists: `{"data": [...], "next_cursor": null | "opaque"}`."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Query

from headrace.api.answers import Json
from headrace.errors import BadRequest

Row = TypeVar("Row")
MOST = 1000


def _own_id(row: Any) -> UUID:
    id_: UUID = row.id
    return id_


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is asked for: at most `limit` rows behind the row `after` (None: from the first). Ask the database for
    `limit + 1` rows: the one too many tells that there is a next page."""

    limit: int
    after: UUID | None

    def cut(self, rows: Sequence[Row], id_of: Callable[[Row], UUID] = _own_id) -> tuple[Sequence[Row], str | None]:
        """The rows of this page, and the cursor of the next one, None when there is none."""
        if len(rows) <= self.limit:
            return rows, None
        return rows[: self.limit], self.cursor(id_of(rows[self.limit - 1]))

    def cursor(self, last: UUID) -> str:
        """The cursor of the page behind the row with this id."""
        return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")

    def answer(self, rows: Sequence[Row], render: Callable[[Row], Any], id_of: Callable[[Row], UUID] = _own_id) -> Json:
        """The list of `rows`, which were asked for with `limit + 1`."""
        shown, next_cursor = self.cut(rows, id_of)
        return listed([render(row) for row in shown], next_cursor)


def listed(data: Sequence[Any], next_cursor: str | None = None) -> Json:
    return Json({"data": data, "next_cursor": next_cursor})


async def _page(
    limit: Annotated[int, Query(ge=1, le=MOST, description="At most so many.")] = MOST,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> Page:
    return Page(limit, None if cursor is None else _place(cursor))


Paging = Annotated[Page, Depends(_page)]


def _place(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise BadRequest(
            "The query parameter 'cursor' is none of ours: give the 'next_cursor' of the page before, or leave it out."
        ) from None
