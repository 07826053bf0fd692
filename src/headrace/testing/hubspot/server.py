"""HubSpot's server: CRM objects by list, search and batch, associations, and the lists of owners, pipelines, forms, ….

It obeys what HubSpot documents, not what our connector needs. Sources: https://developers.hubspot.com/docs/api-reference
(error handling; usage guidelines: 110 requests per 10 seconds of an OAuth app, 5 searches a second without headers;
search: 200 rows a page, 10 000 a query, one sort; batch read: 207 with errors), recorded headers of other connectors.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic, time
from typing import Any, ClassVar, Unpack

import orjson

from headrace.testing.exchange import Call, Reply
from headrace.testing.faults import Fault
from headrace.testing.hubspot.mutator import Mutator
from headrace.testing.hubspot.population import Population
from headrace.testing.hubspot.portal import CUSTOM, Json, Portal, Thing, stamp_of
from headrace.testing.limits import Allowance
from headrace.testing.provider import Options, ProviderServer, Refusal

TEN_SECONDS = 110
SEARCHES = 5
MOST_FOUND = 10_000
LONGEST_URI = 16_384
DAY_S = 86_400.0

KINDS = frozenset({"index_lag", "ties", "hidden", "missing_scope", "duplicates", "batch_fails"})
"""`index_lag` the search shows a change after `delay_s` (default 1) · `ties` the first objects changed in milliseconds
that are multiples of `ms` (default a day) · `hidden` a list shows empty · `missing_scope` 403 MISSING_SCOPES ·
`duplicates` a page of a list begins with the last row of the one before · `batch_fails` a batch is answered 207, with
an error in the place of some of its results."""


class _Refused(Exception):
    def __init__(self, status: int, category: str, message: str) -> None:
        super().__init__(message)
        self.status, self.category = status, category


class HubspotServer(ProviderServer):
    """`records` is the number of CRM objects in all, or of each type by its name in addresses. Every private app token
    that begins with `pat-`, and every token issued by the token endpoint, opens it."""

    kinds: ClassVar[frozenset[str]] = KINDS

    def __init__(
        self,
        records: int | Mapping[str, int] = 1000,
        *,
        seed: int = 1,
        changes_per_s: float = 0.0,
        span_days: float = 365.0,
        until: float | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(seed=seed, **options)
        self.portal = Portal(self.clock.now, self.faults, seed)
        population = Population(self.portal, seed, until or time() - DAY_S, span_days * DAY_S)
        population.settle(records)
        self.mutator: Mutator = Mutator(self.portal, population, seed, changes_per_s)
        self._issued = 0

    # What the base asks.

    def credential(self, call: Call) -> str:
        return f"{_token(call)[:4]}…"

    def allowances(self, call: Call) -> Sequence[Allowance]:
        if call.path.endswith("/search") and call.path.startswith("/crm/v3/objects/"):
            return (Allowance("search", SEARCHES, 1.0, "SECONDLY"),)
        return (self._burst(),)

    @staticmethod
    def _burst() -> Allowance:
        return Allowance("burst", TEN_SECONDS, 10.0, "TEN_SECONDLY_ROLLING")

    def refusal(self, kind: Refusal, call: Call, fault: Fault | None = None, reason: str = "") -> Reply:
        match kind:
            case "rate_limited":
                policy = reason or "TEN_SECONDLY_ROLLING"
                said = {
                    "status": "error",
                    "message": f"You have reached your {policy.lower()} limit.",
                    "errorType": "RATE_LIMIT",
                    "correlationId": "c0ffee",
                    "policyName": policy,
                }
                return Reply.json(said, 429)
            case "server_error":
                return _error(int(fault.option("status", 502)) if fault else 502, "INTERNAL_ERROR", "internal error")
            case "unauthorized":
                return _error(401, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired")
            case "forbidden":
                scopes = {"requiredGranularScopes": ["crm.objects.contacts.read", "crm.objects.custom.read"]}
                errors = [{"message": "One or more of the following scopes are required.", "context": scopes}]
                return _error(403, "MISSING_SCOPES", "This app hasn't been granted all required scopes", errors=errors)

    def answer(self, call: Call) -> Reply:
        if len(call.path) + len(call.raw_query) + 1 > LONGEST_URI:
            return Reply(414, b"<html><body>414 Request-URI Too Large</body></html>", content_type="text/html")
        if call.path == "/oauth/2026-03/token":
            return self._mint(dict(call.form))
        token = _token(call)
        if not token.startswith(("pat-", "at-")):
            return _error(401, "INVALID_AUTHENTICATION", "Authentication credentials not found")
        if self.faults.strikes("missing_scope", call.path, call.method):
            return self.refusal("forbidden", call)
        try:
            reply = self._answer(call)
        except _Refused as error:
            reply = _error(error.status, error.category, str(error))
        return reply if call.path.endswith("/search") else self._headed(reply)

    def _headed(self, reply: Reply) -> Reply:
        used = self.limiter.used(self._burst(), monotonic()) if self.limits == "real" else 0
        left = (("Max", TEN_SECONDS), ("Remaining", int(TEN_SECONDS - used)), ("Interval-Milliseconds", 10_000))
        return reply.changed(headers=tuple((f"X-HubSpot-RateLimit-{name}", str(value)) for name, value in left))

    def _mint(self, form: Mapping[str, str]) -> Reply:
        if form.get("grant_type") not in ("refresh_token", "authorization_code"):
            return Reply.json({"status": "BAD_GRANT_TYPE", "message": "missing or unknown grant type"}, 400)
        self._issued += 1
        refresh = form.get("refresh_token", "refresh-1")
        answer = {
            "access_token": f"at-{self._issued}",
            "refresh_token": refresh,
            "expires_in": 1800,
            "token_type": "bearer",
        }
        return Reply.json(answer)

    # The API.

    def _answer(self, call: Call) -> Reply:
        asked = dict(call.query)
        said: Json = orjson.loads(call.body) if call.body else {}
        match (call.method, *call.segments):
            case ("GET", "account-info", "v3", "details"):
                return Reply.json({"portalId": self.portal.id, "accountType": "STANDARD", "timeZone": "US/Eastern"})
            case ("GET", "crm", "v3", "schemas"):
                labels = {"singular": "Mill", "plural": "Mills"}
                return Reply.json({"results": [{"objectTypeId": CUSTOM, "name": "mill", "labels": labels}]})
            case ("GET", "crm", "v3", "properties", kind):
                return Reply.json({"results": [_described(name) for name in self._kind(kind).properties]})
            case ("GET", "crm", "v3", "objects", kind):
                return self._list(self._kind(kind).name, asked, call)
            case ("GET", "crm", "v3", "objects", kind, key):
                return self._one(self._kind(kind).name, key, asked)
            case ("POST", "crm", "v3", "objects", kind, "search"):
                return self._search(self._kind(kind).name, said)
            case ("POST", "crm", "v3", "objects", kind, "batch", "read"):
                return self._batch(self._kind(kind).name, said, call)
            case ("POST", "crm", "v4", "associations", kind, other, "batch", "read"):
                return self._associated(kind, other, said)
            case ("POST", "crm", "v3", "lists", "search"):
                return self._lists(said)
            case ("GET", "crm", "v3", "lists", key, "memberships"):
                return self._page(self.portal.members.get(key, []), asked, call)
            case ("GET", "crm", "v3", "owners"):
                archived = _is_true(asked.get("archived"))
                return self._page(
                    [each for each in self.portal.others["owners"] if each["archived"] == archived], asked, call
                )
            case ("GET", "crm", "v3", "pipelines", kind):
                return Reply.json({"results": self.portal.others.get(f"pipelines/{kind}", [])})
            case ("GET", "form-integrations", "v1", "submissions", "forms", form):
                newest = sorted(self.portal.submissions.get(form, []), key=lambda each: -each["submittedAt"])
                return self._page(newest, asked, call, most=50)
            case ("GET", "conversations", "v3", "conversations", "threads"):
                return self._page(self._threads(asked), asked, call)
            case ("GET", "conversations", "v3", "conversations", "threads", key):
                return self._thread(key)
            case ("GET", "conversations", "v3", "conversations", "threads", key, "messages"):
                return self._page(self.portal.messages.get(key, []), asked, call)
            case ("GET", "email", "public", "v1", "events"):
                return self._events(asked)
            case ("GET", *path) if "/".join(path) in _LISTS:
                return self._page(self._others("/".join(path), asked), asked, call)
        raise _Refused(404, "OBJECT_NOT_FOUND", f"there is nothing at {call.path}")

    def _kind(self, name: str) -> Any:
        found = self.portal.kinds.get(name)
        if found is None:
            raise _Refused(403, "MISSING_SCOPES", f"This app hasn't been granted the scopes to read {name}")
        return found

    def _threads(self, asked: Mapping[str, str]) -> list[Json]:
        """By id, or, behind a moment, in the order of their latest message."""
        rows = self.portal.others["threads"]
        if asked.get("sort") != "latestMessageTimestamp":
            return rows
        if "latestMessageTimestampAfter" not in asked:
            raise _Refused(400, "VALIDATION_ERROR", "latestMessageTimestampAfter is required with this sort")
        after = _moment(asked["latestMessageTimestampAfter"])
        found = [each for each in rows if _moment(each["latestMessageTimestamp"]) > after]
        return sorted(found, key=lambda each: str(each["latestMessageTimestamp"]))

    def _thread(self, key: str) -> Reply:
        found = next((each for each in self.portal.others["threads"] if each["id"] == key), None)
        if found is None:
            raise _Refused(404, "OBJECT_NOT_FOUND", "thread not found")
        return Reply.json(found)

    def _others(self, path: str, asked: Mapping[str, str]) -> list[Json]:
        rows = self.portal.others[_LISTS[path]]
        return [row for row in rows if row["updatedAt"] > asked["updatedAfter"]] if "updatedAfter" in asked else rows

    def _list(self, kind: str, asked: Mapping[str, str], call: Call) -> Reply:
        limit = _limit(asked, 10, 100)
        after = int(asked.get("after", "0") or 0)
        names = [name for name in asked.get("properties", "").split(",") if name]
        found = self.portal.listed(kind, after, limit, archived=_is_true(asked.get("archived")))
        if self.faults.strikes("hidden", call.path):
            found = []
        rows = [self.portal.rendered(kind, thing, names) for thing in found[:limit]]
        answer: Json = {"results": rows}
        if len(found) > limit:
            answer["paging"] = {"next": {"after": rows[-1]["id"], "link": f"{self.base_url}{call.path}"}}
        before = self.portal.kinds[kind].things.get(after)
        if before is not None and before.archived_at is None and self.faults.strikes("duplicates", call.path):
            rows.insert(0, self.portal.rendered(kind, before, names))
        return Reply.json(answer)

    def _found(self, kind: str, key: str) -> Thing | None:
        table = self.portal.kinds[kind]
        number = int(key) if key.isdecimal() else 0
        thing = table.things.get(table.merged.get(number, number))
        return thing if thing is not None and thing.archived_at is None else None

    def _one(self, kind: str, key: str, asked: Mapping[str, str]) -> Reply:
        thing = self._found(kind, key)
        if thing is None:
            raise _Refused(404, "OBJECT_NOT_FOUND", "resource not found")
        return Reply.json(self.portal.rendered(kind, thing, asked.get("properties", "").split(",")))

    def _batch(self, kind: str, said: Json, call: Call) -> Reply:
        inputs = [str(each["id"]) for each in said.get("inputs", ())]
        if len(inputs) > 100:
            raise _Refused(400, "VALIDATION_ERROR", "no more than 100 inputs")
        rows = [(key, self._found(kind, key)) for key in inputs]
        there = {thing.id: self.portal.rendered(kind, thing, said.get("properties", [])) for _, thing in rows if thing}
        answer: Json = {"status": "COMPLETE", "results": list(there.values())}
        errors = []
        if missing := [key for key, thing in rows if thing is None]:
            errors.append(_failed("OBJECT_NOT_FOUND", "not found", missing))
        if there and self.faults.strikes("batch_fails", call.path):
            lost = list(there)[::2]
            answer["results"] = [row for key, row in there.items() if key not in lost]
            errors.append(_failed("INTERNAL_ERROR", "some objects could not be read", [str(key) for key in lost]))
        return Reply.json({**answer, "numErrors": len(errors), "errors": errors}, 207) if errors else Reply.json(answer)

    def _search(self, kind: str, said: Json) -> Reply:
        limit, after = int(said.get("limit", 10)), int(said.get("after") or 0)
        if limit > 200 or len(said.get("sorts", [])) > 1 or len(said.get("filterGroups", [])) > 5:
            raise _Refused(400, "VALIDATION_ERROR", "limit, sorts or filterGroups are too many")
        if after + limit > MOST_FOUND:
            raise _Refused(400, "VALIDATION_ERROR", "paging.after is beyond the 10,000 results that a search may show")
        groups = [[_filter(kind, each) for each in group["filters"]] for group in said.get("filterGroups", [])]
        shown = list(self.portal.searched(kind))
        found = [each for each in shown if not groups or any(all(test(*each) for test in tests) for tests in groups)]
        sort = said.get("sorts") or [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]
        found.sort(key=_value(kind, sort[0]["propertyName"]), reverse=sort[0].get("direction") == "DESCENDING")
        rows = [
            self.portal.rendered(kind, thing, said.get("properties", []), at) for thing, at, _ in found[after:][:limit]
        ]
        answer: Json = {"total": len(found), "results": rows}
        if after + limit < len(found):
            answer["paging"] = {"next": {"after": str(after + limit)}}
        return Reply.json(answer)

    def _associated(self, kind: str, other: str, said: Json) -> Reply:
        results = []
        for each in said.get("inputs", ()):
            ends = sorted(self.portal.associations.get((kind, int(each["id"]), other), {}).items())
            at = int(each.get("after") or 0)
            if not ends:
                continue
            row: Json = {"from": {"id": str(each["id"])}}
            row["to"] = [{"toObjectId": end, "associationTypes": told} for end, told in ends[at : at + 500]]
            if at + 500 < len(ends):
                row["paging"] = {"next": {"after": str(at + 500)}}
            results.append(row)
        return Reply.json({"status": "COMPLETE", "results": results})

    def _lists(self, said: Json) -> Reply:
        at, count = int(said.get("offset", 0)), int(said.get("count", 20))
        rows = self.portal.others["lists"]
        more = at + count < len(rows)
        return Reply.json({"lists": rows[at : at + count], "hasMore": more, "offset": at + count, "total": len(rows)})

    def _events(self, asked: Mapping[str, str]) -> Reply:
        low, high = int(asked.get("startTimestamp", 0)), int(asked.get("endTimestamp", 1 << 60))
        rows = [each for each in self.portal.others["email_events"] if low <= each["created"] < high]
        at, limit = int(asked.get("offset") or 0), int(asked.get("limit", 10))
        more = at + limit < len(rows)
        return Reply.json({"events": rows[at : at + limit], "hasMore": more, "offset": str(at + limit)})

    @staticmethod
    def _page(rows: list[Json], asked: Mapping[str, str], call: Call, most: int = 500) -> Reply:
        limit, at = _limit(asked, 10, most), int(asked.get("after") or 0)
        answer: Json = {"results": rows[at : at + limit]}
        if at + limit < len(rows):
            answer["paging"] = {"next": {"after": str(at + limit), "link": call.path}}
        return Reply.json(answer)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


_LISTS = {
    "conversations/v3/conversations/inboxes": "inboxes",
    "conversations/v3/conversations/channels": "channels",
    "conversations/v3/conversations/channel-accounts": "channel_accounts",
    "marketing/v3/forms": "forms",
    "marketing/v3/emails": "marketing_emails",
    "marketing/v3/campaigns": "campaigns",
    "automation/v4/flows": "workflows",
    "settings/v3/users": "users",
}

Found = tuple[Thing, int, dict[str, str | None]]


def _value(kind: str, name: str) -> Callable[[Found], Any]:
    """What the search compares of an object."""
    if name == stamp_of(kind):
        return lambda found: found[1]
    if name in ("hs_object_id", "createdate"):
        return lambda found: found[0].id if name == "hs_object_id" else found[0].created
    return lambda found: found[2].get(name) or ""


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "EQ": lambda held, value: bool(held == value),
    "GT": lambda held, value: bool(held > value),
    "GTE": lambda held, value: bool(held >= value),
    "LT": lambda held, value: bool(held < value),
    "LTE": lambda held, value: bool(held <= value),
}


def _filter(kind: str, said: Json) -> Callable[[Thing, int, dict[str, str | None]], bool]:
    operator = _OPERATORS.get(said["operator"])
    if operator is None:
        raise _Refused(400, "VALIDATION_ERROR", f"the operator {said['operator']} is not known here")
    value = _value(kind, said["propertyName"])
    number = said["propertyName"] in (stamp_of(kind), "hs_object_id", "createdate")
    wanted = int(said["value"]) if number else said["value"]
    return lambda thing, at, values: operator(value((thing, at, values)), wanted)


def _described(name: str) -> Json:
    kind = "datetime" if name.endswith("date") else "string"
    return {"name": name, "label": name.replace("_", " "), "type": kind, "fieldType": "text", "hubspotDefined": True}


def _limit(asked: Mapping[str, str], default: int, most: int) -> int:
    limit = int(asked.get("limit") or default)
    if not 1 <= limit <= most:
        raise _Refused(400, "VALIDATION_ERROR", f"limit must be between 1 and {most}")
    return limit


def _is_true(text: str | None) -> bool:
    """However it is spelled: the SDK sends Python's."""
    return (text or "").lower() == "true"


def _token(call: Call) -> str:
    return call.headers.get("authorization", "").removeprefix("Bearer ")


def _failed(category: str, message: str, ids: list[str]) -> Json:
    """An error of a batch."""
    return {"status": "error", "category": category, "message": message, "context": {"ids": ids}}


def _error(status: int, category: str, message: str, **more: Any) -> Reply:
    said = {"status": "error", "message": message, "correlationId": "c0ffee", "category": category, **more}
    return Reply.json(said, status)
