"""Airtable's server: bases and their schemas, records by list and id, comments, webhooks with their payloads, tokens.

It obeys what Airtable documents, not what our connector needs. Sources: https://airtable.com/developers/web/api (list
records: pages of a snapshot by `offset`, which dies; rate limits: 5 requests a second for a base, 50 for a token, then
nothing for 30 seconds; errors: no permission and no such thing are one error; webhooks overview; OAuth reference:
refresh tokens of one use).
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from time import monotonic, time
from typing import Any, ClassVar, Unpack

import orjson

from headrace.testing.airtable import answers
from headrace.testing.airtable.answers import Refused
from headrace.testing.airtable.controls import add_controls
from headrace.testing.airtable.formulas import InvalidFormula, compiled, holds
from headrace.testing.airtable.mutator import Mutator
from headrace.testing.airtable.people import MOST_EVENTS, audited, described
from headrace.testing.airtable.population import Population
from headrace.testing.airtable.truth import shown
from headrace.testing.airtable.webhooks import WEEK_S, Webhook, made_secret
from headrace.testing.airtable.world import ENTERPRISE, OWNER, Base, Json, Row, Table, World, made_id, written
from headrace.testing.exchange import Call, Reply
from headrace.testing.faults import Fault
from headrace.testing.limits import Allowance
from headrace.testing.provider import Options, ProviderServer, Refusal

A_BASE, A_TOKEN = 5, 50
SHUT_OUT_S = 30.0
LONGEST_URL = 16_000
MOST_WEBHOOKS = 10
ITERATORS = 1_000
"""How many lists can be read on at once."""
SCOPES = (
    "data.records:read",
    "data.recordComments:read",
    "schema.bases:read",
    "webhook:manage",
    "workspacesAndBases:read",
    "enterprise.auditLogs:read",
)
DAY_S = 86_400.0

KINDS = frozenset(
    {
        "iterator_gone",
        "late_payloads",
        "payloads_purged",
        "webhook_disabled",
        "no_formulas",
        "formulas_ignored",
        "hidden",
        "duplicates",
        "changed_while_read",
        "month_used_up",
        "no_such_plan",
    }
)
"""`iterator_gone` a list is read on: 422 LIST_RECORDS_ITERATOR_NOT_AVAILABLE · `late_payloads` a payload shows after
`delay_s` (default 1) · `payloads_purged` payloads are kept for `kept_s` (default 1) · `webhook_disabled` the base's
webhooks were turned off · `no_formulas` 422 INVALID_FILTER_BY_FORMULA · `formulas_ignored` a filter filters nothing ·
`hidden` a list shows empty · `duplicates` a page of a list begins with the last record of the one before ·
`changed_while_read` a record of the list is changed before the page is made · `month_used_up` 429 until it is taken
away: the workspace's requests of this month · `no_such_plan` 403: nobody is told who may work in a base."""


