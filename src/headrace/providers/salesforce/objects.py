"""Reading an object: by keyset through SOQL, one record by id, and what was deleted.

A query asks for as many rows as one answer may hold, in the order of (SystemModstamp, Id), behind the last row of the
page before: so any process can go on with it, and more rows of one second than an answer holds are no trouble. Where an
answer holds fewer, since its rows are wide, the rest comes by its locator; where that has died, by another query.

Sources: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest (Query, QueryAll, Get Deleted),
.../atlas.en-us.api.meta/api/sforce_api_calls_getdeleted.htm (its rules), .../object_reference (SystemModstamp).
"""

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from headrace.clock import micros
from headrace.providers.kit import (
    Context,
    Cursor,
    Delete,
    Fault,
    Faulted,
    Item,
    Mention,
    Page,
    Record,
    Request,
    Response,
    Steps,
    Window,
)
from headrace.providers.kit.pagers import stuck
from headrace.providers.kit.rows import Answer, Body, Picker, Raw, decoded, iso8601, list_in
from headrace.providers.kit.trail import Trail
from headrace.providers.salesforce import soql
from headrace.providers.salesforce.access import document, error_of, fault, path
from headrace.providers.salesforce.describe import Shape, describe

RETENTION = timedelta(days=15)
"""How far back getDeleted reaches."""
LAG = timedelta(minutes=15)
"""How long a transaction may take to show in getDeleted."""
_MINUTE = timedelta(minutes=1)
_GRAIN = timedelta(seconds=2)
"""How far a time may be off that is told in whole seconds, against the moment of an answer."""

_body = Body("records", next="nextRecordsUrl", done="done")
_fields = msgspec.json.Decoder(dict[str, Raw])


@dataclass(slots=True)
class Read:
    """Rows as they were sent, or put together of several portions of fields.

    `heads` are the rows as they came first, `torn` the ids of those that changed between two portions. `full`: there
    may be more behind them, at `locator` or by another query.
    """

    rows: list[bytes]
    as_of: datetime
    full: bool
    locator: str | None = None
    torn: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)


