"""The log of a base: the payloads of a webhook, which Airtable keeps for a week; and the webhook's pings.

A payload tells which records were created, changed or destroyed, computed fields included, in a format of cells that
no other answer has. So what it names is read by id, a hundred records a request. Reading the payloads takes none away
and keeps the webhook alive, so any number of syncs may share one.

Sources: https://airtable.com/developers/web/api (webhooks overview, create a webhook, list webhooks, list webhook
payloads, webhooks payload): a webhook dies after seven days in which nobody has read its payloads; ten of a base, two
of an OAuth integration; the cursor is the number of the next payload and is never reset.
"""

import hmac
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Generator, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
import orjson

from headrace.providers.airtable import access
from headrace.providers.airtable.places import get, tables, webhooks
from headrace.providers.airtable.tables import REFUSED, Table
from headrace.providers.kit import (
    ChildSet,
    Context,
    Cursor,
    Delete,
    Delivery,
    Fault,
    Faulted,
    Feed,
    Hint,
    Item,
    NotGenuine,
    Page,
    Request,
    Response,
    Steps,
    Window,
)
from headrace.providers.kit.rows import decoded, iso8601, list_in

RETENTION = timedelta(days=7)
MOST_WEBHOOKS = 10
PAYLOADS = 50
"""The most that one answer holds."""
RECORDS = 1_000
"""About so many records are read for one page of the feed: ten requests."""
LOOKED_AT = timedelta(hours=1)
"""How often the webhook itself is looked at: one that was disabled answers as that of a base where nothing happens."""
LEFT = timedelta(days=3)
"""A webhook that has less to live is refreshed: reading its payloads ought to have done that."""
EVERY = timedelta(seconds=2)
_SPECIFICATION = {"options": {"filters": {"dataTypes": ["tableData"]}}}


class _Changed(msgspec.Struct):
    """What happened to a table's records. Whatever is optional may be null too."""

    createdRecordsById: dict[str, msgspec.Raw] | None = None
    changedRecordsById: dict[str, msgspec.Raw] | None = None
    destroyedRecordIds: list[str] | None = None

    def there(self) -> list[str]:
        return [*(self.createdRecordsById or ()), *(self.changedRecordsById or ())]


class _Created(msgspec.Struct):
    """A table that came, or came back."""

    recordsById: dict[str, msgspec.Raw] | None = None


class _Payload(msgspec.Struct):
    changedTablesById: dict[str, _Changed | None] | None = None
    createdTablesById: dict[str, _Created | None] | None = None
    destroyedTableIds: list[str] | None = None
    error: bool | None = None
    code: str | None = None

    def told(self) -> Iterator[tuple[str, list[str], list[str]]]:
        """(table, records that are there, records that are not)."""
        for table, created in (self.createdTablesById or {}).items():
            yield table, [*((created and created.recordsById) or ())], []
        for table, changed in (self.changedTablesById or {}).items():
            if changed is not None:
                yield table, changed.there(), changed.destroyedRecordIds or []

    def size(self) -> int:
        """How many records it names as created or changed."""
        return sum(len(there) for _, there, _ in self.told())


class _Payloads(msgspec.Struct):
    payloads: list[_Payload]
    cursor: int
    mightHaveMore: bool | None = None


def usable(webhook: Mapping[str, Any], now: datetime) -> bool:
    """Whether its payloads tell of every change of records: it is enabled, alive, and filters nothing away."""
    options = (webhook.get("specification") or {}).get("options") or {}
    filters = {name: value for name, value in (options.get("filters") or {}).items() if value}
    dies = iso8601(webhook.get("expirationTime"))
    everything = filters.keys() == {"dataTypes"} and "tableData" in filters["dataTypes"]
    return everything and webhook.get("isHookEnabled", True) is True and (dies is None or dies > now)


def obstacle(found: list[dict[str, Any]] | Fault, level: str | None, now: datetime) -> str:
    """Why a base can have no log, in words; empty where it can: a webhook is there, or may be made. `found` are its
    webhooks, `level` what the user may do in the base."""
    if isinstance(found, Fault):
        return "the credential may not see its webhooks (scope webhook:manage)"
    if any(usable(each, now) for each in found):
        return ""
    if level not in (None, "create", "owner"):
        return "to make a webhook takes a user with the permission Creator"
    return "it has as many webhooks as it may have" if len(found) >= MOST_WEBHOOKS else ""


