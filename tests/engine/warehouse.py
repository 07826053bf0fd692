"""A second provider for the tests of the engine: what the shop has not.

crate      in halls (partitions), oldest first, changed since, a list of deletions; of a hall's id (`north.2`) what
           stands before the dot lasts
tables     an account's own collections, found by searching; each hall has a log of them whose place is told by token
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import orjson
from aiohttp import web
from loopback import listening
from shop import KEY

from headrace.clock import from_unix, micros
from headrace.http import Request, Response
from headrace.providers.kit import (
    ChangedSince,
    Collection,
    Context,
    Counting,
    Cursor,
    Delete,
    Deleted,
    Discovered,
    Discovery,
    Fault,
    Feed,
    Fetch,
    Found,
    Item,
    Limit,
    LimitPolicy,
    Listing,
    Mention,
    Page,
    Partitions,
    Provider,
    Record,
    Steps,
    Total,
    Window,
)

PAGE = 5
Row = dict[str, Any]


@dataclass
class Hall:
    """Crates, tables of rows, the log of the tables (number, table, id, what), and the crates that are gone."""

    crates: dict[str, Row] = field(default_factory=dict)
    tables: dict[str, dict[str, Row]] = field(default_factory=dict)
    log: list[tuple[int, str, str, str]] = field(default_factory=list)
    gone: list[tuple[float, str]] = field(default_factory=list)
    hidden: dict[str, Row] = field(default_factory=dict)
    """Crates that no list shows."""
    oldest: int = 0
    """Numbers of the log below this are not kept any more."""


class Warehouse:
    """The account behind the server."""

    def __init__(self) -> None:
        self.halls: dict[str, Hall] = {}
        self.fields: dict[str, list[str]] = {}
        self.refused: dict[str, int] = {}
        """Path → status with which it is refused."""
        self.unanswered: set[tuple[str, str]] = set()
        """(path, place in the list) of pages that never come."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    def crate(self, hall: str, key: str, **fields: Any) -> None:
        now = datetime.now(UTC).timestamp()
        held = self.halls.setdefault(hall, Hall()).crates.get(key, {"created": now})
        created = fields.pop("created", held["created"])
        self.halls[hall].crates[key] = {**held, "id": key, **fields, "created": created, "updated": now}

    def remove_crate(self, hall: str, key: str) -> None:
        del self.halls[hall].crates[key]
        self.halls[hall].gone.append((datetime.now(UTC).timestamp(), key))

    def row(self, hall: str, table: str, key: str, **fields: Any) -> None:
        place = self.halls.setdefault(hall, Hall())
        place.tables.setdefault(table, {})[key] = {"id": key, **fields}
        place.log.append((len(place.log), table, key, "changed"))

    def remove_row(self, hall: str, table: str, key: str) -> None:
        place = self.halls[hall]
        del place.tables[table][key]
        place.log.append((len(place.log), table, key, "deleted"))

    @property
    def crates(self) -> dict[str, Row]:
        return {key: crate for hall in self.halls.values() for key, crate in hall.crates.items()}

    def count(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.asked)

    # ── the server ──

    async def answer(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        self.asked.append((request.path, query))
        if (request.path, query.get("at", "0")) in self.unanswered:
            await asyncio.Event().wait()
        if request.path in self.refused:
            return web.json_response({}, status=self.refused[request.path])
        return self._answer(request.path.strip("/").split("/"), query)

    def _answer(self, parts: list[str], query: Mapping[str, str]) -> web.Response:
        match parts:
            case ["halls"]:
                return _paged([{"id": name} for name in sorted(self.halls)], query)
            case ["tables"]:
                tables = [(hall, table) for hall in self.halls for table in self.halls[hall].tables]
                found = [{"hall": hall, "id": table, "fields": self.fields.get(table, [])} for hall, table in tables]
                return _paged(found, query)
        hall = self.halls.get(parts[0])
        if hall is None:
            return web.json_response({}, status=403)
        match parts[1:]:
            case ["crates"]:
                by = "updated" if "since" in query else "created"
                rows = sorted(hall.crates.values(), key=lambda row: (row[by], row["id"]))
                lo, hi = float(query.get("lo", "-inf")), float(query.get("hi", "inf"))
                return _paged([row for row in rows if lo <= row[by] < hi], query)
            case ["count"]:
                return web.json_response({"total": len(hall.crates)})
            case ["gone"]:
                lo, hi = float(query["lo"]), float(query["hi"])
                return _paged([{"id": key, "at": at} for at, key in hall.gone if lo <= at < hi], query)
            case ["log"]:
                return self._log(hall, int(query["after"]))
            case ["log", "end"]:
                return web.json_response({"end": len(hall.log)})
            case ["crates", key]:
                return _one(hall.crates.get(key) or hall.hidden.get(key))
            case ["tables", table]:
                return _paged(list(hall.tables.get(table, {}).values()), query)
            case ["tables", table, key]:
                return _one(hall.tables.get(table, {}).get(key))
        raise AssertionError(parts)

    def _log(self, hall: Hall, after: int) -> web.Response:
        if after < hall.oldest:
            return web.json_response({}, status=410)
        page = hall.log[after : after + PAGE]
        return web.json_response({"data": page, "next": after + len(page), "more": after + len(page) < len(hall.log)})


def _paged(rows: list[Row], query: Mapping[str, str]) -> web.Response:
    at = int(query.get("at", "0"))
    more = at + PAGE if at + PAGE < len(rows) else None
    return web.json_response({"data": rows[at : at + PAGE], "next": more})


def _one(row: Row | None) -> web.Response:
    return web.json_response(row or {}, status=200 if row else 404)


@asynccontextmanager
async def open_warehouse() -> AsyncIterator[Warehouse]:
    """A warehouse on a port of its own."""
    warehouse = Warehouse()
    async with listening(warehouse.answer) as warehouse.url:
        yield warehouse


# ── the connector ──


def _ask(path: str, cursor: Cursor | None, *more: tuple[str, str]) -> Request:
    at = () if cursor is None else (("at", str(cursor["at"])),)
    return Request(path, query=(*more, *at))


def _next(body: Any) -> Cursor | None:
    return None if body["next"] is None else {"at": body["next"]}


def _bounds(window: Window) -> list[tuple[str, str]]:
    pairs = (("lo", window.lo), ("hi", window.hi))
    return [(name, repr(moment.timestamp())) for name, moment in pairs if moment is not None]


def _crate(row: Row, as_of: datetime, hall: str | None) -> Record:
    created, updated = from_unix(row["created"]), from_unix(row["updated"])
    text = orjson.dumps(row)
    return Record("depot:crate", row["id"], text, as_of, created, updated, version=micros(updated), partition=hall)


def _crates(*more: tuple[str, str]) -> Callable[[Context, Window, Cursor | None], Steps]:
    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        response = yield _ask(f"/{ctx.partition}/crates", cursor, *more, *_bounds(window))
        body = response.json()
        return Page([_crate(row, response.sent_at, ctx.partition) for row in body["data"]], _next(body))

    return page


def _crates_counted(ctx: Context, window: Window) -> Counting:
    response = yield Request(f"/{ctx.partition}/count")
    return Total.in_pages(response.json()["total"], PAGE)


def _gone(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
    response = yield _ask(f"/{ctx.partition}/gone", cursor, *_bounds(window))
    body = response.json()
    deletes: list[Item] = [
        Delete("depot:crate", row["id"], from_unix(row["at"]), micros(from_unix(row["at"]))) for row in body["data"]
    ]
    return Page(deletes, _next(body))


def _halls(ctx: Context, cursor: Cursor | None) -> Any:
    response = yield _ask("/halls", cursor)
    body = response.json()
    return [(row["id"], row["id"]) for row in body["data"]], _next(body)


def _tables(ctx: Context, cursor: Cursor | None) -> Discovered:
    response = yield _ask("/tables", cursor)
    body = response.json()
    return [_found(row) for row in body["data"]], _next(body)


def _found(row: Row) -> Found:
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in row["fields"]}}
    return Found(row["hall"], row["id"], row["id"], schema, {"fields": row["fields"]}, f"depot:{row['id']}")


