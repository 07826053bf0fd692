"""Large tables by Bulk API 2.0: a job of the provider's, then its result in large pieces of CSV.

A cell becomes the JSON that the REST form of the row has, by the type that describe tells of its field, so that a
record is the same through both readings.

Sources: https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch (Create a Query Job, Get
Information About a Query Job, Get Results for a Query Job, limits).
"""

import csv
import io
import re
from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from headrace.providers.kit import (
    Context,
    Counting,
    Cursor,
    Fault,
    Faulted,
    Page,
    Request,
    Response,
    Steps,
    Total,
    Window,
)
from headrace.providers.salesforce import soql
from headrace.providers.salesforce.access import document, passing, path
from headrace.providers.salesforce.objects import SObject

LARGE = 100_000
"""Rows from which on a job costs less of the org's requests than pages of 2 000 do."""

CELLS = 1_000_000
"""Cells of one piece of the result: some tens of megabytes at most."""

PATIENCE = timedelta(days=1)
"""How long a job is waited for, whatever its state is said to be; after that the rows are read in pages. Salesforce
gives a query two minutes and the retrieval of its result two and a half hours of attempts (How Bulk Queries Are
Processed), but documents no limit of the time in the queue."""

csv.field_size_limit(1 << 26)  # a long text area holds 131 072 characters, which is where the default ends

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_WHOLE = frozenset({"int", "long"})
_PART = frozenset({"double", "currency", "percent"})


