"""Reading Linear: connections page by page, single objects by id.

A page has a hundred objects, archived ones included. Its cursor is the id of its last object; where that object has
been purged meanwhile, the window is read from its start again. Pages are ordered newest first (`orderBy`), there is no
other direction. Sources: https://linear.app/developers/pagination, https://linear.app/developers/filtering.
"""

import re
from collections.abc import Callable, Collection, Generator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from headrace.http import Request, Response
from headrace.providers.kit import (
    Context,
    Cursor,
    Delete,
    Fault,
    Faulted,
    Fetch,
    Item,
    Page,
    PageFunction,
    Record,
    Steps,
    Window,
)
from headrace.providers.kit.pagers import connection, stuck
from headrace.providers.kit.rows import Body, Picker, Raw, Reader, decoded, unreadable
from headrace.providers.linear.access import COMPLEXITY, fault, query
from headrace.providers.linear.schemas import points, selection
from headrace.providers.linear.types import Type

SIZE = 100
Order = Literal["createdAt", "updatedAt"]


# ─────────────────────────────── queries ───────────────────────────────


def list_text(listed: Type, order: Order, *, windowed: bool, without: Collection[str] = ()) -> str:
    """The query of a connection, in a window of `updatedAt` where it takes one; `without` fields and arguments that
    the server does not know."""
    arguments = {"first": "$first", "after": "$after", "includeArchived": "true", "orderBy": order}
    variables = "$first:Int!,$after:String"
    if windowed:
        variables += ",$lo:DateTimeOrDuration!,$hi:DateTimeOrDuration!"
        arguments["filter"] = "{updatedAt:{gte:$lo,lt:$hi}}"
    if listed.disabled:
        arguments["includeDisabled"] = "true"
    given = ",".join(f"{name}:{value}" for name, value in arguments.items() if name not in without)
    body = f"nodes{{{selection(listed.name, frozenset(without))}}} pageInfo{{hasNextPage endCursor}}"
    return f"query({variables}){{{listed.field}({given}){{{body}}}}}"


def whole_text(listed: Type, without: Collection[str] = ()) -> str:
    """The query of what is no connection: all in one answer."""
    return f"query{{{listed.field}{{{selection(listed.name, frozenset(without))}}}}}"


def one_text(listed: Type, without: Collection[str] = ()) -> str:
    """The query of a single object."""
    return f"query($id:String!){{{listed.one}(id:$id){{{selection(listed.name, frozenset(without))}}}}}"


_OPEN = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


