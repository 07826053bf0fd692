"""HubSpot's collections: which readings each of them has.

Sources: https://developers.hubspot.com/docs/api-reference (owners, users, pipelines, properties, lists, forms,
marketing emails, campaigns, email events, workflows, channels and inboxes of conversations).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from headrace.providers.hubspot.associations import PAIRS, Associations
from headrace.providers.hubspot.conversations import CONVERSATIONS, PATH
from headrace.providers.hubspot.objects import RETENTION, Objects
from headrace.providers.hubspot.portal import STANDARD, ObjectType, discover
from headrace.providers.hubspot.submissions import SUBMISSIONS
from headrace.providers.kit import (
    ChangedSince,
    Children,
    Collection,
    Context,
    Deleted,
    Discovery,
    Fetch,
    Found,
    Item,
    Listing,
    Paged,
    PageFunction,
    Query,
    Record,
    Request,
    Rows,
    Window,
    joined,
    nested,
    pages,
)
from headrace.providers.kit.pagers import Single, Token
from headrace.providers.kit.rows import Reader

SETTLE = timedelta(hours=1)
"""The search index lags by seconds as a rule, and by minutes at times: a second reading follows an hour behind."""
ARCHIVED_EVERY = timedelta(minutes=5)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Schema = Callable[[], Mapping[str, Any]]


def crm(kind: ObjectType, name: str = "", schema: Schema = dict) -> Collection:
    """The collection of a type of CRM object."""
    objects = Objects(kind)
    return Collection(
        id=kind.collection,
        name=name or kind.name.replace("_", " "),
        listing=Listing(objects.listing, order="by_id", count=objects.count),
        changes=(ChangedSince(objects.changed, ordered=True, resolution=timedelta(milliseconds=1), settle=SETTLE),),
        deleted=Deleted(objects.deleted, RETENTION, settle=timedelta(minutes=1), every=ARCHIVED_EVERY),
        deletes="list",
        fetch=Fetch(objects.fetch),
        schema=schema,
        sweep_every=DAY,
        age="updated",
    )


def associations(name: str) -> Collection:
    """The collection of the associations of a type's objects."""
    found = Associations(name)
    return Collection(
        id=found.collection,
        name=f"{name} association",
        listing=Listing(found.listing, order="by_id"),
        children=Children(found.parent, found.again),
        deletes="parent",
        sweep_every=DAY,
    )


# ─────────────────────────────── the lists ─────────────────────────────

_AFTER = Token("after", "paging.next.after", size=("limit", 100))


def plain(
    name: str, *functions: PageFunction, every: timedelta = HOUR, changes: tuple[ChangedSince, ...] = ()
) -> Collection:
    """A collection that is read whole, and compared."""
    listing = functions[0] if len(functions) == 1 else joined(*functions)
    return Collection(
        id=f"hubspot:{name}",
        name=name.replace("_", " "),
        listing=Listing(listing),
        changes=changes,
        sweep_every=every,
        age="updated",
    )


def whole(name: str, path: str, query: Query = ()) -> PageFunction:
    """A list that is paged by `after`."""
    reader = Reader(f"hubspot:{name}", created="createdAt", updated="updatedAt")
    return pages(Paged(Request(path, query=query), _AFTER, "results"), _records(reader))


def _records(reader: Reader) -> Callable[[Context, Rows], list[Item]]:
    return lambda ctx, read: [reader(row, read.as_of) for row in read.rows]


def each_type(name: str, path: str, key: str, types: tuple[str, ...]) -> tuple[PageFunction, ...]:
    """A list of each type of object, in one answer; the type belongs to the id. A type that the portal lacks, or that
    the credential may not see, has none."""

    def of(kind: str) -> PageFunction:
        reader = Reader(f"hubspot:{name}", key, created="createdAt", updated="updatedAt")

        def items(ctx: Context, read: Rows) -> list[Item]:
            return [_below(reader(row, read.as_of), kind) for row in read.rows]

        return pages(Paged(Request(path.format(kind), accept=(400, 403, 404)), Single(), "results"), items)

    return tuple(map(of, types))


def _below(record: Record, above: str) -> Record:
    return replace(record, id=f"{above}/{record.id}")


