"""`/v1/events`: the account's one log of changes, read back as far as thirty days.

Sources: https://docs.stripe.com/api/events (list, thirty days, rendered in the API version at creation),
https://docs.stripe.com/api/events/types. Events may appear after younger ones, hence the settle time; their times are
whole seconds, hence the slack. No type filter is used: it holds twenty types at most, and would miss those that Stripe
adds.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from headrace.clock import from_unix
from headrace.providers.kit import Context, Feed, Item, Mention, Rows, pages
from headrace.providers.kit.rows import Picker, Raw, decoded
from headrace.providers.stripe.access import VERSION
from headrace.providers.stripe.children import Child
from headrace.providers.stripe.lists import paged
from headrace.providers.stripe.objects import Moment, Resource, identity, is_cut

SLACK = timedelta(seconds=3)
"""How far an event's time may be off the moment of its picture: whole seconds, and the event is made a little later."""

EVENT = identity("event")
_STAYS = frozenset({"customer.subscription.deleted"})
"""Events named deleted whose object remains: a subscription that ended is `canceled`."""


class _Data(msgspec.Struct):
    object: Raw


class _Event(msgspec.Struct):
    id: str
    type: str
    created: int
    data: _Data
    api_version: str | None = None


_event = msgspec.json.Decoder(_Event)
_object = Picker(id=("id", Any), object=("object", Any), customer=("customer", Any), account=("account", Any))
_names = Picker(customer=("customer", Any), subscription=("subscription", Any), fee=("fee", Any))

Change = tuple[str, str, datetime, list[Item]]
"""(collection, id, when, items): what one event says of one object."""


class Events:
    """The feed, for these kinds of objects: `resources` by the name of the object, `children` likewise."""

    def __init__(self, resources: Mapping[str, Resource], children: Mapping[str, Child]) -> None:
        self._resources = resources
        self._children = children

    def feed(self) -> Feed:
        covers = {EVENT, *(child.collection for child in self._children.values())}
        for resource in self._resources.values():
            covers |= {resource.collection, *resource.embedded.values()}
        return Feed(
            name="events",
            covers=frozenset(covers),
            page=pages(paged("/v1/events", "/v1/events", windowed=True), self.items),
            retention=timedelta(days=30),
            resolution=timedelta(seconds=1),
            settle=timedelta(minutes=1),
        )

    def items(self, ctx: Context, read: Rows) -> list[Item]:
        """What a page of events says: of each object the latest. Where two events of an object share a second, which
        one is the later cannot be told: the object is mentioned, to be fetched."""
        latest: dict[tuple[str, str], tuple[datetime, list[Item]]] = {}
        made: list[Item] = []
        for row in read.rows:
            event = decoded(lambda row=row: _event.decode(row))  # type: ignore[misc]
            if EVENT in ctx.collections:
                made.append(Moment(read.as_of).record(EVENT, event.id, bytes(row), event.created))
            for collection, key, when, items in self._changes(ctx, event):
                known = latest.get((collection, key))
                if known is None or when > known[0]:
                    latest[collection, key] = (when, items)
                elif when == known[0]:
                    latest[collection, key] = (when, [_mention(collection, key, when, [*items, *known[1]])])
        return [*made, *(item for _, items in latest.values() for item in items)]

    def _changes(self, ctx: Context, event: _Event) -> list[Change]:
        when = from_unix(event.created)
        text = bytes(event.data.object)
        key, name, customer, account = decoded(lambda: _object(text))
        if name in ("discount", "fee_refund"):
            return self._elsewhere(ctx, name, text, when)
        if key is None or not isinstance(name, str):
            return []
        if name in self._resources:
            return self._of_resource(ctx, self._resources[name], event, str(key), text, when)
        child = self._children.get(name)
        if child is None or child.collection not in ctx.collections:
            return []
        return self._of_child(child, event, str(key), customer, account, when)

    def _of_resource(
        self, ctx: Context, resource: Resource, event: _Event, key: str, text: bytes, when: datetime
    ) -> list[Change]:
        collection, carried = resource.collection, resource.embedded.values()
        if event.type.endswith(".deleted") and event.type not in _STAYS:
            return [(collection, key, when, resource.gone(ctx, key, when, SLACK))]
        if ctx.collections.isdisjoint((collection, *carried)):
            return []
        # An older event of another page must not bring back a child that is gone: no tombstone tells of children that
        # were never held. So they are read as they are now, with their parent.
        as_it_is = event.api_version != VERSION or is_cut(text) or not ctx.collections.isdisjoint(carried)
        if as_it_is:
            return [(collection, key, when, [Mention(collection, key, when)])]
        return [(collection, key, when, resource.items(ctx, text, Moment(when, updated=when, slack=SLACK)))]

    def _of_child(
        self, child: Child, event: _Event, key: str, customer: Any, account: Any, when: datetime
    ) -> list[Change]:
        """Children are read as they are now, for the same reason: the parent may be gone."""
        if customer is None and account is not None:
            return []  # a bank account or card to which a connected account is paid out
        parent = None if customer is None else str(customer)
        if parent is None or event.type.endswith(".deleted"):
            return [(child.collection, key, when, child.gone(key, Moment(when, slack=SLACK), parent))]
        return [(child.collection, key, when, [Mention(child.collection, key, when, parent=parent)])]

    def _elsewhere(self, ctx: Context, name: str, text: bytes, when: datetime) -> list[Change]:
        """Events of an object that is a part of others, which are mentioned."""
        customer, subscription, fee = decoded(lambda: _names(text))
        owners = (
            (identity("application_fee"), fee if name == "fee_refund" else None),
            (identity("customer"), customer if name == "discount" else None),
            (identity("subscription"), subscription if name == "discount" else None),
        )
        changes: list[Change] = []
        for collection, key in owners:
            if isinstance(key, str) and collection in ctx.collections:
                changes.append((collection, key, when, [Mention(collection, key, when)]))
        return changes


def _mention(collection: str, key: str, when: datetime, items: list[Item]) -> Mention:
    parents = (getattr(item, "parent", None) for item in items if getattr(item, "id", None) == key)
    return Mention(collection, key, when, parent=next((p for p in parents if p is not None), None))
