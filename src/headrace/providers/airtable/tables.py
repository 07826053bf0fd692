"""The records of one table: listed, by time of change, by id, and single.

An id that cannot be read is either gone or not allowed, and Airtable says the same of both
(INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND); a list of the table that is answered and does not hold it tells.

Sources: https://airtable.com/developers/web/api (list records, get record, errors).
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from headrace.providers.airtable import access
from headrace.providers.airtable.formulas import among, changed_within
from headrace.providers.airtable.places import BY_ID, PAGE, SIZED, record, records
from headrace.providers.kit import (
    Context,
    Cursor,
    Delete,
    Fault,
    Faulted,
    Item,
    Mention,
    Page,
    Paged,
    Record,
    Request,
    Response,
    Steps,
    Window,
)
from headrace.providers.kit.rows import Body, Raw, Reader, decoded

REFUSED = (400, 403, 404, 422)
_rows = Body("records")


@dataclass(frozen=True)
class Table:
    """A table of a base, and the collection that its records make."""

    collection: str
    base: str
    id: str

    @property
    def path(self) -> str:
        """What its records have for a parent: so a table that was destroyed takes them with it."""
        return f"{self.base}/{self.id}"

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.collection, created="createdTime")

    def _record(self, row: Raw, as_of: datetime) -> Record:
        record = self._reader(row, as_of)
        record.parent = self.path
        return record

    def listing(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        """Everything, a hundred records a page. Order and membership are those of the first page's moment."""
        return self._list(Paged(records(self.base, self.id, BY_ID), SIZED, "records"), ctx, cursor)

    def changed(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        """What somebody changed in the window. Computed fields move no time."""
        request = records(self.base, self.id, BY_ID, *changed_within(window))
        return self._list(Paged(request, SIZED, "records"), ctx, cursor)

    def _list(self, paged: Paged, ctx: Context, cursor: Cursor | None) -> Steps:
        read = yield from paged.read(ctx, Window(), cursor)
        return Page([self._record(row, read.as_of) for row in read.rows], next=read.next)

    # By id.

    def fetch(self, ctx: Context, key: str, parent: str | None) -> Steps:
        """One record, or that it is gone."""
        return Page([(yield from self.one(key))])

    def one(self, key: str) -> Generator[Request, Response, Record | Delete]:
        """The record, or that it is gone. Raises Faulted where it may not be read."""
        response = yield record(self.base, self.id, key, BY_ID, accept=(403, 404))
        if response.status < 300:
            return self._record(Raw(response.body), response.sent_at)
        told = yield from self._among([key])
        if told.refusal is not None:
            raise Faulted(told.refusal)
        if key in told.rows:
            return told.rows[key]
        if response.status == 403 and not told.exact:
            raise Faulted(access.fault(response) or Fault("permission", "the record may not be read"))
        return Delete(self.collection, key, told.as_of)

    def read(self, keys: Sequence[str]) -> Generator[Request, Response, list[Item]]:
        """These records as they are now, a hundred a request. One that no list can tell of is a Mention."""
        items: list[Item] = []
        for at in range(0, len(keys), PAGE):
            asked = keys[at : at + PAGE]
            told = yield from self._among(asked)
            items += told.rows.values()
            missing = [key for key in asked if key not in told.rows]
            # One of them, asked for by itself, shows whether the list is to be believed.
            if missing and told.exact and isinstance((yield from self.one(missing[0])), Delete):
                items += (Delete(self.collection, key, told.as_of) for key in missing)
            else:
                items += (Mention(self.collection, key, told.as_of) for key in missing)
        return items

    def _among(self, keys: Sequence[str]) -> Generator[Request, Response, "_Told"]:
        request = records(self.base, self.id, BY_ID, among(keys), ("pageSize", str(PAGE)), accept=REFUSED)
        response = yield request
        if response.status >= 300:
            refusal = access.fault(response)
            return _Told({}, response.sent_at, exact=False, refusal=refusal)
        answer = decoded(lambda: _rows.read(response))
        rows = {record.id: record for record in (self._record(row, response.sent_at) for row in answer.rows)}
        strangers = rows.keys() - set(keys)
        asked_for = {key: record for key, record in rows.items() if key not in strangers}
        return _Told(asked_for, response.sent_at, exact=not strangers)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a list by ids told. `exact`: it holds no other records, so those that it lacks are not there."""

    rows: dict[str, Record]
    as_of: datetime
    exact: bool
    refusal: Fault | None = None
