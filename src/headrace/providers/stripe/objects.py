"""Reading Stripe's objects: whole, with the children that they carry, and one canonical shape through every reading.

A list *inside* an object shows its first ten at most; the canonical object has them all, and the list's `has_more` is
then false.
"""

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import msgspec

from headrace.clock import from_unix
from headrace.errors import ImplementationError
from headrace.providers.kit import (
    ChildSet,
    Context,
    Delete,
    Fetch,
    Item,
    Page,
    Paged,
    PageFunction,
    Query,
    Record,
    Request,
    Response,
    Rows,
    Steps,
    Unread,
    pages,
)
from headrace.providers.kit.pagers import at_url
from headrace.providers.kit.rows import UNREADABLE, Picker, Raw, decoded, unix_seconds, unreadable
from headrace.providers.stripe.access import is_gone
from headrace.providers.stripe.lists import filled_up, paged

_CUT = re.compile(rb'"has_more":\s*true')


def identity(name: str) -> str:
    """The collection id of a Stripe object name: dots become underscores."""
    return "stripe:" + name.replace(".", "_")


def segment(value: str) -> str:
    """An id as a segment of a path: those of coupons, plans and prices may be any text."""
    return quote(value, safe="")


# ────────────────────────────── sub-lists ──────────────────────────────


class _SubList(msgspec.Struct):
    url: str
    object: str = ""
    has_more: bool = False


_sub_list = msgspec.json.Decoder(_SubList)
_fields = msgspec.json.Decoder(dict[str, Raw])


def whole(text: bytes, limit_class: str) -> Generator[Request, Response, bytes | None]:
    """The object with every sub-list filled up; None where it went away meanwhile. The sub-lists are read anew from
    their beginning, so that each is one picture."""
    if not is_cut(text):
        return text
    document = decoded(lambda: _fields.decode(text))
    for name, value in document.items():
        cut = _cut_list(value)
        if cut is None:
            continue
        request = at_url(Request("", limit_class=f"{limit_class}/{name}"), cut.url)
        rows = yield from filled_up(request).read_all(NOWHERE)
        if rows.gone:
            return None
        data = Raw(msgspec.json.encode(rows.rows))
        document[name] = Raw(msgspec.json.encode({**_fields.decode(value), "data": data, "has_more": Raw(b"false")}))
    return msgspec.json.encode(document)


NOWHERE = Context({}, from_unix(0))
"""The context of a request that depends on none."""


def _cut_list(value: Raw) -> _SubList | None:
    text = bytes(value)
    if text[:1] != b"{" or not is_cut(text):
        return None
    try:
        found = _sub_list.decode(text)
    except msgspec.ValidationError:
        return None
    return found if found.object == "list" and found.has_more else None


def is_cut(text: bytes) -> bool:
    """Whether the object may hold a sub-list that is not whole."""
    return _CUT.search(text) is not None


# ─────────────────────────────── objects ───────────────────────────────


@dataclass(frozen=True, slots=True)
class Moment:
    """For when a picture of an object speaks, and when it is known to have changed."""

    as_of: datetime
    updated: datetime | None = None
    slack: timedelta = timedelta(0)

    def record(self, collection: str, key: str, text: bytes, born: Any, parent: str | None = None) -> Record:
        """The Record of a text that `head` has read."""
        since = born if isinstance(born, datetime) else unix_seconds(born)
        return Record(
            collection, key, text, self.as_of, since, self.updated, parent=parent, slack=self.slack, parsed=True
        )


_head = Picker(id=("id", Any), created=("created", Any), deleted=("deleted", Any))


def head(text: bytes | Raw) -> tuple[str, Any, bool]:
    """An object's id, when it was created, and whether it is the stub of a deleted one."""
    try:
        key, born, deleted = _head(text)
    except UNREADABLE as error:
        raise unreadable(error) from None
    if key is None:
        raise ImplementationError("a Stripe object without an id cannot be a record")
    return str(key), born, deleted is True


