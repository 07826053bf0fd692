"""Airtable's fixed collections: what describes the account. docs/providers/airtable.md lists them.

Sources: https://airtable.com/developers/web/api (list bases, get base schema, list webhooks, get user id and scopes).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from headrace.providers.airtable.places import OFFSET, bases, get, tables, webhooks
from headrace.providers.airtable.shapes import schema_of
from headrace.providers.kit import (
    Canon,
    Collection,
    Context,
    Cursor,
    Item,
    Listing,
    Page,
    Paged,
    PageFunction,
    Request,
    Rows,
    Steps,
    Window,
    nested,
    pages,
)
from headrace.providers.kit.pagers import Single
from headrace.providers.kit.rows import Raw, Reader

HOUR = timedelta(hours=1)
_BASES = Paged(bases(), OFFSET, "bases")
_base = Reader("airtable:base")
_user = Reader("airtable:user")


def _listed(ctx: Context, read: Rows) -> list[Item]:
    return [_base(row, read.as_of) for row in read.rows]


def _below(name: str, rows: str, request: Callable[[str], Request]) -> PageFunction:
    """What a base has, in one answer, along all bases. Copies of a base have the same ids inside, so that of the base
    belongs to each. A base that went since it was listed has nothing."""
    reader = Reader(f"airtable:{name}")

    def children(base: str) -> Paged:
        return Paged(replace(request(base), accept=(404,)), Single(), rows)

    def items(ctx: Context, base: str, read: Rows) -> list[Item]:
        made = (reader(row, read.as_of) for row in read.rows)
        return [replace(each, id=f"{base}/{each.id}", parent=base) for each in made]

    return nested(_BASES, _base.id_of, children, items)


def _whoami(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
    response = yield Request("/v0/meta/whoami")
    return Page([_user(Raw(response.body), response.sent_at)])


def _compared(name: str, page: PageFunction, *volatile: str) -> Collection:
    """Read whole every hour, and compared."""
    canon = Canon(volatile=volatile)
    return Collection(
        id=f"airtable:{name}",
        name=name,
        listing=Listing(page),
        canon=canon,
        sweep_every=HOUR,
        schema=schema_of(name),
    )


COLLECTIONS = (
    _compared("base", pages(_BASES, _listed)),
    _compared("table", _below("table", "tables", tables)),
    _compared("user", _whoami),
    _compared(
        "webhook",
        _below("webhook", "webhooks", lambda base: get(webhooks(base), base)),
        # These move with every change of the base, and with every reading of its log.
        "cursorForNextPayload",
        "expirationTime",
        "lastNotificationResult",
        "lastSuccessfulNotificationTime",
    ),
)
