"""Associations: which objects of one type belong to which of others. They have no times; a change moves no object's.

They are read along the objects at whose hand they are kept, a hundred at once, again when such an object changed, and
compared in full daily.

Source: https://developers.hubspot.com/docs/api-reference (associations v4: batch read, 1 000 inputs, own paging).
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from headrace.providers.hubspot.objects import LIST
from headrace.providers.hubspot.portal import STANDARD, document
from headrace.providers.kit import (
    ChildSet,
    Context,
    Cursor,
    Item,
    Page,
    Record,
    Request,
    Response,
    Steps,
    Window,
)
from headrace.providers.kit.rows import Body, Picker, decoded, list_in
from headrace.providers.kit.trail import Trail

PAIRS: Mapping[str, tuple[str, ...]] = {
    "call": ("contacts", "companies", "deals", "tickets"),
    "contact": ("companies",),
    "deal": ("contacts", "companies", "line_items"),
    "email": ("contacts", "companies", "deals", "tickets"),
    "meeting": ("contacts", "companies", "deals", "tickets"),
    "note": ("contacts", "companies", "deals", "tickets"),
    "task": ("contacts", "companies", "deals", "tickets"),
    "ticket": ("contacts", "companies"),
}
"""Each pair stands once: the association of a company with a deal is the deal's."""

_PATHS = {kind.name: kind.path for kind in STANDARD}
_listed = Body("results", after="paging.next.after")
_id = Picker(id=("id", Any))


@dataclass(frozen=True, slots=True)
class Associations:
    """The associations of the objects of one type."""

    name: str

    @property
    def collection(self) -> str:
        return f"hubspot:{self.name}_association"

    @property
    def parent(self) -> str:
        return f"hubspot:{self.name}"

    def listing(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        query = [("limit", str(LIST)), ("archived", "false"), ("properties", "hs_object_id")]
        if cursor is not None:
            query.append(("after", cursor["after"]))
        response = yield Request(f"/crm/v3/objects/{_PATHS[self.name]}", query=tuple(query))
        answer = decoded(lambda: _listed.read(response))
        keys = [str(decoded(lambda row=row: _id(row))[0]) for row in answer.rows]  # type: ignore[misc]
        items: list[Item] = list((yield from self._of(keys)))
        after = answer.told["after"]
        return Page(items, next={"after": str(after)} if after else None)

    def again(self, ctx: Context, parent: Record, cursor: Cursor | None) -> Steps:
        records = yield from self._of([parent.id])
        as_of = min((record.as_of for record in records), default=ctx.now)
        there = frozenset(record.id for record in records)
        return Page([*records, ChildSet(self.collection, parent.id, there, as_of)])

    def _of(self, keys: Sequence[str]) -> Generator[Request, Response, list[Record]]:
        """What these objects are associated with. Raises Faulted where an object's list goes in circles."""
        found: list[Record] = []
        for other in PAIRS[self.name]:
            inputs: list[dict[str, str]] = [{"id": key} for key in keys]
            trail = Trail()
            while inputs:
                response = yield Request(
                    f"/crm/v4/associations/{_PATHS[self.name]}/{other}/batch/read",
                    "POST",
                    headers={"Content-Type": "application/json"},
                    body=orjson.dumps({"inputs": inputs}),
                )
                inputs = []
                for row in list_in(document(response), "results"):
                    key = str(row["from"]["id"])
                    found += (self._record(key, other, each, response) for each in list_in(row, "to"))
                    after = ((row.get("paging") or {}).get("next") or {}).get("after")
                    if after:
                        inputs.append(trail.follow({"id": key, "after": str(after)}))
        return found

    def _record(self, key: str, other: str, told: Mapping[str, Any], response: Response) -> Record:
        """HubSpot tells the other end alone; both ends stand in the record."""
        end = str(told["toObjectId"])
        ends = {"fromObjectType": _PATHS[self.name], "fromObjectId": key, "toObjectType": other, **told}
        return Record(self.collection, f"{key}/{other}/{end}", orjson.dumps(ends), response.sent_at, parent=key)
