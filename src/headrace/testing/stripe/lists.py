"""Lists as Stripe gives them: newest first, a page at a time (docs.stripe.com/api/pagination)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from headrace.testing.stripe import answers
from headrace.testing.stripe.account import Account
from headrace.testing.stripe.events import Event, Key
from headrace.testing.stripe.resources import Resource
from headrace.testing.stripe.store import View

Pairs = Iterable[tuple[str, str]]
_EVER = 1 << 62


@dataclass(slots=True)
class ListQuery:
    """The parameters of a list. `since` is included in the window of `created`, `until` is not (Unix seconds)."""

    limit: int = 10
    starting_after: str | None = None
    ending_before: str | None = None
    since: int = -_EVER
    until: int = _EVER
    types: frozenset[str] = frozenset()
    filters: dict[str, str] = field(default_factory=dict)

    @property
    def windowed(self) -> bool:
        return self.since > -_EVER or self.until < _EVER


def read_query(pairs: Pairs, *, created: bool, filters: Iterable[str], types: bool = False) -> ListQuery:
    """Parse and check; `created`, `filters` and `types` say what this list knows. Raises StripeError."""
    query = ListQuery()
    named: list[str] = []
    for name, value in pairs:
        match name.partition("["):
            case ("limit", "", _):
                query.limit = _limit(value)
            case ("starting_after", "", _):
                query.starting_after = value
            case ("ending_before", "", _):
                query.ending_before = value
            case ("expand", _, _):
                pass
            case ("created", _, bound) if created:
                _window(query, bound.removesuffix("]"), value)
            case ("type", "", _) | ("types", _, _) if types:
                named.append(value)
            case (plain, "", _) if plain in filters:
                query.filters[plain] = value
            case (plain, _, _):
                raise answers.unknown_parameter(plain)
    if query.starting_after is not None and query.ending_before is not None:
        raise answers.StripeError(400, "You cannot use both `starting_after` and `ending_before`.")
    if len(named) > 20:
        raise answers.StripeError(400, "You may only specify up to 20 event types.", param="types")
    query.types = frozenset(named)
    return query


def _integer(value: str, param: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise answers.StripeError(
            400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=param
        ) from None


def _limit(value: str) -> int:
    limit = _integer(value, "limit")
    if 1 <= limit <= 100:
        return limit
    bound = "greater than or equal to 1" if limit < 1 else "less than or equal to 100"
    raise answers.StripeError(
        400,
        f"This value must be {bound} (it currently is '{limit}').",
        code="parameter_invalid_integer",
        param="limit",
    )


def _window(query: ListQuery, bound: str, value: str) -> None:
    moment = _integer(value, f"created[{bound}]" if bound else "created")
    match bound:
        case "":
            query.since, query.until = moment, moment + 1
        case "gte":
            query.since = max(query.since, moment)
        case "gt":
            query.since = max(query.since, moment + 1)
        case "lt":
            query.until = min(query.until, moment)
        case "lte":
            query.until = min(query.until, moment + 1)
        case _:
            raise answers.unknown_parameter(f"created[{bound}]")


@dataclass(slots=True)
class Slice:
    """A page: raw objects newest first, and whether there are more in the direction asked for."""

    data: list[bytes]
    has_more: bool

    def body(self, url: str) -> bytes:
        more = b"true" if self.has_more else b"false"
        return b'{"object":"list","data":[%b],"has_more":%b,"url":%b}' % (b",".join(self.data), more, orjson.dumps(url))


def page_of(account: Account, resource: Resource, query: ListQuery, parent: int | None, lost_ties: bool) -> Slice:
    """A page of a collection, or of a parent's children. Raises StripeError for a cursor that is not in the list.

    `lost_ties`: a cursor inside a window of `created` loses the rest of the cursor's second, as was seen of Stripe
    (stripe/sync-engine-fork pull request 378).
    """
    name = resource.name
    view = _view(account, resource, query, parent)
    low = account.first_since(name, query.since) if query.windowed else 0
    high = account.first_since(name, query.until) if query.windowed else account.store(name).end
    wanted = _wanted(account, resource, query)
    if query.ending_before is not None:
        cursor = _cursor(account, resource, query.ending_before, "ending_before", wanted)
        found = list(islice(_shown(view.above(max(cursor, low - 1)), wanted, lambda o: o < high), query.limit + 1))
        kept = found[: query.limit][::-1]
    else:
        if query.starting_after is not None:
            cursor = _cursor(account, resource, query.starting_after, "starting_after", wanted)
            if lost_ties and query.windowed:
                cursor = account.first_since(name, account.created(name, cursor))
            high = min(high, cursor)
        found = list(islice(_shown(view.below(high), wanted, lambda o: o >= low), query.limit + 1))
        kept = found[: query.limit]
    return Slice([account.raw(name, ordinal) for ordinal in kept], len(found) > query.limit)


def _view(account: Account, resource: Resource, query: ListQuery, parent: int | None) -> View:
    """The ordinals to look at: with a customer given, those alone that were born with that customer, or made since."""
    customer = query.filters.get("customer")
    if parent is not None or customer is None:
        return account.view(resource.name, parent)
    ordinal = account.ordinal("customers", customer)
    if ordinal is None:
        return View(range(0), ())
    if resource.child is not None:
        return account.view(resource.name, ordinal)
    store = account.store(resource.name)
    born = account.population.referring(resource.name, "customers", ordinal)
    return View(born, range(store.base, store.end))


Wanted = Callable[[int], bool]


def _shown(ordinals: Iterator[int], wanted: Wanted, inside: Wanted) -> Iterator[int]:
    for ordinal in ordinals:
        if not inside(ordinal):
            return
        if wanted(ordinal):
            yield ordinal


def _cursor(account: Account, resource: Resource, object_id: str, param: str, wanted: Wanted) -> int:
    """The ordinal of the cursor's object; it must be in the list that is paged, or there is nowhere to go on from
    (stripe/stripe-go issue 1030, stripe/stripe-node issue 2368)."""
    ordinal = account.ordinal(resource.name, object_id)
    if ordinal is None or not wanted(ordinal):
        raise answers.missing(resource.object, object_id, param)
    return ordinal


def _wanted(account: Account, resource: Resource, query: ListQuery) -> Wanted:
    """Whether the list shows an object: not deleted, and as the filters ask."""
    name = resource.name
    store = account.store(name)
    filters = dict(query.filters)
    hidden = resource.hidden
    if hidden is not None and hidden[0] in filters:
        hidden = None
    if filters.get("status") == "all":
        del filters["status"]
    if not filters and hidden is None:
        if store.gone or store.hidden:
            return lambda ordinal: account.shown(name, ordinal)
        return lambda ordinal: True

    def wanted(ordinal: int) -> bool:
        if not account.shown(name, ordinal):
            return False
        held = orjson.loads(account.raw(name, ordinal))
        if hidden is not None and held.get(hidden[0]) == hidden[1]:
            return False
        return all(_text(held, key) == value for key, value in filters.items())

    return wanted


def _text(held: Mapping[str, Any], name: str) -> str:
    """A field as a query would write it; `subscription` of an invoice stands under its parent since 2025."""
    value = held.get(name)
    if name == "subscription" and "parent" in held:
        value = ((held["parent"] or {}).get("subscription_details") or {}).get("subscription")
    return str(value).lower() if isinstance(value, bool) else str(value)


def page_of_events(account: Account, query: ListQuery) -> Slice:
    """A page of the events. Raises StripeError for a cursor that is no event, or has aged out."""
    log = account.events
    if query.ending_before is not None:
        key = max(_event_key(account, query.ending_before, "ending_before"), (query.since, 0, -1, -1))
        found = list(islice(log.above(key, query.until, query.types), query.limit + 1))
        kept = found[: query.limit][::-1]
    else:
        key = log.newest(query.until if query.until < _EVER else None)
        if query.starting_after is not None:
            key = min(key, _event_key(account, query.starting_after, "starting_after"))
        found = list(islice(log.below(key, query.since, query.types), query.limit + 1))
        kept = found[: query.limit]
    return Slice([log.render(event) for event in kept], len(found) > query.limit)


def _event_key(account: Account, event_id: str, param: str) -> Key:
    return found_event(account, event_id, param).key


def found_event(account: Account, event_id: str, param: str = "id") -> Event:
    """The event of this id. Raises StripeError: unknown, or aged out."""
    event = account.events.find(event_id)
    if event is None:
        raise answers.missing("event", event_id, param)
    if event.created < account.events.horizon:
        raise answers.aged_out(event_id)
    return event
