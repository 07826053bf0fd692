"""A small provider for the tests of the engine: a shop, its server, and its connector written in the kit.

order      newest first, cut by created; a feed in whole seconds; one by id
item       embedded in its order
note       children of an order, read one order at a time; read again when the order changed
tag        a listing and nothing else: found by comparison, deletes by absence
document   changed since, with a cap on what one query shows
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from loopback import listening

from headrace.clock import from_unix, micros
from headrace.http import Request, Response
from headrace.providers.kit import (
    Account,
    ChangedSince,
    Children,
    ChildSet,
    Collection,
    Context,
    Counting,
    CredentialKind,
    Cursor,
    Delete,
    Fault,
    Feed,
    Fetch,
    Item,
    Limit,
    LimitPolicy,
    Listing,
    Mention,
    Page,
    Provider,
    Record,
    Steps,
    Total,
    Window,
)
from headrace.stream.items import NO_SLACK

PAGE = 10
SLACK = timedelta(seconds=1)
Thing = dict[str, Any]


@dataclass
class Asked:
    """One request as the server saw it."""

    at: datetime
    path: str
    query: dict[str, str]
    status: int = 200


class Shop:
    """The account behind the server. Times are real ones unless `now` is replaced; every change writes an event."""

    def __init__(self) -> None:
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.things: dict[str, dict[str, Thing]] = {"order": {}, "note": {}, "tag": {}, "document": {}}
        self.events: list[Thing] = []
        self.asked: list[Asked] = []
        self.url = ""
        self.late: set[str] = set()
        self.retention = timedelta(days=30)
        self.fail: Callable[[Asked], web.Response | None] = lambda asked: None
        self.before: Callable[[Asked], Any] = lambda asked: None
        self.after: Callable[[Asked], Any] = lambda asked: None
        """Awaited between the making of an answer and its sending."""
        self.numbered = False
        """Whether a cursor names its listing too, which the request without a cursor has begun."""
        self.under_way = 0
        self._serial = 0
        self._listings = 0

    # ── what happens in the shop ──

    def put(self, kind: str, key: str, **fields: Any) -> Thing:
        """Make or change a thing."""
        now = self.now().timestamp()
        held = self.things[kind].get(key)
        created = fields.pop("created", None) or (held["created"] if held else now)
        thing = {**(held or {}), "id": key, **fields, "created": created, "updated": now}
        self.things[kind][key] = thing
        self._tell("changed", kind, thing)
        return thing

    def remove(self, kind: str, key: str, *, told: bool = True) -> None:
        thing = self.things[kind].pop(key)
        if told:
            self._tell("deleted", kind, thing)

    def _tell(self, what: str, kind: str, thing: Thing) -> None:
        if kind == "order":
            self._serial += 1
            at = int(self.now().timestamp())
            self.events.append({"id": f"e{self._serial}", "at": at, "what": what, "kind": kind, "thing": dict(thing)})

    def items(self) -> dict[str, Thing]:
        """The items of all orders, as their collection shows them."""
        return {row["id"]: row for thing in self.things["order"].values() for row in items_of(thing)}

    # ── the server ──

    async def answer(self, request: web.Request) -> web.Response:
        asked = Asked(self.now(), request.path, dict(request.query))
        self.asked.append(asked)
        self.under_way += 1
        try:
            waits = self.before(asked)
            if waits is not None:
                await waits
            response = self.fail(asked) or self._answer(asked)
            waits = self.after(asked)
            if waits is not None:
                await waits
        finally:
            self.under_way -= 1
        asked.status = response.status
        return response

    def _answer(self, asked: Asked) -> web.Response:
        parts = asked.path.strip("/").split("/")
        if parts[0] == "events":
            return self._events(asked)
        if parts[0] == "count":
            return _json({"total": len(self.things[parts[1]])})
        if len(parts) == 2:
            thing = self.things[parts[0]].get(parts[1])
            return _json({"error": "no such thing"}, 404) if thing is None else _json(thing)
        if len(parts) == 3:
            notes = [note for note in self.things["note"].values() if note["order"] == parts[1]]
            return _json({"data": sorted(notes, key=lambda note: note["id"]), "next": None})
        return self._list(parts[0], asked.query)

    def _list(self, kind: str, query: Mapping[str, str]) -> web.Response:
        by = "updated" if "since" in query else "created"
        things = sorted(self.things[kind].values(), key=lambda thing: (thing[by], thing["id"]), reverse=True)
        if "lo" in query:
            things = [thing for thing in things if thing["created"] >= float(query["lo"])]
        if "hi" in query:
            things = [thing for thing in things if thing["created"] < float(query["hi"])]
        if "since" in query:
            things = [t for t in things if float(query["since"]) <= t["updated"] < float(query["until"])]
            if "above" in query:
                things = sorted((t for t in things if t["id"] > query["above"]), key=lambda thing: str(thing["id"]))
                return _json({"data": things[:PAGE], "next": None})
            things = things[:CAP]
        return self._page(things, query, lambda thing: (thing[by], thing["id"]))

    def _events(self, asked: Asked) -> web.Response:
        lo, hi = float(asked.query["lo"]), float(asked.query["hi"])
        if lo < (self.now() - self.retention).timestamp():
            return _json({"error": "aged out"}, 410)
        events = [e for e in self.events if lo <= e["at"] < hi and e["id"] not in self.late]
        events.sort(key=lambda event: (event["at"], int(event["id"][1:])), reverse=True)
        return self._page(events, asked.query, lambda event: (event["at"], int(event["id"][1:])))

    def _page(self, things: list[Thing], query: Mapping[str, str], key: Callable[[Thing], Any]) -> web.Response:
        after = query.get("after")
        if after is None:
            self._listings += self.numbered
            listing = [self._listings] if self.numbered else []
        else:
            at, name, *listing = json.loads(after)
            things = [thing for thing in things if key(thing) < (at, name)]
        page = things[:PAGE]
        more = json.dumps([*key(page[-1]), *listing]) if len(things) > PAGE else None
        return _json({"data": page, "next": more})

    def count(self, path: str, since: int = 0) -> int:
        return Counter(asked.path for asked in self.asked[since:])[path]


CAP = 25
"""So many of the changed documents a query shows at most, whatever its pages."""
FLOOR = timedelta(microseconds=1)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.json_response(value, status=status)


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    """A shop on a port of its own."""
    shop = Shop()
    async with listening(shop.answer) as shop.url:
        yield shop


# ── the connector ──


def _record(kind: str, thing: Thing, as_of: datetime, **facts: Any) -> Record:
    return Record(
        f"shop:{kind}",
        thing["id"],
        json.dumps(thing).encode(),
        as_of,
        created=from_unix(thing["created"]),
        **facts,
    )


def items_of(thing: Thing) -> list[Thing]:
    return [
        {"id": f"{thing['id']}.{name}", "name": name, "created": thing["created"]} for name in thing.get("items", [])
    ]


def _order(ctx: Context, thing: Thing, as_of: datetime, **facts: Any) -> list[Item]:
    """An order and the items in it."""
    items: list[Item] = []
    if "shop:order" in ctx.collections:
        items.append(_record("order", thing, as_of, **facts))
    if "shop:item" in ctx.collections:
        rows = items_of(thing)
        items += [_record("item", row, as_of, parent=thing["id"], **facts) for row in rows]
        items.append(
            ChildSet(
                "shop:item", thing["id"], frozenset(row["id"] for row in rows), as_of, facts.get("slack", NO_SLACK)
            )
        )
    return items


def _query(window: Window, cursor: Cursor | None, lo: str = "lo", hi: str = "hi") -> tuple[tuple[str, str], ...]:
    pairs = []
    if window.lo is not None:
        pairs.append((lo, repr(window.lo.timestamp())))
    if window.hi is not None:
        pairs.append((hi, repr(window.hi.timestamp())))
    if cursor is not None:
        pairs.append(("after", cursor["after"]))
    return tuple(pairs)


def _next(body: Any) -> Cursor | None:
    return None if body["next"] is None else {"after": body["next"]}


def orders(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
    response = yield Request("/order", query=_query(window, cursor))
    body = response.json()
    return Page([item for thing in body["data"] for item in _order(ctx, thing, response.sent_at)], _next(body))


def order(ctx: Context, key: str, parent: str | None) -> Steps:
    response = yield Request(f"/order/{key}", accept=(404,))
    if response.status == 404:
        gone: list[Item] = [Delete("shop:order", key, response.sent_at)]
        if "shop:item" in ctx.collections:
            gone.append(ChildSet("shop:item", key, frozenset(), response.sent_at))
        return Page(gone)
    return Page(_order(ctx, response.json(), response.sent_at))


def events(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
    response = yield Request("/events", query=_query(window, cursor))
    body = response.json()
    items: list[Item] = []
    for event in body["data"]:
        thing, at = event["thing"], from_unix(event["at"])
        if event["what"] == "deleted":
            items.append(Delete("shop:order", thing["id"], at, slack=SLACK))
            items.append(ChildSet("shop:item", thing["id"], frozenset(), at, SLACK))
        elif thing.get("large"):
            items.append(Mention("shop:order", thing["id"], at))
        else:
            items += _order(ctx, thing, at, updated=at, slack=SLACK)
    return Page(items, _next(body))


def _plain(kind: str) -> Callable[[Context, Window, Cursor | None], Steps]:
    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        response = yield Request(f"/{kind}", query=_query(window, cursor))
        body = response.json()
        return Page(
            [_record(kind, thing, response.sent_at, **_facts(kind, thing)) for thing in body["data"]], _next(body)
        )

    return page


def _facts(kind: str, thing: Thing) -> dict[str, Any]:
    if kind == "note":
        return {"parent": thing["order"]}
    if kind == "document":
        updated = from_unix(thing["updated"])
        return {"updated": updated, "version": micros(updated)}
    return {}


def tags_counted(ctx: Context, window: Window) -> Counting:
    response = yield Request("/count/tag")
    return Total.in_pages(response.json()["total"], PAGE)


def notes_of(ctx: Context, parent: Record, cursor: Cursor | None) -> Steps:
    response = yield Request(f"/order/{parent.id}/notes")
    notes = response.json()["data"]
    items: list[Item] = [_record("note", note, response.sent_at, parent=parent.id) for note in notes]
    items.append(ChildSet("shop:note", parent.id, frozenset(note["id"] for note in notes), response.sent_at))
    return Page(items)


def documents_since(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
    tie = window.lo is not None and window.hi is not None and window.hi - window.lo <= FLOOR
    if tie:  # one moment: walked by id, since more may share it than a query shows
        above = "" if cursor is None else cursor["above"]
        response = yield Request("/document", query=(*_query(window, None, "since", "until"), ("above", above)))
    else:
        response = yield Request("/document", query=_query(window, cursor, "since", "until"))
    body = response.json()
    items = [_record("document", thing, response.sent_at, **_facts("document", thing)) for thing in body["data"]]
    following = {"above": body["data"][-1]["id"]} if tie and body["data"] else None
    return Page(list(items), following if tie else _next(body))


def document(ctx: Context, key: str, parent: str | None) -> Steps:
    response = yield Request(f"/document/{key}", accept=(404,))
    if response.status == 404:
        return Page([Delete("shop:document", key, response.sent_at)])
    thing = response.json()
    return Page([_record("document", thing, response.sent_at, **_facts("document", thing))])


def _fault(response: Response) -> Fault | None:
    kinds: dict[int, Any] = {401: "auth", 403: "permission", 404: "gone", 409: "restart", 410: "expired", 429: "rate"}
    if response.status < 400:
        return None
    kind = kinds.get(response.status, "transient" if response.status >= 500 else "bad")
    return Fault(kind, f"status {response.status}")


def _verify(properties: Mapping[str, Any], now: datetime) -> Generator[Request, Response, Account]:
    yield Request("/tag")
    return Account("shop")


KEY = CredentialKind(
    kind="shop_key",
    schema={},
    secret=frozenset({"key"}),
    sign=lambda request, properties, now: request.with_header("authorization", f"Bearer {properties['key']}"),
    verify=_verify,
)

ORDERS = frozenset({"shop:order", "shop:item"})

SHOP = Provider(
    slug="shop",
    name="Shop",
    base_url=lambda properties: str(properties["base_url"]),
    hosts=("127.0.0.1",),
    kinds=(KEY,),
    limits=LimitPolicy((Limit(100_000, 1),)),
    collections=(
        Collection(
            "shop:order",
            "order",
            listing=Listing(orders, windowed="created", order="newest_first"),
            deletes="feed",
            fetch=Fetch(order),
        ),
        Collection("shop:item", "item", children=Children("shop:order"), deletes="parent"),
        Collection(
            "shop:note",
            "note",
            listing=Listing(_plain("note")),
            children=Children("shop:order", notes_of),
            deletes="parent",
        ),
        Collection("shop:tag", "tag", listing=Listing(_plain("tag"), count=tags_counted), deletes="sweep"),
        Collection(
            "shop:document",
            "document",
            listing=Listing(_plain("document"), windowed="created", order="newest_first"),
            changes=(ChangedSince(documents_since, settle=timedelta(seconds=1), cap=CAP, floor=FLOOR),),
            deletes="sweep",
            fetch=Fetch(document),
        ),
    ),
    fault=_fault,
    feeds=(Feed("events", ORDERS, events, settle=timedelta(seconds=1)),),
    default_rate_limit=lambda mode: (100_000, 1),
)
