"""Objects that Stripe lists per parent only: a customer's payment methods, a checkout session's line items.

Where the parents' list can be asked to carry them (`expand[]=data.tax_ids`), a hundred parents cost one request; the
others are read parent by parent.
"""

from collections.abc import Generator
from typing import Any

from headrace.providers.kit import (
    Children,
    ChildSet,
    Context,
    Cursor,
    Delete,
    Fetch,
    Item,
    Page,
    PageFunction,
    Record,
    Request,
    Response,
    Rows,
    Steps,
    nested,
    pages,
)
from headrace.providers.kit.readings import EVERYTHING
from headrace.providers.kit.rows import Picker, Raw, decoded, unix_seconds
from headrace.providers.stripe.access import is_gone
from headrace.providers.stripe.lists import paged
from headrace.providers.stripe.objects import (
    Moment,
    Resource,
    children_of,
    head,
    identity,
    segment,
    whole,
)


class Child:
    """A kind of object that is listed per parent.

    `path` is the list's, with `{}` for the parent's id, or has the parent in its query (`by`). `expand` is the field of
    the parent that carries the list when asked for. `one` is the path of a single object, with `{parent}` and `{id}`;
    None where there is none. `owner` is the object's own field that names the parent; an object without one has been
    taken from its parent, which is its end here. `mutable` ones change or go; the others are only added to.
    `born_with_parent`: they have no created time of their own, and the parent's stands for it.
    """

    def __init__(
        self,
        name: str,
        parent: Resource,
        path: str,
        *,
        by: str | None = None,
        expand: str | None = None,
        one: str | None = None,
        owner: str = "customer",
        mutable: bool = True,
        born_with_parent: bool = False,
    ) -> None:
        self.collection = identity(name)
        self.parent, self.path, self.by, self.expand, self.one = parent, path, by, expand, one
        self.mutable, self.born_with_parent = mutable, born_with_parent
        self.limit_class = path.replace("/{}", "")
        self._owner = Picker(owner=(owner, Any))
        self._expanded = Picker(rows=(f"{expand}.data", list[Raw])) if expand else None

    def listing(self) -> PageFunction:
        if self.expand is not None:
            return pages(self.parent.paged((("expand[]", f"data.{self.expand}"),)), self._within)
        return nested(self.parent.paged(), lambda row: head(row)[0], self._list, self._below)

    def _within(self, ctx: Context, read: Rows) -> Generator[Request, Response, list[Item]]:
        """The children that a page of parents carries."""
        items: list[Item] = []
        for row in read.rows:
            text = yield from whole(bytes(row), self.parent.path)
            if text is None:
                continue
            key, born, _ = head(text)
            pick = self._expanded
            (rows,) = decoded(lambda pick=pick, text=text: pick(text))  # type: ignore[misc]
            since = unix_seconds(born) if self.born_with_parent else None
            items += children_of(self.collection, key, rows or [], Moment(read.as_of), since)
        return items

    def _list(self, parent: str) -> Any:
        query = ((self.by, parent),) if self.by else ()
        return paged(self.path.format(segment(parent)), self.limit_class, query, child=True)

    def _below(self, ctx: Context, parent: str, read: Rows) -> list[Item]:
        return list(children_of(self.collection, parent, read.rows, Moment(read.as_of)))

    def again(self) -> Children:
        """The children of one parent, read anew. Where they can change or go, all at once and as a set."""

        def page(ctx: Context, parent: Record, cursor: Cursor | None) -> Steps:
            if not self.mutable:
                read = yield from self._list(parent.id).read(ctx, EVERYTHING, cursor)
                return Page(self._below(ctx, parent.id, read), next=read.next)
            read = yield from self._list(parent.id).read_all(ctx)
            since = parent.created if self.born_with_parent else None
            made = children_of(self.collection, parent.id, read.rows, Moment(read.as_of), since)
            held = frozenset(record.id for record in made)
            return Page([*made, ChildSet(self.collection, parent.id, held, read.as_of)])

        return Children(self.parent.collection, page)

    def items(self, text: bytes, moment: Moment) -> list[Item]:
        """The object as a Record, or as a Delete when it belongs to no parent any more."""
        key, born, deleted = head(text)
        (owner,) = decoded(lambda: self._owner(text))
        if deleted or owner is None:
            return self.gone(key, moment)
        return [moment.record(self.collection, key, text, born, str(owner))]

    def gone(self, key: str, moment: Moment, parent: str | None = None) -> list[Item]:
        return [Delete(self.collection, key, moment.as_of, parent=parent, slack=moment.slack)]

    def fetch(self) -> Fetch | None:
        one = self.one
        if one is None:
            return None

        def page(ctx: Context, key: str, parent: str | None) -> Steps:
            path = one.format(id=segment(key), parent=segment(parent or ""))
            response = yield Request(path, limit_class=self.limit_class, accept=(404,))
            if is_gone(response):
                return Page(self.gone(key, Moment(response.sent_at), parent))
            return Page(self.items(response.body.strip(), Moment(response.sent_at)))

        return Fetch(page)