class Bulk:
    """The listing of an object: by a job where the table is large, else by pages."""

    def __init__(self, sobject: SObject) -> None:
        self._object = sobject
        self._shape = sobject.shape
        self._types = dict(sobject.shape.fields)

    def page(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        if cursor is None:
            large = yield from self._is_large(ctx)
            if not large:
                return (yield from self._object.page(ctx, window, None))
            return (yield from self._begin(ctx, window))
        if "job" not in cursor:
            return (yield from self._object.page(ctx, window, None if "paged" in cursor else cursor))
        if "polls" in cursor:
            return (yield from self._poll(ctx, cursor))
        return (yield from self._result(ctx, cursor))

    def count(self, ctx: Context, window: Window) -> Counting:
        """By SOQL. Pages of 2 000 rows follow from it, but for what wide rows make of them; the polls of a job do not:
        one is taken as a guess."""
        rows = yield from self._object.counted(ctx, window)
        if rows is None:
            return None
        asked = 1 if self._shape.fields and self._shape.in_bulk else 0
        if asked and (yield from self._is_large(ctx)):
            pieces = -(-rows // self._piece)
            return Total(rows, asked + 2 + pieces, exact=False)
        portions = len(soql.portions([name for name, _ in self._shape.fields], ("Id",)))
        pages = rows // soql.ROWS + 1
        return Total(rows, asked + pages * portions, exact=bool(self._shape.fields) and portions == 1)

    @property
    def _piece(self) -> int:
        """Rows of one piece of a job's result."""
        return max(1_000, CELLS // len(self._shape.fields))

    def _is_large(self, ctx: Context) -> Generator[Request, Response, bool]:
        """By the approximate count that the org keeps; where it tells none, the table counts as small."""
        if not (self._shape.fields and self._shape.in_bulk):
            return False
        request = Request(f"{path(ctx.properties)}/limits/recordCount", query=(("sObjects", self._shape.name),))
        answer = yield replace(request, accept=(400, 403, 404, 405, 501), any_body=True)
        if answer.status >= 300:
            return False
        counts = document(answer).get("sObjects") or ()
        return any(each.get("name") == self._shape.name and each.get("count", 0) >= LARGE for each in counts)

    def _begin(self, ctx: Context, window: Window) -> Steps:
        text = self._object.query(window).soql([name for name, _ in self._shape.fields])
        text = text.partition(" ORDER BY ")[0]  # an order keeps the provider from working on the parts side by side
        body = orjson.dumps({"operation": "queryAll", "query": text, "contentType": "CSV", "lineEnding": "LF"})
        headers = {"Content-Type": "application/json"}
        url = f"{path(ctx.properties)}/jobs/query"
        answer = yield Request(url, "POST", headers=headers, body=body, accept=(400, 403, 404, 405), any_body=True)
        if answer.status >= 400:
            passing(answer)
            return Page(next={"paged": True})  # this object cannot be read by a job, or this user may begin none
        job = document(answer)["id"]
        return Page(next={"job": job, "polls": 0, "as_of": answer.sent_at.isoformat()}, wait=_pause(0))

    def _poll(self, ctx: Context, cursor: Cursor) -> Steps:
        answer = yield Request(f"{path(ctx.properties)}/jobs/query/{cursor['job']}", accept=(404,))
        if answer.status == 404:
            raise Faulted(Fault("restart", "the job is kept no longer"))
        state = document(answer).get("state")
        if state == "JobComplete":
            return (yield from self._result(ctx, {"job": cursor["job"], "as_of": cursor["as_of"]}))
        late = answer.sent_at - datetime.fromisoformat(cursor["as_of"]) > PATIENCE
        if late or state in ("Failed", "Aborted"):
            return Page(next={"paged": True})
        polls = cursor["polls"] + 1
        return Page(next={**cursor, "polls": polls}, wait=_pause(polls))

    def _result(self, ctx: Context, cursor: Cursor) -> Steps:
        query = [("maxRecords", str(self._piece))]
        if "locator" in cursor:
            query.append(("locator", cursor["locator"]))
        url = f"{path(ctx.properties)}/jobs/query/{cursor['job']}/results"
        answer = yield Request(url, query=tuple(query), headers={"Accept": "text/csv"}, accept=(404,))
        if answer.status == 404:
            raise Faulted(Fault("restart", "the job's result is kept no longer"))
        as_of = datetime.fromisoformat(cursor["as_of"])
        items = [self._object.item(row, as_of) for row in self._rows(ctx, answer)]
        told = answer.headers.get("sforce-numberofrecords", "")
        if told.isdecimal() and int(told) != len(items):
            raise Faulted(Fault("transient", f"{len(items)} rows came where {told} were told"))
        locator = answer.headers.get("sforce-locator", "null")
        if locator in ("", "null"):
            return Page(items)
        return Page(items, next={"job": cursor["job"], "as_of": cursor["as_of"], "locator": locator})

    def _rows(self, ctx: Context, answer: Response) -> Iterator[bytes]:
        """The rows as the REST form has them, by the names in the first line: what the object has now may be more or
        less than what it had when the job was made. A field that it has no longer is left out."""
        types = {name.lower(): name for name in self._types}
        url = f"{path(ctx.properties)}/sobjects/{self._shape.name}/"
        try:
            lines = filter(None, csv.reader(io.StringIO(answer.body.decode(), newline=""), strict=True))
            first = next(lines, None)
            if first is None and answer.headers.get("sforce-numberofrecords") == "0":
                return
            heads = [types.get(name.lower()) for name in first or ()]
            if "Id" not in heads:
                raise Faulted(Fault("transient", "the result has no line of names with Id in it"))
            for row in lines:
                if len(row) != len(heads):
                    raise Faulted(Fault("transient", f"a row has {len(row)} cells below {len(heads)} names"))
                cells = dict(zip(heads, row, strict=True))
                attributes = {"type": self._shape.name, "url": url + cells["Id"]}
                values = {name: self._value(name, cells[name]) for name in self._types if name in cells}
                yield orjson.dumps({"attributes": attributes, **values})
        except (csv.Error, UnicodeDecodeError) as error:
            raise Faulted(Fault("transient", f"the result is no CSV: {error}")) from None

    def _value(self, name: str, cell: str) -> Any:
        kind = self._types[name]
        if cell == "":
            return None
        if kind == "boolean":
            return cell.lower() == "true"
        if kind in _WHOLE | _PART and _NUMBER.fullmatch(cell):
            part = kind in _PART and cell.lstrip("-").isdecimal()
            return orjson.Fragment(f"{cell}.0" if part else cell)
        if kind == "datetime" and cell.endswith("Z"):
            return cell[:-1] + "+0000"
        return cell


def _pause(polls: int) -> timedelta:
    """Between one look at the job and the next: from a second up to a minute."""
    return timedelta(seconds=min(60.0, 1.5**polls))