class AirtableServer(ProviderServer):
    """`records` is the number of records in all, or in each table of a name. Every personal access token (`pat…`), and
    every token issued by the token endpoint, opens it, with the `scopes`."""

    kinds: ClassVar[frozenset[str]] = KINDS

    def __init__(
        self,
        records: int | Mapping[str, int] = 600,
        *,
        seed: int = 1,
        changes_per_s: float = 0.0,
        span_days: float = 365.0,
        until: float | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(seed=seed, **options)
        self.world = World(self.clock.now, self._lag)
        population = Population(self.world, seed, until or time() - DAY_S, span_days * DAY_S)
        population.settle(records)
        self.mutator: Mutator = Mutator(self.world, population, seed, changes_per_s)
        self.scopes = set(SCOPES)
        self.shut_out_s = SHUT_OUT_S
        self._shut_out: dict[str, float] = {}
        self._iterators: OrderedDict[str, list[str]] = OrderedDict()
        self._refresh, self._issued, self._begun = "oaaRefresh0", 0, 0
        add_controls(self)

    def _lag(self) -> float:
        fault = self.faults.strikes("late_payloads", "payloads")
        return float(fault.option("delay_s", 1.0)) if fault else 0.0

    # What the base asks.

    def credential(self, call: Call) -> str:
        return f"{_token(call)[:5]}…"

    def allowances(self, call: Call) -> Sequence[Allowance]:
        base = _base_of(call)
        if base and monotonic() < self._shut_out.get(base, 0.0):
            return (Allowance(("shut out", base), 0, 1.0, base),)
        own = (Allowance(("base", base), A_BASE, 1.0, base),) if base else ()
        return (*own, Allowance(("token", _token(call)), A_TOKEN, 1.0, base))

    def refusal(self, kind: Refusal, call: Call, fault: Fault | None = None, reason: str = "") -> Reply:
        match kind:
            case "rate_limited":
                self._shut_out[_base_of(call)] = monotonic() + self.shut_out_s
                return answers.too_many()
            case "server_error":
                return answers.error(int(fault.option("status", 500)) if fault else 500, "SERVER_ERROR", "Try again")
            case "unauthorized":
                return answers.unauthorized()
            case "forbidden":
                return answers.FORBIDDEN

    def answer(self, call: Call) -> Reply:
        if call.path == "/oauth2/v1/token":
            return self._mint(dict(call.form))
        if not _token(call).startswith(("pat", "oaaAccess")):
            return answers.unauthorized()
        if self.faults.strikes("month_used_up", call.path):
            return answers.month_used_up()
        if len(call.path) + len(call.raw_query) + 1 > LONGEST_URL:
            return answers.error(414, "URL_TOO_LONG", "the URL has more than 16,000 characters")
        try:
            return self._answer(call)
        except Refused as refused:
            return refused.reply

    def _mint(self, form: Mapping[str, str]) -> Reply:
        """A refresh token works once; the next comes with the answer."""
        if form.get("grant_type") == "refresh_token" and form.get("refresh_token") != self._refresh:
            return Reply.json({"error": "invalid_grant", "error_description": "the refresh token was used"}, 400)
        self._issued += 1
        self._refresh = f"oaaRefresh{self._issued}"
        tokens = {"access_token": f"oaaAccess{self._issued}", "refresh_token": self._refresh, "token_type": "Bearer"}
        return Reply.json({**tokens, "expires_in": 3600, "refresh_expires_in": 5_184_000, "scope": " ".join(SCOPES)})

    # The API.

    def _answer(self, call: Call) -> Reply:
        match (call.method, *call.segments):
            case ("GET", "v0", "meta", "whoami"):
                scopes = {"scopes": sorted(self.scopes)} if _token(call).startswith("oaa") else {}
                return Reply.json({"id": OWNER, **scopes})
            case ("GET", "v0", "meta", "bases"):
                self._need("schema.bases:read")
                return Reply.json({"bases": [shown(base) for base in self.world.bases.values()]})
            case ("GET", "v0", "meta", "bases", base):
                self._need("workspacesAndBases:read")
                if self.faults.strikes("no_such_plan", call.path):
                    raise Refused(answers.FORBIDDEN)
                return Reply.json(described(self._base(base), _Asked(call.query).all("include")))
            case ("GET", "v0", "meta", "enterpriseAccounts", account, "auditLogEvents"):
                self._need("enterprise.auditLogs:read")
                return self._audited(account, _Asked(call.query))
            case ("GET", "v0", "meta", "bases", base, "tables"):
                self._need("schema.bases:read")
                return Reply.json({"tables": [each.described() for each in self._base(base).tables.values()]})
            case (_, "v0", "bases", base, "webhooks", *rest):
                self._need("webhook:manage")
                return self._webhooks(call, self._base(base), rest)
            case ("GET", "v0", base, table):
                return self._list(call, self._base(base), table, _Asked(call.query))
            case ("POST", "v0", base, table, "listRecords"):
                return self._list(call, self._base(base), table, _Asked(_pairs(orjson.loads(call.body or b"{}"))))
            case ("GET", "v0", base, table, key):
                self._need("data.records:read")
                found = self._table(base, table)
                return Reply.json(self.world.shown(found, _row(found, key), by_id=_Asked(call.query).by_id))
            case ("GET", "v0", base, table, key, "comments"):
                self._need("data.recordComments:read")
                return self._comments(_row(self._table(base, table), key), _Asked(call.query))
        raise Refused(answers.error(404, "NOT_FOUND", ""))

    def _need(self, scope: str) -> None:
        if scope not in self.scopes:
            raise Refused(answers.FORBIDDEN)

    def _base(self, name: str) -> Base:
        found = self.world.bases.get(name)
        if found is None:
            raise Refused(answers.FORBIDDEN)
        return found

    def _table(self, base: str, name: str) -> Table:
        found = self._base(base).table(name)
        if found is None:
            raise Refused(answers.FORBIDDEN)
        return found

    def _audited(self, account: str, asked: "_Asked") -> Reply:
        if account != ENTERPRISE:
            raise Refused(answers.FORBIDDEN)
        ascending = asked.one("sortOrder") == "ascending"
        token = asked.one("next" if ascending else "previous")
        size = min(MOST_EVENTS, int(asked.one("pageSize") or 10))
        bounds = (asked.one("startTime"), asked.one("endTime"))
        return Reply.json(audited(self.world, bounds, size, ascending, token))

    # Records.

    def _list(self, call: Call, base: Base, name: str, asked: "_Asked") -> Reply:
        self._need("data.records:read")
        table = self._table(base.id, name)
        fields = [_field(table, each) for each in asked.all("fields")] or None
        at = 0
        if (offset := asked.one("offset")) is None:
            made, keys = "", self._chosen(call, table, asked)
        else:
            made, at = self._place(call, offset)
            keys = self._iterators[made]
        if table.rows and self.faults.strikes("changed_while_read", call.path):
            self.world.update(base, table, next(iter(table.rows)), {table.fields[0].id: written(self.clock.now())})
        size = asked.size()
        begin = max(0, at - 1) if at and self.faults.strikes("duplicates", call.path) else at
        rows = [table.rows[key] for key in keys[begin : at + size] if key in table.rows]
        answer: Json = {"records": [self._record(table, row, asked, fields) for row in rows]}
        if self.faults.strikes("hidden", call.path):
            return Reply.json({"records": []})
        if at + size < len(keys):
            answer["offset"] = f"{made or self._keep(keys)}/rec{at + size}"
        return Reply.json(answer)

    def _keep(self, keys: list[str]) -> str:
        """Keep the order and membership that a list's first page found. The oldest are forgotten."""
        self._begun += 1
        made = made_id("itr", self._begun)
        self._iterators[made] = keys
        if len(self._iterators) > ITERATORS:
            self._iterators.popitem(last=False)
        return made

    def _place(self, call: Call, offset: str) -> tuple[str, int]:
        made, slash, place = offset.partition("/rec")
        if not made.startswith("itr") or not slash or not place.isdecimal():
            raise Refused(answers.error(422, "INVALID_OFFSET_VALUE", f"The value of offset {offset} is invalid"))
        if made not in self._iterators or self.faults.strikes("iterator_gone", call.path):
            raise Refused(answers.error(422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "The iterator has expired"))
        return made, int(place)

    def _record(self, table: Table, row: Row, asked: "_Asked", fields: list[str] | None) -> Json:
        made = self.world.shown(table, row, by_id=asked.by_id, fields=fields)
        return {**made, "commentCount": len(row.comments)} if "commentCount" in asked.all("recordMetadata") else made

    def _chosen(self, call: Call, table: Table, asked: "_Asked") -> list[str]:
        """The ids that a list goes along."""
        formula = asked.one("filterByFormula")
        if not formula or self.faults.strikes("formulas_ignored", call.path):
            return [*table.rows]
        try:
            if self.faults.strikes("no_formulas", call.path):
                raise InvalidFormula("formulas are not understood here")
            test = compiled(formula)
        except InvalidFormula as error:
            raise Refused(answers.error(422, "INVALID_FILTER_BY_FORMULA", str(error))) from None
        return [key for key, row in table.rows.items() if holds(test(partial(self._value, table, row)))]

    def _value(self, table: Table, row: Row, name: str) -> Any:
        """What a formula sees."""
        match name:
            case "RECORD_ID()":
                return row.id
            case "CREATED_TIME()":
                return written(row.created)
            case "LAST_MODIFIED_TIME()":
                return None if row.changed is None else written(row.changed)
        found = table.field(name)
        if found is None:
            raise Refused(answers.error(422, "INVALID_FILTER_BY_FORMULA", f"Unknown field names: {name}"))
        return self.world.cell(table, found, row)

    def _comments(self, row: Row, asked: "_Asked") -> Reply:
        at, size = int(asked.one("offset") or 0), asked.size()
        following = str(at + size) if at + size < len(row.comments) else None
        return Reply.json({"comments": row.comments[at : at + size], "offset": following})

    # Webhooks.

    def _webhooks(self, call: Call, base: Base, rest: list[str]) -> Reply:
        now = self.clock.now()
        for webhook in base.webhooks.values():
            if self.faults.strikes("webhook_disabled", call.path):
                webhook.enabled = False
        for key in [key for key, each in base.webhooks.items() if now > each.expires + WEEK_S]:
            del base.webhooks[key]
        match (call.method, *rest):
            case ("GET",):
                return Reply.json({"webhooks": [each.shown() for each in base.webhooks.values()]})
            case ("POST",):
                return self._made(base, orjson.loads(call.body))
            case ("GET", key, "payloads"):
                return self._payloads(call, _webhook(base, key), _Asked(call.query))
            case ("POST", key, "refresh"):
                found = _webhook(base, key)
                if not found.alive(now):
                    raise Refused(answers.error(422, "INVALID_REQUEST", "the webhook is disabled"))
                found.expires = now + WEEK_S
                return Reply.json({"expirationTime": written(found.expires)})
            case ("DELETE", key):
                del base.webhooks[_webhook(base, key).id]
                return Reply(204)
        raise Refused(answers.error(404, "NOT_FOUND", ""))

    def _made(self, base: Base, said: Json) -> Reply:
        if base.level != "create":
            raise Refused(answers.error(403, "INVALID_PERMISSIONS", "You are not permitted to perform this operation"))
        if len(base.webhooks) >= MOST_WEBHOOKS:
            raise Refused(answers.error(422, "INVALID_REQUEST", "the base has 10 webhooks already"))
        key = made_id("ach", base.id, len(base.webhooks), self.clock.now())
        expires = self.clock.now() + WEEK_S
        made = Webhook(key, said["specification"], said.get("notificationUrl"), expires, made_secret(key))
        base.webhooks[key] = made
        return Reply.json({"id": key, "macSecretBase64": made.secret, "expirationTime": written(expires)})

    def _payloads(self, call: Call, webhook: Webhook, asked: "_Asked") -> Reply:
        purged = self.faults.strikes("payloads_purged", call.path)
        kept_s = float(purged.option("kept_s", 1.0)) if purged else WEEK_S
        cursor, limit = int(asked.one("cursor") or 1), min(50, int(asked.one("limit") or 50))
        return Reply.json(webhook.listed(cursor, limit, self.clock.now(), kept_s))


class _Asked:
    """The parameters of a call: `fields[]` and `fields` are one."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key.split("[")[0] == name]

    def one(self, name: str) -> str | None:
        return next((value for key, value in self._pairs if key == name), None)

    @property
    def by_id(self) -> bool:
        """However it is spelled: the SDK sends Python's, or 1."""
        return (self.one("returnFieldsByFieldId") or "").lower() in ("true", "1")

    def size(self) -> int:
        size = int(self.one("pageSize") or 100)
        if not 1 <= size <= 100:
            raise Refused(answers.error(422, "INVALID_PAGE_SIZE", "pageSize must be between 1 and 100"))
        return size


def _pairs(said: Json) -> list[tuple[str, str]]:
    """A body's parameters as those of a query."""
    many = ((name, value if isinstance(value, list) else [value]) for name, value in said.items())
    return [(name, str(each)) for name, values in many for each in values]


def _field(table: Table, name: str) -> str:
    found = table.field(name)
    if found is None:
        raise Refused(answers.error(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"'))
    return found.id


def _row(table: Table, key: str) -> Row:
    """Airtable says the same of a record that is gone and of one that may not be read."""
    found = table.rows.get(key)
    if found is None:
        raise Refused(answers.FORBIDDEN)
    return found


def _webhook(base: Base, key: str) -> Webhook:
    found = base.webhooks.get(key)
    if found is None:
        raise Refused(answers.error(404, "NOT_FOUND", ""))
    return found


def _base_of(call: Call) -> str:
    """The base that a call counts against; empty for none."""
    return next((each for each in call.segments[1:4] if each.startswith("app")), "")


def _token(call: Call) -> str:
    return call.headers.get("authorization", "").removeprefix("Bearer ")
