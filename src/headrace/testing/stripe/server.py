"""Stripe's server: what comes in, who asks, which limit counts it, what goes out.

It obeys what Stripe documents and what was seen of it, not what our connector needs. Sources stand beside each fact, in
`answers`, `catalog`, `events`, `lists`.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from time import time
from typing import ClassVar, Unpack
from zlib import crc32

import orjson

from headrace.testing.exchange import Call, Reply
from headrace.testing.faults import Fault
from headrace.testing.limits import Allowance
from headrace.testing.provider import Options, ProviderServer, Refusal
from headrace.testing.stripe import answers
from headrace.testing.stripe.account import Account
from headrace.testing.stripe.catalog import API_VERSION
from headrace.testing.stripe.controls import add_controls
from headrace.testing.stripe.events import Cause
from headrace.testing.stripe.lists import Slice, found_event, page_of, page_of_events, read_query
from headrace.testing.stripe.mutator import Mutator
from headrace.testing.stripe.pagingfaults import LIST_KINDS, PagingFaults
from headrace.testing.stripe.population import Population, patterns, spread
from headrace.testing.stripe.reads import expanded, parent_ordinal, retrieve
from headrace.testing.stripe.records import RECORD_KINDS
from headrace.testing.stripe.resources import Resource
from headrace.testing.stripe.router import Route, route
from headrace.testing.stripe.webhooks import Webhooks
from headrace.testing.stripe.writes import Idempotency, write

LIVE_PER_S = 100
TEST_PER_S = 25
ENDPOINT_PER_S = 25
FILES_PER_S = 20
"""docs.stripe.com/rate-limits, as of November 2026; each counted per account and mode."""

EVENT_KINDS = frozenset({"late_events", "duplicate_events", "unordered_events", "event_version", "short_horizon"})
"""See `events.EventLog`."""


class StripeServer(ProviderServer):
    """`records` is the number of objects in all, or the number of each collection that has no parent (children come
    with their parents; `children` overrides how many each parent has in turn). They were born over `span_days` up to
    `until` (Unix seconds, default the last midnight, UTC), the same ones for the same seed and `until`.

    Keys: with `api_key` that one alone, else every one that begins with `sk_` or `rk_`; `_live_` in it means live mode.
    `account` is what the provider holds; both modes show the same objects.
    """

    kinds: ClassVar[frozenset[str]] = LIST_KINDS | EVENT_KINDS | RECORD_KINDS

    def __init__(
        self,
        records: int | Mapping[str, int] = 1000,
        *,
        seed: int = 1,
        changes_per_s: float = 0.0,
        api_key: str | None = None,
        children: Mapping[str, Sequence[int]] | None = None,
        span_days: float = 3 * 365,
        until: int | None = None,
        connected_records: int = 100,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(seed=seed, **options)
        self._until = int(time()) // 86400 * 86400 if until is None else until
        self._span_s = int(span_days * 86400)
        self._children = children
        self._connected_records = connected_records
        self.account = self._account(records, seed, f"acct_1{seed:08x}Headrace")
        self.connected: dict[str, Account] = {}
        self.mutator: Mutator = Mutator(self.account, seed, changes_per_s)
        self.webhooks = Webhooks(self.account, self.clock.now)
        self.api_key = api_key
        self.revoked: set[str] = set()
        self.restricted: dict[str, frozenset[str]] = {}
        self._idempotency = Idempotency()
        self.paging = PagingFaults(self.faults, seed)
        self._requests = 0
        add_controls(self)

    def _account(self, records: int | Mapping[str, int], seed: int, account_id: str) -> Account:
        counts = spread(records, patterns(self._children)) if isinstance(records, int) else records
        population = Population(
            counts, seed=seed, until=self._until, span_s=self._span_s, children=self._children
        )  # fmt: skip
        return Account(population, self.faults, self.clock.now, account_id)

    async def start(self) -> None:
        await super().start()
        self.spawn(self.webhooks.run())

    def standing_changed(self) -> None:
        super().standing_changed()
        for account in (self.account, *self.connected.values()):
            account.records.refresh()

    # Keys.

    def revoke(self, key: str) -> None:
        """From now on the key is refused as expired."""
        self.revoked.add(key)

    def restrict(self, key: str, collections: Iterable[str]) -> None:
        """From now on the key reaches these collections (and events, as `events`) alone; others answer 403."""
        self.restricted[key] = frozenset(collections)

    @staticmethod
    def key_of(call: Call) -> str:
        """The key of a call: bearer token, or user of basic authentication; empty when there is none."""
        scheme, _, value = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return value.strip()
        if scheme.lower() == "basic":
            try:
                return base64.b64decode(value).decode().partition(":")[0]
            except ValueError:
                return ""
        return ""

    def credential(self, call: Call) -> str:
        key = self.key_of(call)
        return answers.masked(key) if key else ""

    def _authenticate(self, key: str) -> None:
        if not key:
            raise answers.no_key()
        if key in self.revoked:
            raise answers.expired_key(key)
        if not key.startswith(("sk_", "rk_")) or (self.api_key is not None and key != self.api_key):
            raise answers.invalid_key(key)

    def _authorise(self, key: str, found: Route, method: str) -> None:
        allowed = self.restricted.get(key)
        name = found.resource.name if found.resource else "events" if found.kind in ("events", "event") else ""
        if allowed is not None and name and name not in allowed:
            right = f"rak_{name.rstrip('s')}_{'read' if method == 'GET' else 'write'}"
            raise answers.no_permission(key, self.account.id, right)

    def _acting(self, call: Call, key: str) -> Account:
        """The account that the call acts on: the key's own, or the connected one that Stripe-Account names."""
        named = call.headers.get("stripe-account")
        if named is None or named == self.account.id:
            return self.account
        if named not in self.connected:
            ordinal = self.account.ordinal("accounts", named)
            if ordinal is None or not self.account.reachable("accounts", ordinal):
                raise answers.no_account(key, named)
            self.connected[named] = self._account(self._connected_records, crc32(named.encode()), named)
        return self.connected[named]

    # What the base asks.

    def allowances(self, call: Call) -> Sequence[Allowance]:
        live = "_live_" in self.key_of(call)
        mode = "live" if live else "test"
        account = call.headers.get("stripe-account", "")
        found = route(call.segments)
        endpoint = f"{call.method} {found.template if found else call.path}"
        most = FILES_PER_S if found and found.template.startswith("/v1/files") else ENDPOINT_PER_S
        return (
            Allowance((account, mode), LIVE_PER_S if live else TEST_PER_S, 1.0, "global-rate"),
            Allowance((account, mode, endpoint), most, 1.0, "endpoint-rate"),
        )

    def refusal(self, kind: Refusal, call: Call, fault: Fault | None = None, reason: str = "") -> Reply:
        key = self.key_of(call)
        match kind:
            case "rate_limited":
                error = answers.too_many(reason or "global-rate")
            case "server_error":
                error = answers.server_error(int(fault.option("status", 500)) if fault else 500)
            case "unauthorized":
                error = answers.expired_key(key)
            case "forbidden":
                error = answers.no_permission(key, self.account.id, "rak_read")
        return self._headed(error.reply(self._next_request_id()), call)

    def answer(self, call: Call) -> Reply:
        request_id = self._next_request_id()
        try:
            reply = self._answer(call, request_id)
        except answers.StripeError as error:
            reply = error.reply(request_id)
        return self._headed(reply, call)

    def _next_request_id(self) -> str:
        self._requests += 1
        return f"req_{self._requests:014x}"

    def _headed(self, reply: Reply, call: Call) -> Reply:
        version = call.headers.get("stripe-version", API_VERSION)
        headers = [*reply.headers, ("Request-Id", f"req_{self._requests:014x}"), ("Stripe-Version", version)]
        if "idempotency-key" in call.headers:
            headers.append(("Idempotency-Key", call.headers["idempotency-key"]))
        if "stripe-account" in call.headers:
            headers.append(("Stripe-Account", call.headers["stripe-account"]))
        return reply.changed(headers=tuple(headers))

    def _answer(self, call: Call, request_id: str) -> Reply:
        key = self.key_of(call)
        self._authenticate(key)
        found = route(call.segments)
        if found is None:
            raise answers.unrecognized(call.method, call.path)
        account = self._acting(call, key)
        self._authorise(key, found, call.method)
        if call.method == "GET":
            body = self._read(account, found, call)
        elif call.method in ("POST", "DELETE"):
            return self._written(account, found, call, request_id, key)
        else:
            raise answers.unrecognized(call.method, call.path)
        return Reply(200, _in_mode(body, key))

    def _written(self, account: Account, found: Route, call: Call, request_id: str, key: str) -> Reply:
        token = call.headers.get("idempotency-key") if call.method == "POST" else None
        if token is not None and (before := self._idempotency.replay(token, call)) is not None:
            return before
        made = write(account, found, call, Cause(request_id, token))
        if found.kind == "list" and made.get("object") == "webhook_endpoint":
            made["secret"] = self.webhooks.register(made["id"])
        reply = Reply(200, _in_mode(orjson.dumps(made), key))
        if token is not None:
            self._idempotency.keep(token, call, reply)
        return reply

    # Reading.

    def _read(self, account: Account, found: Route, call: Call) -> bytes:
        resource = found.resource
        if found.kind == "account":
            return self._own_account(account)
        if found.kind == "events":
            query = read_query(call.query, created=True, filters=("delivery_success",), types=True)
            return self.paging.body(page_of_events(account, query), "/v1/events", call.path)
        if found.kind == "event":
            return account.events.render(found_event(account, found.object_id))
        if resource is None or found.kind == "action":
            raise answers.unrecognized(call.method, call.path)
        if found.kind == "object":
            body = retrieve(account, resource, found.object_id, found.parent_id)
        else:
            body = self._list(account, resource, found, call)
        expand = [value for name, value in call.query if name.startswith("expand")]
        return expanded(account, body, expand) if expand else body

    def _own_account(self, account: Account) -> bytes:
        shown = orjson.loads(account.population.render("accounts", 0, self._until - self._span_s))
        return orjson.dumps({**shown, "id": account.id})

    def _list(self, account: Account, resource: Resource, found: Route, call: Call) -> bytes:
        query = read_query(call.query, created=resource.created is not None, filters=resource.filters)
        url, parent = "/" + "/".join(call.segments), found.parent_id
        by = resource.child.by if resource.child else None
        if by is not None:
            parent = query.filters.pop(by, None)
            if parent is None:
                raise answers.StripeError(400, f"Missing required param: {by}.", code="parameter_missing", param=by)
            url += f"?{by}={parent}"
        self.paging.before(account, resource, call.path, query)
        under = None if parent is None else parent_ordinal(account, resource, parent)
        again = self.paging.repeated(account, resource, under, call.path, query)
        lost_ties = self.faults.strikes("lost_ties", call.path) is not None
        page = page_of(account, resource, query, under, lost_ties)
        if again and page.data:
            both = [*again, *page.data]
            page = Slice(both[: query.limit], page.has_more or len(both) > query.limit)
        return self.paging.body(page, url, call.path)


def _in_mode(body: bytes, key: str) -> bytes:
    """Objects are kept as test mode shows them. The text cannot stand inside a string: its quotes would be escaped."""
    return body.replace(b'"livemode":false', b'"livemode":true') if "_live_" in key else body
