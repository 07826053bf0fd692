"""What GitHub lists per parent only: the reviews of a pull request, the jobs of a run, the members of a team."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from headrace.http import Request, Response
from headrace.providers.github.access import fault
from headrace.providers.github.lists import REFUSALS, SECOND, Rowed, begin_at, following
from headrace.providers.github.places import CORE, get
from headrace.providers.github.schemas import schema_of
from headrace.providers.github.standing import at
from headrace.providers.kit import (
    Children,
    ChildSet,
    Collection,
    Context,
    Cursor,
    Faulted,
    Item,
    Listing,
    Page,
    Partitions,
    Record,
    Rows,
    Steps,
    Unread,
    Window,
)
from headrace.providers.kit.rows import Body, Path, Raw, Reader, decoded
from headrace.providers.kit.trail import Trail

_OF_ONE = ("permission", "gone", "config")
"""Faults of one parent alone."""
REQUESTS = 25
"""The most lists of children that one page reads."""


@dataclass(frozen=True, slots=True)
class Below:
    """A kind of object that is listed below each parent.

    `parents` is the parents' list, `at(row)` a parent's path, `path` that of its children, `rows` where they are.
    `reader` reads a child; `key` gives its id where no single field does; where `own`, that is its own below the parent
    only. `one` is where a single child is asked for (`standing.at`). `numbered` is as in `Rowed`. Below, `every` is how
    often all parents are walked: but for a change of the parent nothing tells that its children have changed.
    """

    reader: Reader
    parents: Rowed
    at: Callable[[Raw | bytes], str]
    path: str
    query: tuple[tuple[str, str], ...] = ()
    rows: Path | None = None
    own: bool = False
    key: Callable[[Raw], str] | None = None
    one: str | None = None
    numbered: bool = True

    def collection(self, partitions: Partitions, every: timedelta | None = None) -> Collection:
        name = self.reader.collection.partition(":")[2]
        return Collection(
            id=self.reader.collection,
            name=name,
            listing=Listing(self._along),
            children=Children(self.parents.reader.collection, self._again, grain=SECOND),
            deletes="parent",
            probe=None if self.one is None else at(self.one, lambda record, row: self.reader.id_of(row)),
            partitions=partitions,
            sweep_every=every,
            schema=schema_of(name),
        )

    def _page(self, ctx: Context, parent: Raw | bytes, cursor: Cursor | None) -> Generator[Request, Response, Rows]:
        """One page of one parent's children; `gone` where there is no such parent. Raises Faulted where they may not
        be read."""
        asked = begin_at(get(self.at(parent) + self.path, *self.query), cursor)
        response = yield replace(asked, accept=REFUSALS)
        if response.status in (404, 410):
            return Rows([], response.sent_at, gone=True)
        refusal = fault(response)
        if refusal is not None:
            raise Faulted(refusal)
        body = Body(self.rows)
        rows = decoded(lambda: body.read(response).rows)
        return Rows(rows, response.sent_at, following(ctx, asked, response, len(rows), cursor, numbered=self.numbered))

    def _records(self, parent: str, partition: str | None, found: Rows) -> list[Record]:
        made = []
        for row in found.rows:
            record = self.reader(row, found.as_of, partition)
            if self.key is not None:
                record.id = self.key(row)
            if self.own:
                record.id = f"{parent}/{record.id}"
            record.parent = parent
            made.append(record)
        return made

    def _along(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        """The listing: along that of the parents. It goes on at the parent, and at the page of its children, where the
        page before stopped; if that parent has gone meanwhile, the parents' page is begun anew.

        A parent whose children are refused is told as such, and the others are read: 409 comes of a repository without
        a commit, 451 of what was taken down, 403 of what may not be seen. Where 403 comes of every one, a permission is
        missing, which is told of the partition: raises Faulted."""
        place: dict[str, Any] = cursor or {}
        begin = self.parents.request(ctx.partition)
        above = yield from self.parents.read(ctx, begin, place)
        parents = {record.id: record.raw for record in self.parents.records(ctx, above)}
        ids = list(parents)
        here: dict[str, Any] = {name: place[name] for name in ("url", "shown") if name in place}
        seen = bool(place.get("seen"))
        first, at = 0, None
        if place.get("parent") in parents:
            first, at = ids.index(place["parent"]), place.get("children")
        items: list[Item] = []
        denied: Faulted | None = None
        following: Cursor | None = above.next
        for count, parent in enumerate(ids[first:]):
            if count == REQUESTS:
                following = {**here, "parent": parent}
                break
            try:
                found = yield from self._page(ctx, parents[parent], at)
            except Faulted as refused:
                if refused.fault.kind not in _OF_ONE:
                    raise
                denied = denied or (refused if refused.fault.kind == "permission" else None)
                items.append(Unread(self.reader.collection, parent, refused.fault.message))
                at = None
                continue
            seen = True
            items += self._records(parent, ctx.partition, found)
            at = found.next
            if at is not None:
                following = {**here, "parent": parent, "children": at}
                break
        if not seen and denied is not None:
            raise denied
        return Page(items, next=None if following is None else {**following, "seen": seen})

    def _again(self, ctx: Context, parent: Record, cursor: Cursor | None) -> Steps:
        """The children of one parent, whole. A 404 says that there are none any more only where the repository or
        organisation itself can be read. Raises Faulted where their list goes in circles."""
        items: list[Item] = []
        at: Cursor | None = None
        as_of: datetime | None = None
        trail = Trail()
        while as_of is None or at is not None:
            found = yield from self._page(ctx, parent.raw, trail.follow(at))
            if found.gone and not (yield from self._readable(parent)):
                return Page([])
            items += self._records(parent.id, parent.partition, found)
            as_of, at = as_of or found.as_of, found.next
        ids = frozenset(item.id for item in items if isinstance(item, Record))
        return Page([*items, ChildSet(self.reader.collection, parent.id, ids, as_of)])

    def _readable(self, parent: Record) -> Generator[Request, Response, bool]:
        _, kind, *names = self.at(parent.raw).split("/")
        path = "/".join(["", kind, *names[: 2 if kind == "repos" else 1]])
        response = yield Request(path, limit_class=CORE, accept=(403, 404, 451))
        return response.status < 300
