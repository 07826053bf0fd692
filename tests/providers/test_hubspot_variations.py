"""Any answer that HubSpot's documentation allows gives the same records.

The small portal here is none of ours: it shows its contacts, its archive and their associations in every form that the
documentation leaves open, or that servers which speak HubSpot's language are known for.

Sources: https://developers.hubspot.com/docs/api-reference (CRM objects, search, associations v4),
https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines (headers, which search lacks).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from headrace.http import Request, Response
from headrace.providers.hubspot.associations import Associations
from headrace.providers.hubspot.objects import Objects
from headrace.providers.hubspot.portal import ObjectType
from headrace.providers.kit import EVERYTHING, Context, Delete, Faulted, Item, Record, Window
from headrace.providers.kit.checks import drive, walk

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CTX = Context({}, NOW)
CONTACT = Objects(ObjectType("contact", "contacts", "lastmodifieddate", ("email",)))
ALIVE, GONE = range(1, 451), range(501, 621)
LINKS = 5
"""The companies of each contact."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Form:
    """How the portal answers. `dress` changes a row, `paging` makes what stands for the next page, `end` what stands
    beside the last one; `found` are the most rows of a search."""

    dress: Callable[[Json], Json] = lambda row: row
    paging: Callable[[str], Any] = lambda after: {"next": {"after": after, "link": f"?after={after}"}}
    end: Json | None = None
    found: int = 200
    batch: Callable[[Json], Json] = lambda body: body
    heeds_archived: bool = True
    restored: bool = False


FORMS = {
    "as documented": Form(),
    "after as a number": Form(paging=lambda after: {"next": {"after": int(after)}}),
    "paging that is null": Form(end={"paging": None}),
    "paging without next": Form(end={"paging": {}}),
    "next that is null": Form(end={"paging": {"next": None, "prev": {"before": "1"}}}),
    "after that is empty": Form(end={"paging": {"next": {"after": ""}}}),
    "ids as numbers": Form(dress=lambda row: {**row, "id": int(row["id"])}),
    "unknown fields": Form(dress=lambda row: {**row, "url": "https://x", "objectWriteTraceId": None, "x": [{"y": 1}]}),
    "properties that are null": Form(dress=lambda row: {**row, "properties": {**row["properties"], "email": None}}),
    "history of properties": Form(dress=lambda row: {**row, "propertiesWithHistory": {"email": [{"value": "a"}]}}),
    "associations that come along": Form(dress=lambda row: {**row, "associations": {"companies": {"results": []}}}),
    "times in milliseconds": Form(
        dress=lambda row: {
            **row,
            "properties": {**row["properties"], "lastmodifieddate": str(millis(row["properties"]["lastmodifieddate"]))},
        }
    ),
    "rows without `archived`": Form(dress=lambda row: {name: row[name] for name in row if name != "archived"}),
    "a search of a hundred rows": Form(found=100),
    "a batch without a status": Form(batch=lambda body: {"results": body["results"]}),
    "a batch in another order": Form(batch=lambda body: {**body, "results": body["results"][::-1]}),
    "archived not heeded": Form(heeds_archived=False),
    "alive, with the time of an earlier archiving": Form(restored=True),
}


def millis(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000)


