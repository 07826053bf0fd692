"""Reading CRM objects: by list, by search and in batches; one canonical shape through all of them.

A search only tells which objects changed: its index lags, and it shows what the index holds. What they hold is read by
`batch/read`, which is exact and takes the names of the properties in its body. A list takes them in its address; where
they do not fit, the list gives the ids and the rest is read in batches as well.

Sources: https://developers.hubspot.com/docs/api-reference (CRM objects, search: one sort, 200 rows a page, 10 000 rows
a query; batch read: 100 inputs, 207 where some are missing), notes of other connectors on the index's lag.
"""

from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from urllib.parse import quote, quote_plus

import orjson

from headrace.providers.hubspot.access import SEARCH, not_there
from headrace.providers.hubspot.portal import ObjectType, properties_of
from headrace.providers.kit import (
    Context,
    Counting,
    Cursor,
    Delete,
    Fault,
    Faulted,
    Item,
    Page,
    Record,
    Request,
    Response,
    Steps,
    Total,
    Window,
)
from headrace.providers.kit.rows import Body, Picker, Raw, Reader, decoded, iso8601

LIST, BATCH, FOUND = 100, 100, 200
"""Rows of a list, of a batch, of a search."""
ADDRESS = 12_000
"""Bytes of property names that an address may hold."""
RETENTION = timedelta(days=90)
"""How long what was deleted stays in the list of what is archived."""
_GRAIN = timedelta(seconds=2)

_listed = Body("results", after="paging.next.after")
_batch = Body("results", status="status", errors="errors")
_UNDONE = frozenset({"PENDING", "PROCESSING", "CANCELED"})
_found = Body("results", total="total", after="paging.next.after")
_id = Picker(id=("id", Any))
_merged = Picker(
    id=("id", Any),
    merged=("properties.hs_merged_object_ids", Any),
    earlier=("properties.hs_calculated_merged_vids", Any),
)
"""`7;8`, and as contacts had it earlier: `7:1763900000000;8:1763900000001`."""
_gone = Picker(id=("id", Any), archived=("archived", Any), when=("archivedAt", Any))