class Resource:
    """A kind of object that Stripe lists for the whole account.

    `name` is its `object` at Stripe, `path` that of its list, `query` what it takes to see every row (the default list
    of some hides rows). `windowed`: the list takes `created[…]`. `embedded` maps the sub-lists whose rows are a
    collection of their own to that collection; `dependents` are further collections of what hangs from an object and
    goes with it.
    """

    def __init__(
        self,
        name: str,
        path: str,
        query: Query = (),
        *,
        windowed: bool = True,
        embedded: Mapping[str, str] | None = None,
        dependents: tuple[str, ...] = (),
    ) -> None:
        self.name, self.path, self.query, self.windowed = name, path, query, windowed
        self.collection = identity(name)
        self.embedded = embedded or {}
        self.dependents = (*self.embedded.values(), *dependents)
        wanted = {f"list{number}": (f"{name}.data", list[Raw]) for number, name in enumerate(self.embedded)}
        self._children = Picker(**wanted) if wanted else None

    def listing(self) -> PageFunction:
        return pages(self.paged(), self._rows)

    def paged(self, more: Query = ()) -> Paged:
        return paged(self.path, self.path, (*self.query, *more), windowed=self.windowed)

    def _rows(self, ctx: Context, read: Rows) -> Generator[Request, Response, list[Item]]:
        items: list[Item] = []
        moment = Moment(read.as_of)
        for row in read.rows:
            text = bytes(row)
            if is_cut(text):
                filled = yield from whole(text, self.path)
                if filled is None:
                    continue
                text = filled
            items += self.items(ctx, text, moment)
        return items

    def items(self, ctx: Context, text: bytes, moment: Moment, *, sets: bool = False) -> list[Item]:
        """The object as a Record, with those of its embedded children that are asked for; with `sets`, the ChildSets
        of these as well."""
        key, born, deleted = head(text)
        if deleted:
            return self.gone(ctx, key, moment.as_of, moment.slack)
        record = moment.record(self.collection, key, text, born)
        items: list[Item] = [record]
        if self._children is None or not any(child in ctx.collections for child in self.embedded.values()):
            return items
        pick = self._children
        for child, rows in zip(self.embedded.values(), decoded(lambda: pick(text)), strict=True):
            if child in ctx.collections:
                children = children_of(child, key, rows or [], moment, record.created)
                items += children
                if sets:
                    items.append(ChildSet(child, key, frozenset(c.id for c in children), moment.as_of, moment.slack))
        return items

    def gone(self, ctx: Context, key: str, as_of: datetime, slack: timedelta = timedelta(0)) -> list[Item]:
        """The object is deleted, and what hangs from it with it."""
        sets: list[Item] = [
            ChildSet(child, key, frozenset(), as_of, slack) for child in self.dependents if child in ctx.collections
        ]
        wanted = self.collection in ctx.collections
        return [Delete(self.collection, key, as_of, slack=slack), *sets] if wanted else sets

    def fetch(self) -> Fetch:
        """GET by id; deleted is told by `deleted: true` (https://docs.stripe.com/api/customers/delete) or a 404."""

        def page(ctx: Context, key: str, parent: str | None) -> Steps:
            response = yield Request(f"{self.path}/{segment(key)}", limit_class=self.path, accept=(404,))
            if is_gone(response):
                return Page(self.gone(ctx, key, response.sent_at))
            text = yield from whole(response.body.strip(), self.path)
            if text is None:
                return Page(self.gone(ctx, key, response.sent_at))
            return Page(self.items(ctx, text, Moment(response.sent_at), sets=True))

        return Fetch(page)

    def fetch_embedded(self, collection: str) -> Fetch:
        """One of the embedded children: the parent is read, which shows them all."""
        whole_parent = self.fetch().page

        def page(ctx: Context, key: str, parent: str | None) -> Steps:
            if parent is None:
                raise ImplementationError(f"{collection} {key} can be read by its parent only: give the parent's id")
            read = yield from whole_parent(ctx, parent, None)
            found = [item for item in read.items if isinstance(item, Record) and item.collection == collection]
            one: list[Item] = [record for record in found if record.id == key]
            if not one:
                as_of = next(item.as_of for item in read.items if not isinstance(item, Unread))
                one = [Delete(collection, key, as_of, parent=parent)]
            return Page([*one, *(item for item in read.items if item not in one)])

        return Fetch(page)


def children_of(
    collection: str, parent: str, rows: list[Raw], moment: Moment, born: datetime | None = None
) -> list[Record]:
    """Rows of a parent's sub-list as Records; `born` stands for the created time of those that have none."""
    made = []
    for row in rows:
        key, created_at, deleted = head(row)
        if deleted:
            continue
        made.append(moment.record(collection, key, bytes(row), born if created_at is None else created_at, parent))
    return made