class SObject:
    """An object of the org. `only` are conditions that the object must be asked with."""

    def __init__(self, shape: Shape, *only: str) -> None:
        self.shape = shape
        self._only = only
        self._stamp = shape.updated or shape.created
        self._always = ["Id", *(name for name in (self._stamp,) if name)]
        self._pick = Picker(
            id=("Id", str),
            updated=(shape.updated or "SystemModstamp", Any),
            created=(shape.created or "CreatedDate", Any),
            gone=("IsDeleted", Any),
        )

    # Rows as items.

    def item(self, raw: bytes, as_of: datetime) -> Item:
        """A row as a Record, or as a Delete where it lies in the recycle bin: its SystemModstamp moved then."""
        key, updated, created, gone = decoded(lambda: self._pick(raw))
        if key is None:
            raise Faulted(Fault("transient", f"a row of {self.shape.name} has no Id"))
        changed = iso8601(updated) if self.shape.updated else None
        version = 0 if changed is None else micros(changed)
        if gone is True:
            return Delete(self.shape.collection, key, as_of, version)
        born = iso8601(created) if self.shape.created else None
        return Record(self.shape.collection, key, raw, as_of, created=born, updated=changed, version=version)

    def items(self, read: Read) -> list[Item]:
        torn: list[Item] = [Mention(self.shape.collection, key, read.as_of) for key in read.torn]
        return [*(self.item(row, read.as_of) for row in read.rows), *torn]

    # Pages.

    def page(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        """Rows in the order of their change, or of their birth, or of their ids, whichever there is."""
        query = self.query(window, cursor)
        read = (yield from self._located(cursor)) if cursor is not None and "locator" in cursor else None
        if read is None:
            read = yield from self.read(ctx, query)
        return Page(self.items(read), next=self._after(read, bool(query.order)))

    def query(self, window: Window, cursor: Cursor | None = None) -> soql.Query:
        """The rows of the window, behind the cursor's."""
        stamp = self._stamp
        if not self.shape.sorted_by_id:
            order: tuple[str, ...] = ()
        else:
            order = ("Id",) if stamp is None else (stamp, "Id")
        conditions = [*self._only]
        if cursor is None or "id" not in cursor:
            conditions += soql.within(stamp, window)
        elif stamp is None:
            conditions.append(f"Id > {soql.text(cursor['id'])}")
        else:
            at = soql.moment(datetime.fromisoformat(cursor["at"]))
            conditions += [f"{stamp} >= {at}", f"({stamp} > {at} OR Id > {soql.text(cursor['id'])})"]
            conditions += soql.within(stamp, Window(None, window.hi))
        return soql.Query(self.shape.name, tuple(conditions), order, soql.ROWS if order else None)

    def counted(self, ctx: Context, window: Window) -> Generator[Request, Response, int | None]:
        """The rows of the window, deleted and archived ones included; None where it is not told."""
        query = replace(self.query(window), order=(), limit=None)
        told = document((yield query.request(ctx, ["COUNT()"]))).get("totalSize")
        return told if isinstance(told, int) else None

    def _located(self, cursor: Cursor) -> Generator[Request, Response, Read | None]:
        """The answer at a locator; None where it has died and the query can be gone on with by keyset. What it shows is
        of the moment at which the query was asked."""
        response = yield Request(cursor["locator"], accept=(400, 404))
        if response.status >= 300:
            if "id" in cursor:
                return None
            raise Faulted(Fault("restart", "the query locator has died"))
        answer = _answer(response)
        rows = [bytes(row) for row in answer.rows]
        locator = answer.told["next"]
        return Read(rows, datetime.fromisoformat(cursor["as_of"]), bool(locator), locator, heads=rows)

    def _after(self, read: Read, ordered: bool) -> Cursor | None:
        """What follows. Rows that do not come in the order asked for would be lost without a sound."""
        if not read.full:
            return None
        place: Cursor = self._place(read.heads) if ordered else {}
        return place if read.locator is None else {**place, "locator": read.locator, "as_of": read.as_of.isoformat()}

    def _place(self, rows: Sequence[bytes]) -> Cursor:
        heads = [decoded(lambda row=row: self._pick(row)) for row in rows]  # type: ignore[misc]
        if self._stamp is None:
            return {"id": heads[-1][0]}
        which = 1 if self.shape.updated else 2
        times = [iso8601(head[which]) for head in heads]
        known = [time for time in times if time is not None]
        if len(known) < len(times) or known != sorted(known):
            said = f"the rows of {self.shape.name} do not come in the order of their {self._stamp}"
            raise Faulted(Fault("config", said))
        return {"at": known[-1].isoformat(), "id": heads[-1][0]}

    def read(self, ctx: Context, query: soql.Query) -> Generator[Request, Response, Read]:
        """An answer of the query; with the rest of each row's fields where they do not fit into one URI."""
        fields = yield from self.fields(ctx)
        try:
            return (yield from self._read(ctx, query, fields))
        except _Unseen:
            if not self.shape.fields:
                raise  # they were described just now
        return (yield from self._read(ctx, query, (yield from self._described(ctx))))

    def _read(self, ctx: Context, query: soql.Query, fields: Sequence[str]) -> Generator[Request, Response, Read]:
        """Raises _Unseen."""
        first, *others = soql.portions(fields, self._always)
        response = _seen((yield query.request(ctx, first, accept=(400,))))
        as_of = response.sent_at
        answer = _answer(response)
        rows, locator = [bytes(row) for row in answer.rows], answer.told["next"]
        if not rows and locator:
            rows, locator = (yield from _rest(answer)), None
        full = bool(locator) or (query.limit is not None and len(rows) >= query.limit)
        if not others or not rows:
            return Read(rows, as_of, full, locator, heads=rows)
        heads = rows if query.order else [*rows, *(yield from _rest(answer))]
        rows, torn = heads, []
        narrowed = replace(query, limit=len(heads) if query.order else None)
        for portion in others:
            answer = _answer(_seen((yield narrowed.request(ctx, portion, accept=(400,)))))
            part = [bytes(row) for row in answer.rows] + (yield from _rest(answer))
            rows, lost = self._joined(rows, part)
            torn += lost
        return Read(rows, as_of, full and bool(query.order), None, torn, heads)

    def whole(self, ctx: Context, query: soql.Query) -> Generator[Request, Response, Read]:
        """All answers of a query that is known to lead to few rows."""
        read = yield from self.read(ctx, query)
        if read.locator is not None:
            read.rows += yield from _behind(read.locator)
        return read

    def fields(self, ctx: Context) -> Generator[Request, Response, list[str]]:
        """The names of the fields that are read."""
        if self.shape.fields:
            return [name for name, _ in self.shape.fields]
        return (yield from self._described(ctx))

    def _described(self, ctx: Context) -> Generator[Request, Response, list[str]]:
        answer = yield describe(ctx, self.shape.name)
        return [name for name, _ in Shape.told(document(answer)).fields]

    def _joined(self, rows: Sequence[bytes], part: Sequence[bytes]) -> tuple[list[bytes], list[str]]:
        """The rows with their other fields; and the ids of those that changed or went away between the two answers."""
        others = {decoded(lambda row=row: self._pick(row))[:2]: row for row in part}  # type: ignore[misc]
        whole: list[bytes] = []
        torn: list[str] = []
        for row in rows:
            key, updated, *_ = decoded(lambda row=row: self._pick(row))  # type: ignore[misc]
            other = others.get((key, updated))
            if other is None:
                torn.append(key)
            else:
                whole.append(msgspec.json.encode({**_fields.decode(other), **_fields.decode(row)}))
        return whole, torn

    # One record.

    def fetch(self, ctx: Context, key: str, parent: str | None) -> Steps:
        """The record by its id; a Delete when it lies in the recycle bin, was purged, or is out of the user's sight,
        which cannot be told apart."""
        query = soql.Query(self.shape.name, (f"Id = {soql.text(key)}",), ("Id",), 1)
        read = yield from self.read(ctx, query)
        if read.torn:
            raise Faulted(Fault("transient", f"{self.shape.name} {key} changed while it was read"))
        if not read.rows:
            return Page([Delete(self.shape.collection, key, read.as_of)])
        return Page([self.item(read.rows[0], read.as_of)])

    # Deletions.

    def deleted(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        """What getDeleted tells: hard deletes too. It takes whole minutes, more than one, and none to come."""
        hi = ctx.now if window.hi is None else min(window.hi, ctx.now)
        lo = hi - RETENTION + LAG if window.lo is None else window.lo
        start = min(lo, hi - 2 * _MINUTE).replace(second=0, microsecond=0)
        query = (("start", _stamp(start)), ("end", _stamp(hi)))
        url = f"{path(ctx.properties)}/sobjects/{self.shape.name}/deleted/"
        response = yield Request(url, query=query, accept=(400, 404), any_body=True)
        if response.status >= 400:
            _check_kept(response)
            return Page()
        answer = document(response)
        earliest = iso8601(answer.get("earliestDateAvailable"))
        if earliest is not None and earliest > lo.replace(second=0, microsecond=0):
            raise Faulted(Fault("expired", f"the deletions of {self.shape.name} are told since {earliest} only"))
        covered = iso8601(answer.get("latestDateCovered"))
        if covered is not None and covered < hi - LAG:
            raise Faulted(Fault("transient", f"the deletions of {self.shape.name} are told until {covered} only"))
        return Page([self._deletion(each, response.sent_at) for each in list_in(answer, "deletedRecords")])

    def _deletion(self, told: dict[str, Any], as_of: datetime) -> Item:
        """As it was when it was deleted, to the second: what was restored later has a later SystemModstamp, and what
        was read within that second is fetched."""
        when = iso8601(told.get("deletedDate"))
        if when is None:
            return Mention(self.shape.collection, str(told["id"]), as_of)
        version = micros(when) if self.shape.updated else 0
        return Delete(self.shape.collection, str(told["id"]), when, version, slack=_GRAIN)


class _Unseen(Faulted):
    """A field of those asked for is gone since the describe that is kept, or the user may no longer see it."""


def _seen(response: Response) -> Response:
    """The answer of a query. Raises _Unseen, and Faulted for any other refusal."""
    if response.status < 300:
        return response
    told = fault(response) or Fault("bad", f"HTTP status {response.status}")
    raise (_Unseen if error_of(response)[0] == "INVALID_FIELD" else Faulted)(told)


def _answer(response: Response) -> Answer:
    """The rows of an answer. One that says that it is not done, and not where the others are, is a transient fault."""
    answer = decoded(lambda: _body.read(response))
    if answer.told["done"] is False and not answer.told["next"]:
        raise stuck("the query is not done, and no locator of the rest is given")
    return answer


def _rest(answer: Answer) -> Generator[Request, Response, list[bytes]]:
    """The rows that follow an answer within one page."""
    locator = answer.told["next"]
    return (yield from _behind(str(locator))) if locator else []


def _behind(locator: str | None) -> Generator[Request, Response, list[bytes]]:
    """The rows at a locator and those that follow, within one page. When one dies, the page is asked for again. Raises
    Faulted where they lead in a circle."""
    rows: list[bytes] = []
    trail = Trail()
    while locator:
        response = yield Request(trail.follow(locator), accept=(400, 404))
        if response.status >= 300:
            raise Faulted(Fault("transient", "a query locator died within a page"))
        answer = _answer(response)
        rows += (bytes(row) for row in answer.rows)
        locator = answer.told["next"]
    return rows


_UNKEPT = re.compile(r"not replic|not support", re.I)


def _check_kept(response: Response) -> None:
    """Raise Faulted unless the refusal says that no deletions of this object are kept: it has no log of them (404), or
    is not replicable."""
    if response.status != 404 and not _UNKEPT.search(error_of(response)[1]):
        raise Faulted(fault(response) or Fault("bad", f"HTTP status {response.status}"))


def _stamp(value: datetime) -> str:
    return soql.moment(value.replace(microsecond=0)).replace(".000Z", "+00:00")