class Objects:
    """The readings of one type of CRM object."""

    def __init__(self, kind: ObjectType) -> None:
        self.kind = kind
        self._path = f"/crm/v3/objects/{kind.path}"
        self._reader = Reader(kind.collection, created="createdAt", updated="updatedAt")
        self._place = Picker(id=("id", Any), at=(("properties", kind.stamp), Any))

    def _names(self) -> Generator[Request, Response, tuple[str, ...]]:
        """The names of all properties, which are asked for by name: else only some come."""
        if self.kind.properties:
            return self.kind.properties
        schema = yield from properties_of(self.kind.path)
        if schema is None:
            raise Faulted(Fault("permission", f"the properties of {self.kind.path} may not be read"))
        return schema.names

    # Everything.

    def listing(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        """The list of what is not archived, in the order of the ids."""
        names = yield from self._names()
        fits = len(quote_plus(",".join(names))) <= ADDRESS
        query = [("limit", str(LIST)), ("archived", "false")]
        if fits:
            query.append(("properties", ",".join(names)))
        if cursor is not None:
            query.append(("after", cursor["after"]))
        response = yield Request(self._path, query=tuple(query))
        answer = decoded(lambda: _listed.read(response))
        items: list[Item] = []
        if fits:
            items = [item for row in answer.rows for item in self._items(row, response.sent_at)]
        elif answer.rows:
            items = yield from self.read([_key(row) for row in answer.rows], names)
        after = answer.told["after"]
        return Page(items, next={"after": str(after)} if after else None)

    def count(self, ctx: Context, window: Window) -> Counting:
        """By the total of a search, whose index lags. The list is not cut by time."""
        body = {"filterGroups": [], "properties": [self.kind.stamp], "limit": 1}
        response = yield _search(f"{self._path}/search", body)
        total = decoded(lambda: _found.read(response)).told["total"]
        if not isinstance(total, int):
            return None
        pages = Total.in_pages(total, LIST, exact=False)
        each = 1 if self.kind.properties else 2  # their names are asked for with every page
        if len(quote_plus(",".join(self.kind.properties))) > ADDRESS:
            each += 1
        return replace(pages, requests=each * pages.requests)

    def read(self, keys: Sequence[str], names: Sequence[str] | None = None) -> Generator[Request, Response, list[Item]]:
        """These objects as they are now. One that is not there any more is a Delete; one that was merged into another
        is a Delete, and the other a Record. One that a batch leaves out without a word is asked for by itself."""
        names = (yield from self._names()) if names is None else names
        items: list[Item] = []
        for at in range(0, len(keys), BATCH):
            asked = keys[at : at + BATCH]
            body = {"inputs": [{"id": key} for key in asked], "properties": list(names)}
            response = yield _post(f"{self._path}/batch/read", body)
            answer = decoded(lambda response=response: _batch.read(response))  # type: ignore[misc]
            if answer.told["status"] in _UNDONE:
                raise Faulted(Fault("transient", f"the batch of {self.kind.path} is {answer.told['status']}"))
            rows = {_key(row): row for row in answer.rows}
            told = [item for row in rows.values() for item in self._items(row, response.sent_at)]
            explained = {item.id for item in told if isinstance(item, Record | Delete)}
            explained |= not_there(answer.told["errors"])
            for key in asked:
                if key not in rows:
                    if key not in explained:
                        yield from self._check_gone(key)
                    items.append(Delete(self.kind.collection, key, response.sent_at))
            items += told
        return items

    def _check_gone(self, key: str) -> Generator[Request, Response, None]:
        """Raise Faulted where an object is there after all. One that was merged is answered with the other."""
        url = f"{self._path}/{quote(key, safe='')}"
        response = yield Request(url, query=(("properties", "hs_object_id"),), accept=(404,))
        if response.status < 300 and _key(Raw(response.body)) == key:
            raise Faulted(Fault("transient", f"the batch of {self.kind.path} leaves out {key}, which is there"))

    def _items(self, row: Raw, as_of: datetime) -> list[Item]:
        """The object, and that those which were merged into it are gone: no other reading tells of them. One that is
        shown as archived is gone, whatever was asked for."""
        archived = self._archived(row, as_of)
        return [archived or self._reader(row, as_of), *self._losers(row, as_of)]

    def _archived(self, row: Raw, as_of: datetime) -> Delete | None:
        """That the object is gone, where the row says so; by its moment alone: what is restored need not have a later
        time of change."""
        key, archived, when = decoded(lambda: _gone(row))
        at = iso8601(when)
        if archived is False or (archived is None and at is None):
            return None
        return Delete(self.kind.collection, str(key), at or as_of, slack=_GRAIN)

    def _losers(self, row: Raw, as_of: datetime) -> list[Item]:
        key, *told = decoded(lambda: _merged(row))
        parts = (part for text in told if isinstance(text, str) for part in text.split(";"))
        losers = dict.fromkeys(part.partition(":")[0].strip() for part in parts)
        return [Delete(self.kind.collection, each, as_of) for each in losers if each and each != str(key)]

    # What changed.

    def changed(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        """By search, in the order of the last change. A page ends with a whole millisecond, so that the next begins
        behind it; a millisecond of more objects than a page holds is walked by their ids. So a query never comes near
        the 10 000 rows that it may show. A search that does not come in that order (a server that passes over `sorts`)
        is read to its end by its own cursor instead, as far as it goes. Raises Faulted where it gives none."""
        tie = cursor is not None and "tie" in cursor
        response = yield _search(f"{self._path}/search", self._query(window, cursor))
        answer = decoded(lambda: _found.read(response))
        places = [decoded(lambda row=row: self._place(row)) for row in answer.rows]  # type: ignore[misc]
        following: Cursor | None
        full = len(places) >= FOUND or bool(places and answer.told["after"])
        if tie and cursor is not None:
            keys = [str(key) for key, _ in places]
            if full and keys != sorted(keys, key=lambda key: (len(key), key)):
                raise Faulted(Fault("transient", f"the {self.kind.path} found do not come in the order of their ids"))
            following = {"tie": cursor["tie"], "id": places[-1][0]} if full else {"from": cursor["tie"] + 1}
        elif full and (_is_plain(cursor) or not _in_order(places)):
            following = self._onward(cursor, answer.told["after"])
        elif full:
            places, following = self._whole_milliseconds(places)
        else:
            following = None
        items = yield from self.read([str(key) for key, _ in places])
        return Page(items, next=following)

    def _whole_milliseconds(self, places: list[tuple[str, Any]]) -> tuple[list[tuple[str, Any]], Cursor]:
        """The rows before the last millisecond of a full page, and where the next one begins."""
        times = [_milliseconds(at) for _, at in places]
        last = times[-1]
        if times[0] == last:
            return [], {"tie": last, "id": "0"}
        before = [place for place, time in zip(places, times, strict=True) if time != last]
        return before, {"from": last}

    def _onward(self, cursor: Cursor | None, after: Any) -> Cursor | None:
        """The next page of a search whose order tells nothing; None where the plain pages are at their end."""
        if after:
            return {"from": None, **(cursor or {}), "after": str(after)}
        if _is_plain(cursor):
            return None
        raise Faulted(Fault("transient", f"the {self.kind.path} found do not come in the order of their change"))

    def _query(self, window: Window, cursor: Cursor | None) -> dict[str, Any]:
        """The body of the search."""
        stamp, sort = self.kind.stamp, self.kind.stamp
        filters: list[dict[str, str]] = []
        if cursor is not None and "tie" in cursor:
            sort = "hs_object_id"
            filters.append(_filter(stamp, "EQ", cursor["tie"]))
            filters.append(_filter("hs_object_id", "GT", cursor["id"]))
        else:
            low = cursor["from"] if cursor is not None and cursor["from"] is not None else _ceiled(window.lo)
            if low is not None:
                filters.append(_filter(stamp, "GTE", low))
            if window.hi is not None:
                filters.append(_filter(stamp, "LT", _ceiled(window.hi)))
        return {
            "filterGroups": [{"filters": filters}] if filters else [],
            "sorts": [{"propertyName": sort, "direction": "ASCENDING"}],
            "properties": [stamp],
            "limit": FOUND,
            **({"after": cursor["after"]} if cursor is not None and _is_plain(cursor) else {}),
        }

    # What is gone.

    def deleted(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        """What was archived within the window. The list has neither filter nor order: it is read to its end."""
        query = [("limit", str(LIST)), ("archived", "true"), ("properties", "hs_merged_object_ids")]
        if cursor is not None:
            query.append(("after", cursor["after"]))
        response = yield Request(self._path, query=tuple(query), accept=(400,))
        if response.status == 400:
            return Page()  # objects of this type are not archived
        answer = decoded(lambda: _listed.read(response))
        items: list[Item] = []
        for row in answer.rows:
            gone = self._archived(row, response.sent_at)
            if gone is not None and (window.lo is None or gone.as_of >= window.lo - _GRAIN):
                items += [gone, *self._losers(row, response.sent_at)]
        after = answer.told["after"]
        return Page(items, next={"after": str(after)} if after else None)

    def fetch(self, ctx: Context, key: str, parent: str | None) -> Steps:
        return Page((yield from self.read([key])))


def _key(row: Raw) -> str:
    return str(decoded(lambda: _id(row))[0])


def _is_plain(cursor: Cursor | None) -> bool:
    """Whether a search is read by its own cursor."""
    return cursor is not None and "after" in cursor


def _in_order(places: list[tuple[str, Any]]) -> bool:
    times = [_milliseconds(at) for _, at in places]
    told = [time for time in times if time is not None]
    return len(told) == len(times) and told == sorted(told)


def _filter(name: str, operator: str, value: Any) -> dict[str, str]:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def _milliseconds(value: Any) -> int | None:
    """A time as a property has it: ISO 8601, or milliseconds since 1970 as a text."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    moment = iso8601(value)
    return None if moment is None else _ceiled(moment)


def _ceiled(moment: datetime | None) -> int | None:
    return None if moment is None else ceil(moment.timestamp() * 1000 - 0.01)


def _post(url: str, body: Any, limit_class: str = "all") -> Request:
    """A query by POST, which changes nothing and may be repeated."""
    headers = {"Content-Type": "application/json"}
    return Request(url, "POST", headers=headers, body=orjson.dumps(body), limit_class=limit_class)


def _search(url: str, body: Any) -> Request:
    return _post(url, body, SEARCH)