def _table(key: str, found: Found) -> Collection:
    """Of a row only the fields are read that the search has found."""
    fields = ["id", *found.upstream["fields"]]

    def record(row: Row, as_of: datetime) -> Record:
        return Record(key, row["id"], orjson.dumps({name: row.get(name) for name in fields}), as_of)

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        response = yield _ask(f"/{found.scope}/tables/{found.upstream_id}", cursor)
        body = response.json()
        return Page([record(row, response.sent_at) for row in body["data"]], _next(body))

    def fetch(ctx: Context, row_id: str, parent: str | None) -> Steps:
        response = yield Request(f"/{found.scope}/tables/{found.upstream_id}/{row_id}", accept=(404,))
        if response.status == 404:
            return Page([Delete(key, row_id, response.sent_at)])
        return Page([record(response.json(), response.sent_at)])

    return Collection(key, found.name, listing=Listing(page), deletes="feed", fetch=Fetch(fetch))


def _feeds(wanted: Mapping[str, Found]) -> tuple[Feed, ...]:
    return tuple(_feed(hall, wanted) for hall in sorted({found.scope for found in wanted.values()}))


def _feed(hall: str, wanted: Mapping[str, Found]) -> Feed:
    keys = {found.upstream_id: key for key, found in wanted.items() if found.scope == hall}

    def start(ctx: Context) -> Steps:
        response = yield Request(f"/{hall}/log/end")
        return Page(next={"after": response.json()["end"]})

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        assert cursor is not None
        response = yield Request(f"/{hall}/log", query=(("after", str(cursor["after"])),))
        body = response.json()
        items: list[Item] = []
        for _, table, key, what in body["data"]:
            if table in keys:
                item = Delete if what == "deleted" else Mention
                items.append(item(keys[table], key, response.sent_at))
        return Page(items, {"after": body["next"]}, more=body["more"])

    every = timedelta(milliseconds=100)
    return Feed(f"log:{hall}", frozenset(keys.values()), page, "token", start=start, every=every)


def _fault(response: Response) -> Fault | None:
    kinds: dict[int, Any] = {401: "auth", 403: "permission", 404: "gone", 410: "expired", 429: "rate"}
    if response.status < 400:
        return None
    return Fault(kinds.get(response.status, "transient"), f"status {response.status}")


def depot(settle: timedelta = timedelta(seconds=1), windowed: Literal["created"] | None = "created") -> Provider:
    return Provider(
        slug="depot",
        name="Depot",
        base_url=lambda properties: str(properties["base_url"]),
        hosts=("127.0.0.1",),
        kinds=(KEY,),
        limits=LimitPolicy((Limit(100_000, 1),)),
        collections=(
            Collection(
                "depot:crate",
                "crate",
                listing=Listing(_crates(), windowed=windowed, order="oldest_first", count=_crates_counted),
                changes=(ChangedSince(_crates(("since", "1")), ordered=True, settle=settle),),
                deleted=Deleted(_gone, timedelta(days=15), settle),
                deletes="list",
                partitions=Partitions(_halls, key_of=lambda hall: hall.partition(".")[0]),
            ),
        ),
        fault=_fault,
        discovery=Discovery(_tables, _table, _feeds),
        default_rate_limit=lambda mode: (100_000, 1),
    )


DEPOT = depot()
