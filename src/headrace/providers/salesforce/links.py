"""ContentDocumentLink: which files hang at which records. It is refused without a filter by ids, so it is read along
the files: the links of two hundred files cost one query.

Source: https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference (ContentDocumentLink).
"""

from collections.abc import Generator, Sequence

from headrace.providers.kit import (
    ChildSet,
    Context,
    Cursor,
    Item,
    Mention,
    Page,
    Record,
    Request,
    Response,
    Steps,
    Window,
)
from headrace.providers.kit.rows import Picker, decoded
from headrace.providers.salesforce import soql
from headrace.providers.salesforce.describe import Shape
from headrace.providers.salesforce.objects import Read, SObject

LINK = "ContentDocumentLink"
FILE = "ContentDocument"
FILES = 200
"""Files whose links one query asks for: their ids fit into the URI beside the fields."""

_id = Picker(id=("Id", str))
_file = Picker(file=("ContentDocumentId", str))


class Links:
    """The readings of the links."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._link = SObject(shape)
        self._files = SObject(Shape(FILE, (("Id", "id"),), updated=None, created=None))

    def listing(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        """The links of some files, along the ids of all files."""
        after = (f"Id > {soql.text(cursor['id'])}",) if cursor else ()
        above = yield from self._files.read(ctx, soql.Query(FILE, after, ("Id",), FILES))
        keys = [decoded(lambda row=row: _id(row))[0] for row in above.rows]  # type: ignore[misc]
        if not keys:
            return Page()
        items, _ = yield from self._below(ctx, keys)
        return Page(items, next={"id": keys[-1]})

    def again(self, ctx: Context, parent: Record, cursor: Cursor | None) -> Steps:
        """The links of one file, which are all that it has."""
        items, read = yield from self._below(ctx, [parent.id])
        there = frozenset(item.id for item in items if isinstance(item, Record | Mention))
        return Page([*items, ChildSet(self._shape.collection, parent.id, there, read.as_of)])

    def _below(self, ctx: Context, files: Sequence[str]) -> Generator[Request, Response, tuple[list[Item], Read]]:
        listed = ",".join(map(soql.text, files))
        read = yield from self._link.whole(ctx, soql.Query(LINK, (f"ContentDocumentId IN ({listed})",)))
        items = self._link.items(read)
        for item, row in zip(items, read.rows, strict=False):
            if isinstance(item, Record):
                item.parent = decoded(lambda row=row: _file(row))[0]  # type: ignore[misc]
        return items, read
