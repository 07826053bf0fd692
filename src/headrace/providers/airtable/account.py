"""What an account has: its bases, their tables, and the comments on their records, as collections; and what only some
are told, who may work in the bases and an enterprise's log.

A table is known by the ids of its base and of itself (copies of a base keep the ids of its tables), its fields by
their ids. So what is renamed stays what it is; names are only shown.

Sources: https://airtable.com/developers/web/api (list bases, get base schema, list webhooks).
"""

from collections.abc import Generator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from headrace.providers.airtable import audit, collaborators, comments
from headrace.providers.airtable.places import bases, tables
from headrace.providers.airtable.schema import schema, volatile
from headrace.providers.airtable.tables import Table
from headrace.providers.airtable.webhooks import Log, listed, obstacle
from headrace.providers.kit import (
    Canon,
    ChangedSince,
    Collection,
    Context,
    Cursor,
    Discovered,
    Discovery,
    Feed,
    Fetch,
    Found,
    Listing,
    Request,
    Response,
)
from headrace.providers.kit.rows import decoded, list_in

Json = dict[str, Any]
COMMENTS = "/comments"
OF_SOME = {each.id: each for each in (audit.AUDIT_EVENTS, collaborators.COLLABORATORS)}
DAY, HOURS = timedelta(days=1), timedelta(hours=6)
LEAST = timedelta(seconds=15)
"""Each table without a log is asked for its changes by itself, of the three requests a second that a base has."""


def discover(ctx: Context, cursor: Cursor | None) -> Discovered:
    """The tables of the bases that the credential sees, one base a page."""
    at = cursor or {"left": [], "offset": None, "shared": False}
    left, offset, shared = at["left"], at["offset"], at.get("shared", False)
    found = [] if cursor is not None else (yield from _of_enterprise(ctx))
    if not left:
        request = bases() if offset is None else bases().with_query(("offset", offset))
        answer = _object((yield request))
        left = [
            [str(each["id"]), str(each.get("name") or each["id"]), each.get("permissionLevel")]
            for each in list_in(answer, "bases")
        ]
        offset = answer.get("offset") or None
    if left:
        (base, name, level), left = left[0], left[1:]
        # A base that was shared no longer since it was listed has no tables to be found.
        response = yield tables(base, accept=(403, 404))
        told = list_in(_object(response), "tables") if response.status < 300 else []
        why = obstacle((yield from listed(base)), level, ctx.now) if told else ""
        for table in told:
            found += _found(ctx, base, name, table, why)
        if not shared and _may(ctx, collaborators.SCOPE) and (yield from collaborators.are_told(base)):
            found.append(_fixed(collaborators.COLLABORATORS))
            shared = True
    return found, {"left": left, "offset": offset, "shared": shared} if left or offset else None


def _of_enterprise(ctx: Context) -> Generator[Request, Response, list[Found]]:
    return [_fixed(audit.AUDIT_EVENTS)] if (yield from audit.is_told(ctx)) else []


def _fixed(own: Collection) -> Found:
    """A collection of the same kind in all accounts that have it."""
    return Found("", own.id, own.name, own.schema(), {}, own.id)


def _may(ctx: Context, scope: str) -> bool:
    """Whether the credential's scopes are not known to leave this one out."""
    known = ctx.properties.get("scope")
    return not known or scope in str(known).split()


def _found(ctx: Context, base: str, name: str, table: Json, why: str) -> list[Found]:
    """A table and, where they may be read, the comments on its records."""
    table_id, title = str(table["id"]), f"{name}: {table.get('name') or table['id']}"
    upstream = {
        "base_id": base,
        "base_name": name,
        "table_id": table_id,
        "table_name": table.get("name"),
        "primary_field_id": table.get("primaryFieldId"),
        "volatile": volatile(table.get("fields") or ()),
        "no_webhook": why,
    }
    described = {**schema(table), "description": f"Table {table_id} of base {base}, {name}."}
    found = [Found(base, table_id, title, described, upstream)]
    if _may(ctx, comments.SCOPE):
        found.append(Found(base, f"{table_id}{COMMENTS}", f"{title}, comments", comments.schema(), upstream))
    return found


def _object(response: Response) -> Json:
    return decoded(lambda: response.decode(dict[str, Any]))


# ───────────────────────── collections and feeds ─────────────────────────


def collection(key: str, found: Found) -> Collection:
    """The collection of a table, or of the comments on its records; or one of those that only some accounts have."""
    if key in OF_SOME:
        return OF_SOME[key]
    upstream = found.upstream
    if found.upstream_id.endswith(COMMENTS):
        return _comments(key, found)
    table = _table(key, found)
    why = upstream.get("no_webhook") or ""
    return Collection(
        id=key,
        name=found.name,
        listing=Listing(table.listing),
        changes=(ChangedSince(table.changed, least=LEAST),) if why else (),
        deletes="sweep" if why else "feed",
        fetch=Fetch(table.fetch),
        canon=Canon(volatile=tuple(upstream["volatile"])),
        schema=partial(dict, found.schema),
        sweep_every=HOURS if why else DAY,
        notice=_notice(upstream["base_name"], why) if why else "",
    )


def _notice(base: str, why: str) -> str:
    return (
        f"Changes of base {base} are asked for by the time of change, since it can have no webhook: {why}. Deletions, "
        "and the changes of computed fields, show when everything is compared, every six hours."
    )


def _comments(key: str, found: Found) -> Collection:
    upstream = found.upstream
    read = comments.Comments(key, upstream["base_id"], upstream["table_id"], upstream.get("primary_field_id"))
    return Collection(
        id=key,
        name=found.name,
        listing=Listing(read.listing),
        canon=Canon(volatile=read.VOLATILE),
        schema=partial(dict, found.schema),
        sweep_every=HOURS,
    )


def _table(key: str, found: Found) -> Table:
    return Table(key, found.upstream["base_id"], found.upstream["table_id"])


def feeds(wanted: Mapping[str, Found]) -> tuple[Feed, ...]:
    """The log of each base that can have one, over those of its tables that are wanted."""
    logs: dict[str, dict[str, Table]] = {}
    for key, found in sorted(wanted.items()):
        if key not in OF_SOME and not found.upstream_id.endswith(COMMENTS) and not found.upstream.get("no_webhook"):
            table = _table(key, found)
            logs.setdefault(table.base, {})[table.id] = table
    return tuple(Log(base, tables).feed() for base, tables in logs.items())


DISCOVERY = Discovery(discover, collection, feeds)
