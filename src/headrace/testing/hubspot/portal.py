"""What a portal holds: CRM objects, the search index that lags behind them, associations, and lists of other things.

Sources: https://developers.hubspot.com/docs/api-reference (CRM objects, associations, merge, GDPR deletion), and
facts of other connectors (the index's lag, calculated properties that move no time).
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from headrace.testing.faults import Faults

Json = dict[str, Any]

STANDARD = (
    "contacts", "companies", "deals", "tickets", "products", "line_items", "quotes", "calls", "emails", "meetings",
    "notes", "tasks",
)  # fmt: skip
"""The types that this portal has; others of HubSpot's are refused as for want of a scope."""
CUSTOM = "2-7654321"
WIDE = "tickets"
"""This type has more properties than an address holds."""

OWN: Mapping[str, tuple[str, ...]] = {
    "contacts": ("email", "firstname", "lastname", "phone", "lifecyclestage", "hubspot_owner_id"),
    "companies": ("name", "domain", "industry", "annualrevenue"),
    "deals": ("dealname", "amount", "dealstage", "pipeline", "closedate"),
    WIDE: ("subject", "hs_pipeline", *(f"answer_to_question_number_{n:03}_of_the_form" for n in range(330))),
    CUSTOM: ("mill_name", "wheels"),
}
_SYSTEM = ("hs_object_id", "createdate", "hs_lastmodifieddate", "hs_createdate", "hs_merged_object_ids")


def stamp_of(kind: str) -> str:
    return "lastmodifieddate" if kind == "contacts" else "hs_lastmodifieddate"