_LISTS = Paged(
    Request("/crm/v3/lists/search", "POST", headers={"Content-Type": "application/json"}, body=b'{"query":""}'),
    Token("offset", "offset", more="hasMore", into="body", size=("count", 250)),
    "lists",
)
_member = Reader("hubspot:list_member", "recordId", created="membershipTimestamp")


def _members(list_id: str) -> Paged:
    request = Request(f"/crm/v3/lists/{list_id}/memberships", accept=(400, 404))
    return Paged(request, Token("after", "paging.next.after", size=("limit", 250)), "results")


def _of_list(ctx: Context, list_id: str, read: Rows) -> list[Item]:
    made = (_member(row, read.as_of) for row in read.rows)
    return [replace(each, id=f"{list_id}/{each.id}", parent=list_id) for each in made]


def _millis(value: Any) -> datetime | None:
    """A time in milliseconds since 1970."""
    return datetime.fromtimestamp(value / 1000, UTC) if type(value) is int else None


def _born_within(ctx: Context, window: Window) -> Request:
    bounds = (("startTimestamp", window.lo), ("endTimestamp", window.hi))
    query = tuple((name, str(int(at.timestamp() * 1000))) for name, at in bounds if at is not None)
    return Request("/email/public/v1/events", query=query)


def _updated_after(ctx: Context, window: Window) -> Request:
    since = () if window.lo is None else (("updatedAfter", window.lo.isoformat(timespec="milliseconds")),)
    return Request("/marketing/v3/emails", query=since)


_emails = _records(Reader("hubspot:marketing_email", created="createdAt", updated="updatedAt"))
_EMAIL_EVENTS = pages(
    Paged(_born_within, Token("offset", "offset", more="hasMore", size=("limit", 1000)), "events"),
    _records(Reader("hubspot:email_event", created="created", time=_millis)),
)
_TYPES = tuple(kind.path for kind in STANDARD)

LISTED = (
    plain("campaign", whole("campaign", "/marketing/v3/campaigns")),
    plain("conversation_channel", whole("conversation_channel", f"{PATH}/channels"), every=DAY),
    plain("conversation_channel_account", whole("conversation_channel_account", f"{PATH}/channel-accounts"), every=DAY),
    plain("conversation_inbox", whole("conversation_inbox", f"{PATH}/inboxes"), every=DAY),
    plain("form", whole("form", "/marketing/v3/forms")),
    plain("list", pages(_LISTS, _records(Reader("hubspot:list", "listId", created="createdAt", updated="updatedAt")))),
    plain(
        "marketing_email",
        pages(Paged(Request("/marketing/v3/emails"), _AFTER, "results"), _emails),
        every=DAY,
        changes=(ChangedSince(pages(Paged(_updated_after, _AFTER, "results"), _emails)),),
    ),
    plain(
        "owner",
        whole("owner", "/crm/v3/owners/", (("archived", "false"),)),
        whole("owner", "/crm/v3/owners/", (("archived", "true"),)),
    ),
    plain("pipeline", *each_type("pipeline", "/crm/v3/pipelines/{}", "id", ("deals", "tickets", "leads", "orders"))),
    plain("property", *each_type("property", "/crm/v3/properties/{}", "name", _TYPES), every=DAY),
    plain("user", whole("user", "/settings/v3/users/")),
    plain("workflow", whole("workflow", "/automation/v4/flows")),
    Collection(
        id="hubspot:list_member",
        name="list member",
        listing=Listing(nested(_LISTS, Reader("hubspot:list", "listId").id_of, _members, _of_list)),
        sweep_every=timedelta(hours=6),
    ),
    Collection(
        id="hubspot:email_event",
        name="email event",
        listing=Listing(_EMAIL_EVENTS, windowed="created", order="newest_first"),
        changes=(ChangedSince(_EMAIL_EVENTS, field="created", settle=HOUR),),
        deletes="never",
    ),
    SUBMISSIONS,
    *CONVERSATIONS,
)

COLLECTIONS = tuple(
    sorted((*map(crm, STANDARD), *map(associations, PAIRS), *LISTED), key=lambda collection: collection.id)
)


def _own(key: str, found: Found) -> Collection:
    return crm(ObjectType.found(found.upstream), found.name, partial(dict, found.schema))


DISCOVERY = Discovery(discover, _own)