def listed(base: str) -> Generator[Request, Response, list[dict[str, Any]] | Fault]:
    """The webhooks of a base that the credential may see, or why it may see none."""
    # Whatever else the answer says: a base without a log is compared.
    response = yield replace(get(webhooks(base), base, accept=(*REFUSED, 405, 501)), any_body=True)
    if response.status >= 300:
        return access.fault(response) or Fault("permission", "webhooks may not be read")
    found: list[dict[str, Any]] = decoded(lambda: response.decode(dict[str, Any])).get("webhooks") or []
    return found


@dataclass(frozen=True)
class Log:
    """The feed of one base, for the tables by id. Its token is the webhook with the number of the next payload."""

    base: str
    tables: Mapping[str, Table]

    def feed(self) -> Feed:
        return Feed(
            name=self.base,
            covers=frozenset(table.collection for table in self.tables.values()),
            page=self.page,
            position="token",
            retention=RETENTION,
            start=self.start,
            every=EVERY,
        )

    def start(self, ctx: Context) -> Steps:
        """The place of now, of a webhook that is there or is made. Where none can be had, the token says so, and the
        pages are a fault: what else there is is read all the same."""
        opened = yield from self._open(ctx)
        return Page([], next={"refused": opened.message} if isinstance(opened, Fault) else opened)

    def _open(self, ctx: Context) -> Generator[Request, Response, Cursor | Fault]:
        found = yield from listed(self.base)
        if isinstance(found, Fault):
            return found
        checked = ctx.now.isoformat()
        for webhook in found:
            if usable(webhook, ctx.now):
                return {"webhook": webhook["id"], "cursor": webhook["cursorForNextPayload"], "checked": checked}
        body = orjson.dumps({"specification": _SPECIFICATION})
        headers = {"Content-Type": "application/json"}
        # It may have been made although the answer was lost: then the list has it.
        response = yield Request(
            webhooks(self.base), "POST", headers=headers, body=body, limit_class=self.base, accept=REFUSED, safe=False
        )
        if response.status >= 300:
            return access.fault(response) or Fault("permission", "no webhook may be made")
        made = decoded(lambda: response.decode(dict[str, Any]))
        return {"webhook": made["id"], "cursor": 1, "checked": checked}

    def page(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        token = cursor or {"refused": "it was never begun"}
        if "refused" in token:
            yield from self._try_again(ctx)
        checked = iso8601(token["checked"])
        if checked is None or ctx.now - checked > LOOKED_AT:
            yield from self._look(ctx, token["webhook"])
            token = {**token, "checked": ctx.now.isoformat()}
        asked = int(token["cursor"])
        path = f"{webhooks(self.base)}/{token['webhook']}/payloads"
        response = yield get(path, self.base, ("cursor", str(asked)), ("limit", str(PAYLOADS)), accept=REFUSED)
        if response.status >= 300:
            yield from self._look(ctx, token["webhook"])
            raise Faulted(access.fault(response) or Fault("permission", "the payloads may not be read"))
        told = decoded(lambda: response.decode(_Payloads))
        self._check(told, asked)
        taken = _portion(told.payloads)
        items = yield from self._items(taken, response.sent_at, ctx.collections)
        whole = len(taken) == len(told.payloads)
        following = told.cursor if whole else asked + len(taken)
        more = not whole or (bool(told.mightHaveMore) and following > asked)
        return Page(items, next={**token, "cursor": following}, more=more)

    def _try_again(self, ctx: Context) -> Generator[Request, Response, None]:
        """A webhook that can be had by now begins a new log: what happened before it is in none."""
        opened = yield from self._open(ctx)
        if isinstance(opened, Fault):
            without = "its tables are compared with what is held, and changes and deletions show only then"
            raise Faulted(Fault("config", f"Airtable gives base {self.base} no webhook ({opened.message}): {without}"))
        raise Faulted(Fault("expired", f"base {self.base} has a webhook only now"))

    def _look(self, ctx: Context, webhook_id: str) -> Generator[Request, Response, None]:
        """See that the webhook is there and alive. Raises Faulted where it is not."""
        found = yield from listed(self.base)
        if isinstance(found, Fault):
            raise Faulted(found)
        mine = next((each for each in found if each.get("id") == webhook_id), None)
        if mine is None or not usable(mine, ctx.now):
            raise Faulted(Fault("expired", f"the webhook {webhook_id} of base {self.base} is gone or disabled"))
        dies = iso8601(mine.get("expirationTime"))
        if dies is not None and dies - ctx.now < LEFT:
            path = f"{webhooks(self.base)}/{webhook_id}/refresh"
            yield Request(path, "POST", limit_class=self.base, accept=REFUSED)

    def _check(self, told: _Payloads, asked: int) -> None:
        """Raise Faulted where payloads are missing: they are numbered without gaps, and end before the new cursor."""
        if told.payloads and told.cursor - len(told.payloads) > asked:
            raise Faulted(Fault("expired", f"payloads of base {self.base} from number {asked} on are gone"))
        if failed := next((each for each in told.payloads if each.error), None):
            kind: Any = "transient" if failed.code == "INTERNAL_ERROR" else "expired"
            raise Faulted(Fault(kind, f"the webhook of base {self.base} does not work: {failed.code}"))

    def _items(
        self, payloads: Sequence[_Payload], as_of: datetime, wanted: frozenset[str]
    ) -> Generator[Request, Response, list[Item]]:
        """What the payloads lead to: a record of which they told last that it was destroyed is gone, any other is read.
        One that a single payload names as both is read. A table that was destroyed takes its records with it."""
        destroyed = {table for payload in payloads for table in payload.destroyedTableIds or ()}
        ended = {
            self.tables[key].collection: ChildSet(self.tables[key].collection, self.tables[key].path, frozenset(), at)
            for key, at in (yield from self._ended(destroyed & self.tables.keys()))
        }
        fates: dict[tuple[str, str], bool] = {}
        for payload in payloads:
            for of, there, gone in payload.told():
                fates.update(((of, key), False) for key in gone)
                fates.update(((of, key), True) for key in there)
        items: list[Item] = []
        for table_id, table in self.tables.items():
            if table.collection not in wanted:
                continue
            if table.collection in ended:
                items.append(ended[table.collection])
                continue
            mine = {key: there for (of, key), there in fates.items() if of == table_id}
            items += (Delete(table.collection, key, as_of) for key, there in mine.items() if not there)
            items += yield from table.read([key for key, there in mine.items() if there])
        return items

    def _ended(self, told: Set[str]) -> Generator[Request, Response, list[tuple[str, datetime]]]:
        """Those of the tables told to be destroyed that the base has no longer, with the moment for which that holds:
        one may have been restored meanwhile. Of a base that may not be read any more, nothing is concluded."""
        if not told:
            return []
        response = yield tables(self.base, accept=REFUSED)
        if response.status >= 300:
            return []
        there = {each.get("id") for each in list_in(decoded(lambda: response.decode(dict[str, Any])), "tables")}
        return [(table, response.sent_at) for table in sorted(told - there)]


def _portion(payloads: Sequence[_Payload]) -> Sequence[_Payload]:
    """As many of them as one page of the feed takes; at least one."""
    named = 0
    for number, payload in enumerate(payloads):
        named += payload.size()
        if named > RECORDS and number > 0:
            return payloads[:number]
    return payloads


def read_ping(delivery: Delivery, secret: str, now: datetime) -> list[Hint]:
    """Check `X-Airtable-Content-MAC`: HMAC-SHA256 of the body with the webhook's secret, which is given in base64 when
    it is made. A ping says only that there is something to read, so an old one does no harm and none is too old."""
    try:
        key = b64decode(secret, validate=True)
    except NotBase64:
        raise NotGenuine("the signing secret is not the webhook's macSecretBase64") from None
    signed = f"hmac-sha256={hmac.new(key, delivery.body, sha256).hexdigest()}"
    if not hmac.compare_digest(signed.encode(), delivery.headers.get("x-airtable-content-mac", "").encode()):
        raise NotGenuine("the X-Airtable-Content-MAC header does not fit the body and the webhook's secret")
    return []
