"""Salesforce's server: the token endpoint, describe, SOQL, the logs of changes, query jobs.

It obeys what Salesforce documents, not what our connector needs. Sources stand beside each fact, in `catalog`, `soql`,
`org`, `jobs`, `answers`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, time
from typing import Any, ClassVar, Unpack

import orjson

from headrace.testing.exchange import Call, Reply
from headrace.testing.faults import Fault
from headrace.testing.limits import Allowance
from headrace.testing.provider import Options, ProviderServer
from headrace.testing.provider import Refusal as RefusalKind
from headrace.testing.salesforce import answers, soql
from headrace.testing.salesforce.answers import Refusal
from headrace.testing.salesforce.catalog import OBJECTS
from headrace.testing.salesforce.controls import add_controls
from headrace.testing.salesforce.jobs import Jobs
from headrace.testing.salesforce.mutator import Mutator
from headrace.testing.salesforce.org import Org, Table, rendered
from headrace.testing.salesforce.population import Population, spread
from headrace.testing.salesforce.replication import Replication
from headrace.testing.salesforce.soql import Malformed, Row

BATCH = 2_000
LONGEST_URI = 16_384
DAY_S = 86_400.0
VERSIONS = ("60.0", "61.0", "62.0", "63.0", "64.0", "65.0")

KINDS = frozenset(
    {
        "dead_locator",
        "short_batch",
        "empty_page",
        "duplicates",
        "query_timeout",
        "late_rows",
        "ties",
        "hidden",
        "purged_log",
        "job_fails",
        "insert_while_paging",
        "update_while_paging",
        "delete_while_paging",
    }
)
"""`path` is matched with the object's name, but for `dead_locator` (the locator's path):