def written(seconds: float) -> str:
    """A time as the API writes it, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Thing:
    """A CRM object. `changed` is in whole milliseconds since 1970; `archived_at` in seconds, None while it is there."""

    id: int
    created: int
    changed: int
    values: dict[str, str | None]
    archived_at: float | None = None
    indexed_at: float = 0.0
    """From when on the search shows it as it is."""
    before: tuple[int, dict[str, str | None]] | None = None
    """How the search shows it until then; None: not at all."""


@dataclass(slots=True)
class Kind:
    """The objects of one type."""

    name: str
    properties: list[str]
    things: dict[int, Thing] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    merged: dict[int, int] = field(default_factory=dict)


class Portal:
    """The portal. `now` gives Unix seconds by the provider's clock."""

    def __init__(self, now: Callable[[], float], faults: Faults, seed: int) -> None:
        self.id = 1_000_000 + seed
        self.kinds: dict[str, Kind] = {}
        for name in (*STANDARD, CUSTOM):
            own = OWN.get(name, ("hs_title",))
            self.kinds[name] = Kind(name, sorted({*_SYSTEM, stamp_of(name), *own, "score"}))
        self.associations: dict[tuple[str, int, str], dict[int, list[Json]]] = {}
        self.others: dict[str, list[Json]] = {}
        self.members: dict[str, list[Json]] = {}
        self.submissions: dict[str, list[Json]] = {}
        self.messages: dict[str, list[Json]] = {}
        self.changes = 0
        self._next = 100
        self._now = now
        self._faults = faults

    # Changing it.

    def create(self, kind: str, values: Mapping[str, str | None] | None = None, born: float | None = None) -> int:
        at = int((self._now() if born is None else born) * 1000)
        for fault in self._faults.standing("ties") if born is not None else ():
            at -= at % int(fault.option("ms", 86_400_000))
        self._next += 1
        thing = Thing(self._next, at, at, dict(values or {}))
        table = self.kinds[kind]
        table.things[thing.id] = thing
        insort(table.order, thing.id)
        self._index(kind, thing, None, born)
        self.changes += 1
        return thing.id

    def update(self, kind: str, key: int, values: Mapping[str, str | None]) -> None:
        """Change it. Raises KeyError for what is not there."""
        thing = self._there(kind, key)
        before = (thing.changed, thing.values)
        thing.values = {**thing.values, **values}
        thing.changed = max(int(self._now() * 1000), thing.changed)
        self._index(kind, thing, before, None)
        self.changes += 1

    def calculate(self, kind: str, key: int, value: str) -> None:
        """A calculated property is another; no time moves."""
        thing = self._there(kind, key)
        thing.values = {**thing.values, "score": value}
        self.changes += 1

    def archive(self, kind: str, key: int) -> None:
        self._there(kind, key).archived_at = self._now()
        self._forget(kind, key)
        self.changes += 1

    def restore(self, kind: str, key: int) -> None:
        thing = self.kinds[kind].things[key]
        thing.archived_at = None
        thing.changed = int(self._now() * 1000)
        self._index(kind, thing, None, None)
        self.changes += 1

    def erase(self, kind: str, key: int) -> None:
        """For good, as a privacy deletion does: nothing is left of it."""
        del self.kinds[kind].things[key]
        del self.kinds[kind].order[bisect_left(self.kinds[kind].order, key)]
        self._forget(kind, key)
        self.changes += 1

    def merge(self, kind: str, loser: int, winner: int) -> None:
        lost = [self._there(kind, loser).values.get("hs_merged_object_ids"), str(loser)]
        self.erase(kind, loser)
        self.kinds[kind].merged[loser] = winner
        before = self._there(kind, winner).values.get("hs_merged_object_ids")
        self.update(kind, winner, {"hs_merged_object_ids": ";".join(filter(None, (before, *lost)))})

    def associate(self, kind: str, key: int, other: str, end: int, type_id: int = 1) -> None:
        """Both ways; no time moves."""
        told = [{"category": "HUBSPOT_DEFINED", "typeId": type_id, "label": None}]
        self.associations.setdefault((kind, key, other), {})[end] = told
        self.associations.setdefault((other, end, kind), {})[key] = told
        self.changes += 1

    def dissociate(self, kind: str, key: int, other: str, end: int) -> None:
        self.associations.get((kind, key, other), {}).pop(end, None)
        self.associations.get((other, end, kind), {}).pop(key, None)
        self.changes += 1

    def submit(self, form: str, text: str, at: float | None = None) -> None:
        """Somebody fills in a form."""
        self._next += 1
        born = int((self._now() if at is None else at) * 1000)
        values = [{"name": "email", "value": text}]
        row = {"conversionId": f"c-{self._next}", "submittedAt": born, "values": values, "pageUrl": "https://mill"}
        self.submissions.setdefault(form, []).append(row)
        self.changes += 1

    def say(self, thread: str, text: str, at: float | None = None) -> None:
        """A message in a thread, which moves the thread's time."""
        self._next += 1
        now = written(self._now() if at is None else at)
        row = {"id": f"m-{self._next}", "conversationsThreadId": thread, "createdAt": now, "updatedAt": now}
        self.messages.setdefault(thread, []).append({**row, "type": "MESSAGE", "text": text})
        found = next(each for each in self.others["threads"] if each["id"] == thread)
        found["latestMessageTimestamp"] = now
        self.changes += 1

    def _there(self, kind: str, key: int) -> Thing:
        thing = self.kinds[kind].things[key]
        if thing.archived_at is not None:
            raise KeyError(key)
        return thing

    def _forget(self, kind: str, key: int) -> None:
        """What is gone is associated with nothing."""
        for place in [place for place in self.associations if place[:2] == (kind, key)]:
            for end in list(self.associations[place]):
                self.dissociate(kind, key, place[2], end)

    def _index(
        self, kind: str, thing: Thing, before: tuple[int, dict[str, str | None]] | None, born: float | None
    ) -> None:
        lag = 0.0
        if born is None and (fault := self._faults.strikes("index_lag", f"/crm/v3/objects/{kind}")):
            lag = float(fault.option("delay_s", 1.0))
        thing.indexed_at, thing.before = self._now() + lag, before

    # Reading it.

    def alive(self, kind: str) -> Iterator[Thing]:
        return (thing for thing in self.kinds[kind].things.values() if thing.archived_at is None)

    def listed(self, kind: str, after: int, limit: int, *, archived: bool) -> list[Thing]:
        """By id, behind `after`; one more than `limit` where there is more."""
        table = self.kinds[kind]
        found: list[Thing] = []
        for key in table.order[bisect_left(table.order, after + 1) :]:
            thing = table.things[key]
            if (thing.archived_at is not None) == archived:
                found.append(thing)
                if len(found) > limit:
                    break
        return found

    def searched(self, kind: str) -> Iterator[tuple[Thing, int, dict[str, str | None]]]:
        """What the index shows: (object, its last change, its values)."""
        now = self._now()
        for thing in self.alive(kind):
            if thing.indexed_at <= now:
                yield thing, thing.changed, thing.values
            elif thing.before is not None:
                yield thing, *thing.before

    def rendered(self, kind: str, thing: Thing, names: list[str], changed: int | None = None) -> Json:
        """An object with these properties (and those that always come), as the list, the search and a batch show it."""
        change = thing.changed if changed is None else changed
        system: dict[str, str | None] = {
            "hs_object_id": str(thing.id),
            "createdate": written(thing.created / 1000),
            "hs_createdate": written(thing.created / 1000),
            "hs_lastmodifieddate": written(change / 1000),
            stamp_of(kind): written(change / 1000),
        }
        known = set(self.kinds[kind].properties)
        asked = [
            name for name in dict.fromkeys((*names, "hs_object_id", "createdate", stamp_of(kind))) if name in known
        ]
        made: Json = {
            "id": str(thing.id),
            "properties": {name: system.get(name, thing.values.get(name)) for name in asked},
            "createdAt": written(thing.created / 1000),
            "updatedAt": written(change / 1000),
            "archived": thing.archived_at is not None,
        }
        if thing.archived_at is not None:
            made["archivedAt"] = written(thing.archived_at)
        return made
