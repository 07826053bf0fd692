"""The account behind the server: what the provider holds, and the ways in which it changes.

A test asks it what ought to have arrived, and changes it as a person would at the dashboard. Every change goes through
`create`, `update` and `delete`, which tell of it by the events that Stripe would send.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson

from headrace.testing.faults import Faults
from headrace.testing.stripe.catalog import CHILDREN, RESOURCES
from headrace.testing.stripe.events import AUTOMATIC, Cause, Event, EventLog
from headrace.testing.stripe.population import SUBLIST, Population
from headrace.testing.stripe.records import Records
from headrace.testing.stripe.resources import Resource
from headrace.testing.stripe.store import NO_PATCH, Patch, Store, View, patched

Fields = Mapping[str, Any]


class NoSuchObject(LookupError):
    """There is none with this id, or it was deleted."""


class NotAllowed(ValueError):
    """Stripe refuses this change of this object."""


class Account:
    """`id` is the account's own id at Stripe; `now` is the provider's clock (Unix seconds).

    Collections are named as in `catalog.RESOURCES`. Objects go in and out as dicts, raw JSON as bytes.
    """

    def __init__(self, population: Population, faults: Faults, now: Callable[[], float], account_id: str) -> None:
        self.id = account_id
        self.population = population
        self.records = Records(population, faults)
        self.events = EventLog(population, faults, self.snapshot, now)
        self.listeners: list[Callable[[Event], None]] = []
        self.changes = 0
        self._faults = faults
        self._now = now
        self._stores = {name: Store(population.counts[name]) for name in RESOURCES}

    # Looking.

    @property
    def collections(self) -> list[str]:
        """The names of the collections that hold anything."""
        return [name for name in RESOURCES if self.count(name)]

    def count(self, collection: str) -> int:
        """How many objects there are; those that were deleted, or whose parent was, left out."""
        store, child = self._stores[collection], RESOURCES[collection].child
        if child is None:
            return store.count
        orphans = (each for gone in self._stores[child.parent].gone for each in self.view(collection, gone).above(-1))
        return store.count - sum(each not in store.gone for each in orphans)

    def store(self, collection: str) -> Store:
        return self._stores[collection]

    def ordinal(self, collection: str, object_id: str) -> int | None:
        """The ordinal of an object that there is or was, None for any other id."""
        ordinal = self.population.codecs[collection].decode(object_id)
        return ordinal if ordinal is not None and ordinal < self._stores[collection].end else None

    def id_of(self, collection: str, ordinal: int) -> str:
        return self.population.codecs[collection].encode(ordinal)

    def created(self, collection: str, ordinal: int) -> int:
        store = self._stores[collection]
        if ordinal >= store.base:
            return store.born[ordinal - store.base]
        return self.population.created(collection, ordinal)

    def first_since(self, collection: str, moment: int) -> int:
        """The lowest ordinal that was born at or after the moment."""
        first = self.population.first_since(collection, moment)
        return first if first < self._stores[collection].base else self._stores[collection].first_since(moment)

    def raw(self, collection: str, ordinal: int) -> bytes:
        """The object's JSON as the provider shows it now."""
        shown = self.snapshot(collection, ordinal, self._stores[collection].patch(ordinal))
        return self.records.read(collection, shown) if self.records.any else shown

    def snapshot(self, collection: str, ordinal: int, patch: Patch) -> bytes:
        """The object's JSON with this patch upon how it was born."""
        born = self.population.render(collection, ordinal, self.created(collection, ordinal))
        if self.records.any:
            patch = {**self._blemished_lists(collection, ordinal), **patch}
        if patch:
            born = patched(born, patch)
        return self.records.blemish(collection, ordinal, born) if self.records.any else born

    def _blemished_lists(self, collection: str, ordinal: int) -> Patch:
        """The lists that an object was born with, where the children have faults of their own."""
        lists: Patch = {}
        for child in CHILDREN[collection]:
            if child.child is not None and child.child.field and self.records.has(child.name):
                mine = self.population.children(child.name, ordinal)
                shown = [self.snapshot(child.name, each, NO_PATCH) for each in mine[: -SUBLIST - 1 : -1]]
                made = self.population.list_object(child.name, ordinal, shown, len(mine) > SUBLIST)
                lists[child.child.field] = orjson.Fragment(made)
        return lists

    def view(self, collection: str, parent: int | None = None) -> View:
        """The ordinals of a collection, or of a parent's children, deleted ones included."""
        store = self._stores[collection]
        if parent is None:
            return View(range(store.base), range(store.base, store.end))
        return View(self.population.children(collection, parent), store.children.get(parent, ()))

    def shown(self, collection: str, ordinal: int) -> bool:
        """Whether lists show it: not deleted, and not so new that they lag behind."""
        store = self._stores[collection]
        if ordinal in store.gone:
            return False
        return not store.hidden or store.hidden.get(ordinal, 0.0) <= self._now()

    def parent(self, collection: str, ordinal: int) -> int:
        """The ordinal of the parent that a child hangs under."""
        made = self._stores[collection].parents.get(ordinal)
        return self.population.patterns[collection].parent(ordinal) if made is None else made

    def reachable(self, collection: str, ordinal: int) -> bool:
        """Whether any list leads to it: a child is gone with its parent."""
        child = RESOURCES[collection].child
        if ordinal in self._stores[collection].gone:
            return False
        return child is None or self.reachable(child.parent, self.parent(collection, ordinal))

    def ordinals(self, collection: str) -> Iterator[int]:
        """Every object that the provider would show, newest first."""
        return (
            ordinal
            for ordinal in self.view(collection).below(self._stores[collection].end)
            if self.reachable(collection, ordinal)
        )

    def ids(self, collection: str) -> Iterator[str]:
        return (self.id_of(collection, ordinal) for ordinal in self.ordinals(collection))

    def objects(self, collection: str) -> Iterator[bytes]:
        """The whole JSON of every object, newest first; made one at a time."""
        return (self.whole(collection, ordinal) for ordinal in self.ordinals(collection))

    def whole(self, collection: str, ordinal: int) -> bytes:
        """The object's JSON with all the children that it carries, where the provider shows ten: what a complete copy
        holds."""
        carried = [child for child in CHILDREN[collection] if child.child is not None and child.child.field]
        raw = self.raw(collection, ordinal)
        lists = {
            child.child.field: orjson.Fragment(self.sublist(child, ordinal, None))
            for child in carried
            if child.child is not None and child.child.field
        }
        return patched(raw, lists) if b'"has_more":true' in raw and lists else raw

    def sublist(self, resource: Resource, parent: int, most: int | None = SUBLIST) -> bytes:
        """The list object of a parent's children: the newest `most`, or all, and whether there are more."""
        newest = (each for each in self.view(resource.name, parent).below(1 << 62) if self.shown(resource.name, each))
        held = list(newest if most is None else islice(newest, most + 1))
        shown = [self.raw(resource.name, ordinal) for ordinal in held[:most]]
        return self.population.list_object(resource.name, parent, shown, len(held) > len(shown))

    def get(self, collection: str, object_id: str) -> dict[str, Any]:
        """The object. Raises NoSuchObject."""
        return self._loaded(collection, self._held(collection, object_id))

    def _held(self, collection: str, object_id: str) -> int:
        ordinal = self.ordinal(collection, object_id)
        if ordinal is None or ordinal in self._stores[collection].gone:
            raise NoSuchObject(f"No such {RESOURCES[collection].object}: '{object_id}'")
        return ordinal

    def _loaded(self, collection: str, ordinal: int) -> dict[str, Any]:
        loaded: dict[str, Any] = orjson.loads(self.raw(collection, ordinal))
        return loaded

    # Changing.

    def create(
        self,
        collection: str,
        fields: Fields | None = None,
        *,
        parent: str | None = None,
        children: int | Sequence[Fields] = 1,
        cause: Cause = AUTOMATIC,
        event_delay_s: float = 0.0,
        silent: bool = False,
    ) -> dict[str, Any]:
        """A new object, born now. `parent` is the id that a child hangs under; `children` are the lines or items that
        an invoice or subscription begins with, or how many. `silent` sends no event; `event_delay_s` holds it back
        from lists. Raises NoSuchObject for a parent that is not there."""
        resource = RESOURCES[collection]
        owner = self._owner(resource, fields, parent)
        ordinal = self._born(resource, owner, dict(fields or {}))
        for child in CHILDREN[collection]:
            if child.child is not None and child.child.field in ("lines", "items"):
                for given in [{}] * children if isinstance(children, int) else children:
                    self._born(child, ordinal, dict(given))
                self._carry(child, ordinal)
        self.changes += 1
        if not silent:
            self._tell(resource.events.created, collection, ordinal, None, cause, event_delay_s)
        if owner is not None:
            self._carry(resource, owner, cause, event_delay_s, silent)
        return self._loaded(collection, ordinal)

    def _owner(self, resource: Resource, fields: Fields | None, parent: str | None) -> int | None:
        child = resource.child
        if child is None:
            return None
        named = parent or (fields or {}).get(child.refers or "")
        if not isinstance(named, str):
            raise NotAllowed(f"a {resource.object} is made under a parent: give one of {child.parent}")
        return self._held(child.parent, named)

    def _born(self, resource: Resource, parent: int | None, fields: dict[str, Any]) -> int:
        store = self._stores[resource.name]
        now = max(int(self._now()), self.population.until + 1, store.born[-1] if store.born else 0)
        ordinal = store.add(now, parent)
        if parent is not None and resource.child is not None and resource.child.refers:
            fields[resource.child.refers] = self.id_of(resource.child.parent, parent)
        if fields:
            base = orjson.loads(self.population.render(resource.name, ordinal, now))
            fresh = {name: value for name, value in fields.items() if name == "metadata"}
            store.patches[ordinal] = {**_merged(base, fields), **fresh}
        if late := self._faults.strikes("late_objects", resource.at):
            store.hidden[ordinal] = self._now() + float(late.option("delay_s", 5))
        return ordinal

    def update(
        self,
        collection: str,
        object_id: str,
        fields: Fields,
        *,
        cause: Cause = AUTOMATIC,
        event_delay_s: float = 0.0,
        silent: bool = False,
    ) -> dict[str, Any]:
        """Change an object: hashes such as metadata are merged, a None inside them removes a key, as at Stripe. What
        changes nothing tells nothing. Raises NoSuchObject."""
        ordinal = self._held(collection, object_id)
        resource = RESOURCES[collection]
        store = self._stores[collection]
        before = self._loaded(collection, ordinal)
        changed = {name: value for name, value in _merged(before, fields).items() if value != before.get(name)}
        if not changed:
            return before
        if "updated" in before:
            changed["updated"] = int(self._now())
        store.patches[ordinal] = {**store.patch(ordinal), **changed}
        self.changes += 1
        previous = {name: _previous(before.get(name), value) for name, value in changed.items()}
        if not silent:
            said = resource.events.by_status.get(str(changed.get("status", "")))
            self._tell(resource.events.updated, collection, ordinal, previous, cause, event_delay_s)
            self._tell(said, collection, ordinal, None, cause, event_delay_s)
        if resource.child is not None:
            self._carry(resource, self.parent(collection, ordinal), cause, event_delay_s, silent)
        return self._loaded(collection, ordinal)

    def delete(
        self,
        collection: str,
        object_id: str,
        *,
        cause: Cause = AUTOMATIC,
        event_delay_s: float = 0.0,
        silent: bool = False,
    ) -> None:
        """Delete an object. A subscription is cancelled instead: its row remains. With a customer goes what hangs under
        it, and its subscriptions are cancelled. Raises NoSuchObject, NotAllowed."""
        ordinal = self._held(collection, object_id)
        resource = RESOURCES[collection]
        if collection == "subscriptions":
            now = int(self._now())
            ended = {"status": "canceled", "canceled_at": now, "ended_at": now}
            self.update(collection, object_id, ended, cause=cause, event_delay_s=event_delay_s, silent=silent)
            return
        status = resource.deletable_status
        if status is not None and self._loaded(collection, ordinal)["status"] != status:
            raise NotAllowed(f"You can only delete {status} {collection}.")
        if collection == "customers":
            self._cancel_all(ordinal, cause, silent)
        held = self._release(collection, ordinal)
        self.changes += 1
        if not silent:
            self._tell(resource.events.deleted, collection, ordinal, held, cause, event_delay_s)
        if resource.child is not None:
            self._carry(resource, self.parent(collection, ordinal), cause, event_delay_s, silent)

    def _release(self, collection: str, ordinal: int) -> Patch | None:
        """Take the object away; a payment method loses its customer thereby. What its event says was there before."""
        store = self._stores[collection]
        store.gone.add(ordinal)
        if collection != "payment_methods":
            return None
        before = {"customer": self._loaded(collection, ordinal)["customer"]}
        store.patches[ordinal] = {**store.patch(ordinal), "customer": None}
        return before

    def _cancel_all(self, customer: int, cause: Cause, silent: bool) -> None:
        """Deleting a customer cancels its subscriptions (docs.stripe.com/api/customers/delete). What else hangs under
        it goes without an event of its own."""
        customer_id = self.id_of("customers", customer)
        store = self._stores["subscriptions"]
        born = self.population.referring("subscriptions", "customers", customer)
        made = [each for each in range(store.base, store.end) if store.patch(each).get("customer") == customer_id]
        for subscription in (*born, *made):
            held = self._loaded("subscriptions", subscription)
            if held["customer"] == customer_id and held["status"] != "canceled":
                self.delete("subscriptions", held["id"], cause=cause, silent=silent)

    def _carry(
        self,
        resource: Resource,
        parent: int,
        cause: Cause | None = None,
        event_delay_s: float = 0.0,
        silent: bool = False,
    ) -> None:
        """Bring the first ten children, which the parent carries, up to date; with a `cause` its event tells of it."""
        child = resource.child
        if child is None or child.field is None:
            return
        store = self._stores[child.parent]
        before = self._loaded(child.parent, parent)[child.field]
        store.patches[parent] = {**store.patch(parent), child.field: orjson.Fragment(self.sublist(resource, parent))}
        if cause is not None and not silent:
            told = RESOURCES[child.parent].events.updated
            self._tell(told, child.parent, parent, {child.field: before}, cause, event_delay_s)

    def _tell(
        self, kind: str | None, collection: str, ordinal: int, previous: Patch | None, cause: Cause, delay_s: float
    ) -> None:
        if kind is None:
            return
        patch = self._stores[collection].patches.get(ordinal, NO_PATCH)
        said = previous if kind.endswith((".updated", ".detached")) else None
        told = self.events.emit(
            kind, collection, ordinal, patch, said, cause=cause, delay_s=delay_s, webhooks=len(self.listeners)
        )
        for event in told:
            for listener in self.listeners:
                listener(event)


def _merged(before: Fields, fields: Fields) -> dict[str, Any]:
    """The new values of the fields named: hashes are merged into what was there, everything else takes its place."""
    made: dict[str, Any] = {}
    for name, value in fields.items():
        old = before.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            merged = {**old, **_merged(old, value)}
            made[name] = {key: kept for key, kept in merged.items() if name != "metadata" or kept is not None}
        else:
            made[name] = value
    return made


def _previous(old: Any, new: Any) -> Any:
    """What `previous_attributes` says of a field: of a hash only the keys that changed, null for those that are new."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {
            key: _previous(old.get(key), new.get(key))
            for key in {**old, **new}
            if old.get(key) != new.get(key) or (key in old) != (key in new)
        }
    return old