def _bounds(window: Window) -> dict[str, str]:
    ends = zip(("lo", "hi"), (window.lo or _OPEN[0], window.hi or _OPEN[1]), strict=True)
    return {name: end.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") for name, end in ends}


def _send(request: Request) -> Request:
    """With answers of every kind read here: what an error means depends on what was asked."""
    return replace(request, accept=(200, 400))


# ──────────────────────────── page functions ────────────────────────────


def _reader(listed: Type) -> Reader:
    return Reader(listed.collection, created="createdAt", updated="updatedAt")


def paged(listed: Type, order: Order, *, windowed: bool) -> PageFunction:
    """Along the connection. Without a filter the pages of an order by update end where the window begins; what changes
    while they are read comes to the head, where the next window reads it."""
    pager = connection(f"data.{listed.field}", SIZE)
    body = Body(f"data.{listed.field}.nodes", **pager.told)
    reader = _reader(listed)

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        without: list[str] = [] if cursor is None else list(cursor.get("without", []))

        def ask(without: Collection[str]) -> Request:
            text = list_text(listed, order, windowed=windowed, without=without)
            cost = SIZE * points(listed.name)
            begin = query(text, _bounds(window) if windowed else {}, limit_class=COMPLEXITY, cost=cost)
            return pager.first(begin) if cursor is None else pager.next(begin, cursor)

        request, response = yield from _answered(ask, without)
        _check(response, cursor)
        answer = decoded(lambda: body.read(response))
        if answer.told["more"] is None:
            raise stuck("it does not say whether more follows")
        rows = [row for row in answer.rows if bytes(row) != b"null"]
        records = [reader(row, response.sent_at) for row in rows]
        if answer.told["more"] and answer.told["token"] is None and records:
            after: Cursor | None = {"token": records[-1].id}  # a cursor is the id of its page's last object
        else:
            after = pager.after(request, response, answer)
        if after is not None and cursor is not None and after["token"] == cursor["token"]:
            raise stuck("it gives the cursor again that was asked for")
        if after is not None and without:
            after = {**after, "without": without}
        if order == "createdAt":
            return Page([*records], next=after)
        items: list[Item] = [record for record in records if _within(record.updated, window)]
        return Page(items, next=None if _ended(records, window) else after)

    return page


_UNKNOWN = re.compile(r'(?:Cannot query field|Unknown argument) "(\w+)"')
_NEEDED = frozenset({"id", "nodes", "pageInfo", "filter", "first", "after"})


def _answered(
    ask: Callable[[Collection[str]], Request], without: list[str]
) -> Generator[Request, Response, tuple[Request, Response]]:
    """The answer to a query, and the request: asked again without the fields and arguments that the server does not
    know, which are added to `without`."""
    while True:
        request = ask(without)
        response = yield _send(request)
        strange = [
            name for name in _unknown(response) if name not in without and name.encode() in (request.body or b"")
        ]
        if not strange:
            return request, response
        without += strange


def _unknown(response: Response) -> list[str]:
    """What an answer says that the schema does not have: Linear has taken it away, or this is another server. Such
    fields are left out, so that the others go on."""
    if response.status not in (200, 400) or b'"errors"' not in response.body:
        return []
    found = dict.fromkeys(_UNKNOWN.findall(response.body.decode(errors="replace").replace('\\"', '"')))
    return [name for name in found if name not in _NEEDED]


def _check(response: Response, cursor: Cursor | None) -> None:
    """Raise Faulted for an answer with errors. A cursor is an object: one that is gone leads to the window's start."""
    found = fault(response)
    if found is None:
        return
    if cursor is not None and found.kind in ("gone", "bad"):
        raise Faulted(Fault("restart", found.message))
    raise Faulted(found)


def whole(listed: Type, *, windowed: bool) -> PageFunction:
    """What Linear gives in one answer: a list that is no connection, or the one object that there is. It is read whole
    for changes too, and of these the window's are told."""
    body, reader, pick = Body(f"data.{listed.field}"), _reader(listed), Picker(data=("data", dict[str, Raw]))

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        def ask(without: Collection[str]) -> Request:
            return query(whole_text(listed, without), limit_class=COMPLEXITY, cost=SIZE * points(listed.name))

        _, response = yield from _answered(ask, [])
        _check(response, cursor)
        if listed.single:
            found = (decoded(lambda: pick(response.body))[0] or {}).get(listed.field)
            if found is None or bytes(found) == b"null":
                raise unreadable(f"it has no {listed.field}")
            rows = [found]
        else:
            rows = body.read(response).rows
        records = [reader(row, response.sent_at) for row in rows]
        return Page([record for record in records if not windowed or _within(record.updated, window)])

    return page


def _within(moment: datetime | None, window: Window) -> bool:
    if moment is None:
        return True
    return (window.lo is None or moment >= window.lo) and (window.hi is None or moment < window.hi)


def _ended(records: list[Record], window: Window) -> bool:
    """Whether a page in the order of update lies wholly before the window."""
    times = [record.updated for record in records if record.updated is not None]
    return window.lo is not None and bool(times) and max(times) < window.lo


def one(listed: Type) -> Fetch | None:
    """A single object by id; an entity that is not found is gone."""
    if listed.one is None:
        return None
    reader, pick = _reader(listed), Picker(data=("data", dict[str, Raw]))

    def page(ctx: Context, key: str, parent: str | None) -> Steps:
        def ask(without: Collection[str]) -> Request:
            return query(one_text(listed, without), {"id": key}, limit_class=COMPLEXITY, cost=points(listed.name))

        _, response = yield from _answered(ask, [])
        found = fault(response)
        if found is not None and found.kind != "gone":
            raise Faulted(found)
        row = None if found is not None else (decoded(lambda: pick(response.body))[0] or {}).get(listed.one)
        if row is None or bytes(row) == b"null":
            return Page([Delete(listed.collection, key, response.sent_at)])
        return Page([reader(row, response.sent_at)])

    return Fetch(page)