class Portal:
    """Its contacts, in pairs of one millisecond; those of `GONE` are archived."""

    def __init__(self, form: Form) -> None:
        self.form = form

    def __call__(self, request: Request) -> Response:
        asked: Json = orjson.loads(request.body) if request.body else dict(request.query)
        if "/associations/" in request.url:
            return self._answer({"status": "COMPLETE", "results": [self._linked(each) for each in asked["inputs"]]})
        if request.url.endswith("/batch/read"):
            rows = [self._row(int(each["id"])) for each in asked["inputs"] if int(each["id"]) in ALIVE]
            return self._answer(self.form.batch({"status": "COMPLETE", "results": rows}))
        if request.url.endswith("/search"):
            return self._found(asked)
        archived = asked.get("archived") == "true"
        if not self.form.heeds_archived:
            return self._paged([*ALIVE, *GONE], asked)
        return self._paged([*GONE] if archived else [*ALIVE], asked)

    def _row(self, number: int) -> Json:
        time = (NOW + timedelta(milliseconds=number // 2)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        row = {
            "id": str(number),
            "properties": {"email": "a@example.com", "hs_object_id": str(number), "lastmodifieddate": time},
            "createdAt": time,
            "updatedAt": time,
            "archived": number in GONE,
        }
        if number in GONE or self.form.restored:
            row["archivedAt"] = time
        return self.form.dress(row)

    def _paged(self, numbers: list[int], asked: Json, size: int = 100) -> Response:
        first = int(asked.get("after") or 0)
        body: Json = {"results": [self._row(number) for number in numbers[first : first + size]]}
        if first + size < len(numbers):
            body["paging"] = self.form.paging(str(first + size))
        else:
            body |= self.form.end or {}
        return self._answer(body)

    def _found(self, asked: Json) -> Response:
        """In the order of change, or of the ids; the bounds as they are named."""
        bounds = {
            (each["propertyName"], each["operator"]): int(each["value"])
            for group in asked["filterGroups"]
            for each in group["filters"]
        }
        low, same = bounds.get(("lastmodifieddate", "GTE"), 0), bounds.get(("lastmodifieddate", "EQ"))
        above = bounds.get(("hs_object_id", "GT"), 0)
        start = int(NOW.timestamp() * 1000)
        numbers = [
            number
            for number in ALIVE
            if start + number // 2 >= low and same in (None, start + number // 2) and number > above
        ]
        return self._paged(numbers, asked, min(asked["limit"], self.form.found))

    def _linked(self, each: Json) -> Json:
        """Two companies a page."""
        first = int(each.get("after") or 0)
        ends = range(first, min(first + 2, LINKS))
        types = [{"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None}]
        row: Json = {
            "from": {"id": each["id"]},
            "to": [{"toObjectId": 9000 + end, "associationTypes": types} for end in ends],
        }
        return {**row, "paging": self.form.paging(str(first + 2))} if first + 2 < LINKS else row

    def _answer(self, body: Json) -> Response:
        return Response(200, orjson.dumps(body), NOW)


def there(items: list[Item]) -> set[str]:
    return {item.id for item in items if isinstance(item, Record)}


def gone(items: list[Item]) -> set[str]:
    return {item.id for item in items if isinstance(item, Delete)}


@pytest.mark.parametrize("name", FORMS)
def test_any_documented_form_of_an_answer_gives_the_same_records(name: str) -> None:
    portal = Portal(FORMS[name])
    alive = {str(number) for number in ALIVE}
    for page in (CONTACT.listing, CONTACT.changed):
        items = [item for each in walk(page, CTX, EVERYTHING, portal) for item in each.items]
        assert there(items) == alive
        assert not gone(items) & alive
    archive = [item for each in walk(CONTACT.deleted, CTX, EVERYTHING, portal) for item in each.items]
    assert gone(archive) <= {str(number) for number in GONE}
    associations = walk(Associations("contact").listing, CTX, EVERYTHING, portal)
    ends = {f"{number}/companies/{9000 + end}" for number in ALIVE for end in range(LINKS)}
    assert there([item for each in associations for item in each.items]) >= ends


@pytest.mark.parametrize("name", FORMS)
def test_what_is_archived_is_told_as_gone_with_its_moment(name: str) -> None:
    window = Window(NOW + timedelta(milliseconds=300, seconds=2), None)
    told = [item for each in walk(CONTACT.deleted, CTX, window, Portal(FORMS[name])) for item in each.items]
    assert gone(told) == {str(number) for number in GONE if number // 2 >= 300}


@pytest.mark.parametrize("circle", [1, 2, 3])
def test_associations_whose_pages_go_in_circles_are_a_fault(circle: int) -> None:
    """They would be read for ever."""

    def respond(request: Request) -> Response:
        if "/associations/" not in request.url:
            return Portal(Form())(request)
        said = orjson.loads(request.body or b"{}")["inputs"]
        rows = [
            {
                "from": {"id": each["id"]},
                "to": [],
                "paging": {"next": {"after": str((int(each.get("after", "0")) + 1) % circle)}},
            }
            for each in said
        ]
        return Response(200, orjson.dumps({"results": rows}), NOW)

    with pytest.raises(Faulted, match="circles"):
        drive(Associations("contact").listing(CTX, EVERYTHING, None), respond)


def test_a_window_of_changes_holds_all_of_it_and_nothing_twice() -> None:
    window = Window(NOW + timedelta(milliseconds=100), NOW + timedelta(days=1))
    pages = walk(CONTACT.changed, CTX, window, Portal(Form(found=50)))
    read = [item.id for page in pages for item in page.items if isinstance(item, Record)]
    assert sorted(read, key=int) == [str(number) for number in ALIVE if number // 2 >= 100]