`dead_locator` a locator is refused · `short_batch` an answer holds `rows` rows (default 200) and a locator ·
`empty_page` an answer holds none, and a locator · `duplicates` an answer repeats its first `rows` rows (default 3) ·
`query_timeout` 400 QUERY_TIMEOUT · `late_rows` what is written shows after `delay_s` (default 1), with its old stamp ·
`ties` the org's first rows were born in multiples of `second` (default 3600) · `hidden` the user sees no row ·
`purged_log` the log of deletions reaches back `kept_s` (default 60) · `job_fails` a query job fails ·
`…_while_paging` a row changes before the query is answered."""


@dataclass(slots=True)
class _Locator:
    rows: list[Row]
    names: list[str]
    table: Table
    size: int


class SalesforceServer(ProviderServer):
    """`records` is the number of rows in all, or of each object by name. They were born over `span_days` up to `until`
    (Unix seconds, default: a day ago).

    Every refresh token that begins with `5Aep` opens it, and every session that begins with `00D`, until it is ended
    with `end_sessions`; `org` is what it holds. `daily_requests` are the org's under real limits. `jobs_take_s` is how
    long a query job is worked on. With `rotates` a refresh token is good once.
    """

    kinds: ClassVar[frozenset[str]] = KINDS

    def __init__(
        self,
        records: int | Mapping[str, int] = 1000,
        *,
        seed: int = 1,
        changes_per_s: float = 0.0,
        span_days: float = 365.0,
        until: float | None = None,
        daily_requests: int = 100_000,
        jobs_take_s: float = 0.05,
        rotates: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(seed=seed, **options)
        self.org = Org(self.clock.now, self.faults, seed)
        self.population = Population(self.org, seed, until or time() - DAY_S, span_days * DAY_S)
        self.population.settle(spread(records) if isinstance(records, int) else records)
        self.mutator: Mutator = Mutator(self.org, self.population, seed, changes_per_s)
        self.jobs = Jobs(self.org)
        self.replication = Replication(self.clock.now, self.faults)
        self.jobs_take_s = jobs_take_s
        self.daily_requests = daily_requests
        self.counts: dict[str, int] = {}
        """Approximate counts that /limits/recordCount tells in place of the true ones, by object."""
        self.rotates = rotates
        self._sessions = 0
        self._ended_below = 0
        self._spent: set[str] = set()
        self._locators: dict[str, _Locator] = {}
        self._opened = 0
        add_controls(self)

    # Sessions.

    def end_sessions(self) -> None:
        """Every session issued so far is over: a token must be refreshed."""
        self._ended_below = self._sessions + 1

    def session(self) -> str:
        """A new session id."""
        self._sessions += 1
        return f"{self.org.id[:15]}!{self._sessions}.headrace"

    def credential(self, call: Call) -> str:
        token = _bearer(call)
        return f"{token[:3]}…" if token else ""

    def _authenticate(self, call: Call) -> None:
        token = _bearer(call)
        _, _, rest = token.partition("!")
        number = rest.partition(".")[0]
        ended = number.isdecimal() and int(number) < self._ended_below
        if not token.startswith("00D") or ended:
            raise answers.no_session()

    def _token(self, call: Call) -> Reply:
        """OAuth 2.0: refresh token, authorisation code, client credentials and JWT bearer. No life is told."""
        form = dict(call.form)
        given = form.get("refresh_token", "")
        grant = form.get("grant_type")
        if grant == "refresh_token" and (not given.startswith("5Aep") or given in self._spent):
            return answers.no_grant("expired access/refresh token")
        if grant not in (
            "refresh_token",
            "authorization_code",
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
        ):
            return Reply.json({"error": "unsupported_grant_type", "error_description": "grant type not supported"}, 400)
        answer: dict[str, Any] = {
            "access_token": self.session(),
            "instance_url": self.base_url,
            "id": f"{self.base_url}/id/{self.org.id}/{self.org.user}",
            "token_type": "Bearer",
            "issued_at": str(int(self.clock.now() * 1000)),
            "signature": "c2lnbmF0dXJl",
            "scope": "api refresh_token",
        }
        if grant == "authorization_code" or (grant == "refresh_token" and self.rotates):
            self._spent.add(given)
            answer["refresh_token"] = f"5Aep{self._sessions}"
        return Reply.json(answer)

    # What the base asks.

    def allowances(self, call: Call) -> Sequence[Allowance]:
        if not call.path.startswith("/services/data/"):
            return ()
        return (self._daily(),)

    def _daily(self) -> Allowance:
        return Allowance("api", self.daily_requests, DAY_S, "TotalRequests")

    def refusal(self, kind: RefusalKind, call: Call, fault: Fault | None = None, reason: str = "") -> Reply:
        match kind:
            case "rate_limited":
                return self._headed(answers.no_more_requests(reason).reply())
            case "server_error":
                status = int(fault.option("status", 500)) if fault else 500
                return Refusal("UNKNOWN_EXCEPTION", "An unexpected error occurred.", status).reply()
            case "unauthorized":
                return answers.no_session().reply()
            case "forbidden":
                return Refusal(
                    "API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization.", 403
                ).reply()

    def answer(self, call: Call) -> Reply:
        if len(call.path) + len(call.raw_query) + 1 > LONGEST_URI:
            return Reply(414, b"<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>", content_type="text/html")
        if call.segments[:3] == ["services", "oauth2", "token"]:
            return self._token(call)
        try:
            if call.segments == ["services", "data"]:
                return Reply.json(
                    [{"version": each, "url": f"/services/data/v{each}", "label": each} for each in VERSIONS]
                )
            self._authenticate(call)
            return self._headed(self._answer(call))
        except Malformed as error:
            return self._headed(Refusal(error.code, str(error)).reply())
        except Refusal as error:
            return self._headed(error.reply())

    def _headed(self, reply: Reply) -> Reply:
        used = self.limiter.used(self._daily(), monotonic()) if self.limits == "real" else min(self.log.total, 15_000)
        told = ("Sforce-Limit-Info", f"api-usage={int(used)}/{self.daily_requests}")
        return reply.changed(headers=(*reply.headers, told))

    def _answer(self, call: Call) -> Reply:
        match call.segments:
            case ["services", "oauth2", "userinfo"]:
                return Reply.json({"user_id": self.org.user, "organization_id": self.org.id})
            case ["services", "data", version, *rest] if version.removeprefix("v") in VERSIONS:
                return self._resource(call, version, rest)
        raise answers.not_there()

    def _resource(self, call: Call, version: str, rest: list[str]) -> Reply:
        asked = dict(call.query)
        match (call.method, *rest):
            case ("GET", "sobjects"):
                return Reply.json({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": self._global(version)})
            case ("GET", "sobjects", name, "describe"):
                return Reply.json(self._describe(self._there(name)))
            case ("GET", "sobjects", name, "deleted"):
                return self.replication.deleted(self._there(name), asked)
            case ("GET", "sobjects", name, "updated"):
                return self.replication.updated(self._there(name), asked)
            case ("GET", "sobjects", name, key):
                return self._row(self._there(name), key, asked, version)
            case ("GET", "query" | "queryAll" as how):
                return self._query(asked.get("q", ""), version, call, deleted=how == "queryAll")
            case ("GET", "query" | "queryAll", locator):
                return self._go_on(locator, version, call)
            case ("GET", "limits"):
                return Reply.json({"DailyApiRequests": {"Max": self.daily_requests, "Remaining": self.daily_requests}})
            case ("GET", "limits", "recordCount"):
                return self._counts(asked)
            case ("POST", "jobs", "query"):
                return self._make_job(orjson.loads(call.body), version)
            case ("GET", "jobs", "query", key):
                return Reply.json(self.jobs.get(key).render(self.clock.now(), version))
            case ("GET", "jobs", "query", key, "results"):
                most = int(asked.get("maxRecords") or 50_000)
                return self.jobs.result(key, asked.get("locator"), most, self.clock.now())
            case ("DELETE", "jobs", "query", key):
                self.jobs.abort(key)
                return Reply(204)
        raise answers.not_there()

    # Describe.

    def _there(self, name: str) -> Table:
        """The object of this name; 404 for one that the user may not see."""
        try:
            return self.org.table(name)
        except Malformed:
            raise answers.not_there() from None

    def _global(self, version: str) -> list[dict[str, Any]]:
        return [self._head(each) for name, each in self.org.tables.items() if name not in self.org.forbidden]

    @staticmethod
    def _head(table: Table) -> dict[str, Any]:
        kind = table.type
        label = kind.name.removesuffix("__c").replace("_", " ")
        return {
            "name": kind.name,
            "label": label,
            "labelPlural": f"{label}s",
            "keyPrefix": kind.prefix,
            "custom": kind.custom,
            "customSetting": False,
            "queryable": kind.queryable,
            "replicateable": kind.replicateable and kind.queryable,
            "retrieveable": kind.queryable,
            "deprecatedAndHidden": False,
            "deletable": kind.deletable,
            "updateable": kind.changes,
            "undeletable": kind.soft,
        }

    def _describe(self, table: Table) -> dict[str, Any]:
        return {**self._head(table), "fields": [each.describe() for each in table.visible_fields]}

    # Queries.

    def _query(self, text: str, version: str, call: Call, *, deleted: bool) -> Reply:
        query = soql.parse(text)
        table = self.org.table(query.name)
        name = table.type.name
        if self.faults.strikes("query_timeout", name):
            raise Refusal("QUERY_TIMEOUT", "Your query request was running for too long.")
        self._disturb(name)
        if query.count:
            return Reply.json({"totalSize": len(self.org.select(query, deleted=deleted)), "done": True, "records": []})
        rows = [] if self.faults.strikes("hidden", name) else self.org.select(query, deleted=deleted)
        if fault := self.faults.strikes("duplicates", name):
            rows = [*rows[: int(fault.option("rows", 3))], *rows]
        size = _batch(call)
        if fault := self.faults.strikes("short_batch", name):
            size = int(fault.option("rows", 200))
        if rows and self.faults.strikes("empty_page", name):
            size = 0
        return self._batched(_Locator(rows, query.fields, table, size), 0, version)

    def _go_on(self, locator: str, version: str, call: Call) -> Reply:
        key, _, at = locator.rpartition("-")
        found = self._locators.get(key)
        if found is None or not at.isdecimal() or self.faults.strikes("dead_locator", call.path):
            raise answers.no_locator()
        found.size = found.size or BATCH
        return self._batched(found, int(at), version, key)

    def _batched(self, found: _Locator, at: int, version: str, key: str | None = None) -> Reply:
        following = at + found.size
        rows = found.rows[at:following]
        answer: dict[str, Any] = {"totalSize": len(found.rows), "done": following >= len(found.rows)}
        if not answer["done"]:
            if key is None:
                self._opened += 1
                key = f"01gHr{self._opened:010}AAA"
                self._locators[key] = found
            answer["nextRecordsUrl"] = f"/services/data/{version}/query/{key}-{following}"
        answer["records"] = [rendered(found.table, row, found.names, version) for row in rows]
        return Reply.json(answer)

    def _disturb(self, name: str) -> None:
        if self.faults.strikes("insert_while_paging", name):
            self.org.create(name, self.population.made(name))
        for how in ("update", "delete"):
            if self.faults.strikes(f"{how}_while_paging", name):
                victim = next((row["Id"] for row in self.org.alive(name)), None)
                if victim is None:
                    continue
                if how == "update" and OBJECTS[name].changes:
                    self.org.update(name, victim, {})
                elif how == "delete" and OBJECTS[name].deletable:
                    self.org.delete(name, victim)

    def _row(self, table: Table, key: str, asked: dict[str, str], version: str) -> Reply:
        row = table.rows.get(key)
        if row is None or not self.org.seen(table, key):
            raise answers.not_there()
        if row.get("IsDeleted"):
            raise Refusal("ENTITY_IS_DELETED", "entity is deleted", 404)
        given = asked.get("fields")
        names = given.split(",") if given else [each.name for each in table.visible_fields]
        return Reply.json(rendered(table, row, names, version))

    # Query jobs.

    def _counts(self, asked: dict[str, str]) -> Reply:
        names = [name for name in asked.get("sObjects", "").split(",") if name in self.org.tables]
        true = {name: sum(1 for _ in self.org.alive(name)) for name in names}
        return Reply.json({"sObjects": [{"name": name, "count": self.counts.get(name, true[name])} for name in names]})

    def _make_job(self, said: dict[str, Any], version: str) -> Reply:
        query = soql.parse(str(said.get("query", "")))
        fails = self.faults.strikes("job_fails", query.name) is not None
        job = self.jobs.make(said, self.clock.now(), self.jobs_take_s, fails=fails)
        return Reply.json({**job.render(self.clock.now(), version), "state": "UploadComplete"})


def _bearer(call: Call) -> str:
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _batch(call: Call) -> int:
    """`Sforce-Query-Options: batchSize=200`: a wish, from 200 to 2 000."""
    name, _, size = call.headers.get("sforce-query-options", "").partition("=")
    if name.strip().lower() == "batchsize" and size.strip().isdecimal():
        return min(BATCH, max(200, int(size)))
    return BATCH
