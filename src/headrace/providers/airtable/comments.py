"""The comments on the records of one table.

A comment moves neither its record's time of change nor the base's log, so all are read and compared. The list of
records tells how many comments each has (recordMetadata), so that only records with comments are asked for theirs.

Sources: https://airtable.com/developers/web/api (list comments, list records).
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from headrace.providers.airtable.places import BY_ID, SIZED, get, records, segment
from headrace.providers.airtable.shapes import KEY, MAYBE_TIME, OBJECT, OBJECTS, TEXT, TIME, shape
from headrace.providers.airtable.tables import Table
from headrace.providers.kit import (
    Context,
    Cursor,
    Fault,
    Faulted,
    Item,
    Paged,
    Record,
    Request,
    Response,
    Rows,
    Steps,
    Window,
    nested,
)
from headrace.providers.kit.rows import Picker, Raw, Reader, decoded

_count = Picker(count=("commentCount", Any))
_record = Reader("airtable:record")
SCOPE = "data.recordComments:read"


@dataclass(frozen=True)
class Comments:
    """The comments of a table, and the collection that they make."""

    VOLATILE: ClassVar[tuple[str, ...]] = (
        "attachments.url",
        "attachments.thumbnails.small.url",
        "attachments.thumbnails.large.url",
        "attachments.thumbnails.full.url",
    )

    collection: str
    base: str
    table: str
    primary: str | None

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.collection, created="createdTime", updated="lastUpdatedTime")

    def listing(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        """Along the table's records, without their cells but for the primary one."""
        query = [BY_ID, ("recordMetadata[]", "commentCount")]
        if self.primary is not None:
            query.append(("fields[]", self.primary))
        parents = Paged(records(self.base, self.table, *query), SIZED, "records")
        return nested(parents, _record.id_of, self._of, self._items, only=_commented)(ctx, window, cursor)

    def _of(self, record: str) -> Paged:
        return _OfRecord(Table(self.collection, self.base, self.table), record)

    def _items(self, ctx: Context, record: str, read: Rows) -> list[Item]:
        return [replace(self._reader(row, read.as_of), parent=record) for row in read.rows]


class _OfRecord(Paged):
    """The comments on one record. Of a record that is gone, Airtable says what it says of a scope that is missing."""

    def __init__(self, table: Table, record: str) -> None:
        path = f"{records(table.base, table.id).url}/{segment(record)}/comments"
        request = replace(get(path, table.base, accept=(403, 404)), any_body=True)
        super().__init__(request, SIZED, "comments")
        self._table = table
        self._record = record

    def read(self, ctx: Context, window: Window, cursor: Cursor | None) -> Generator[Request, Response, Rows]:
        read = yield from super().read(ctx, window, cursor)
        if read.gone and isinstance((yield from self._table.one(self._record)), Record):
            raise Faulted(Fault("permission", f"comments may not be read (scope {SCOPE})"))
        return read


def _commented(record: Raw) -> bool:
    """Whether a record may have comments: none are known to be there only where it says how many."""
    (count,) = decoded(lambda: _count(record))
    return count is None or count != 0


def schema() -> Mapping[str, Any]:
    """The JSON Schema of a comment."""
    return shape(
        "id",
        id=KEY,
        author=OBJECT,
        text=TEXT,
        createdTime=TIME,
        lastUpdatedTime=MAYBE_TIME,
        mentioned=OBJECT,
        parentCommentId=TEXT,
        reactions=OBJECTS,
        attachments=OBJECTS,
    )
