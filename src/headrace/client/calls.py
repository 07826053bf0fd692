"""What both clients share and neither does: a request as a value, when it may be repeated, and what an answer means.

No I/O here: `Client` and `AsyncClient` differ only in how they send and sleep.
"""

import json
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from headrace.client.errors import ApiError, Invalid, NotFound, TooManyRequests, Unauthorized, Unfinished
from headrace.client.objects import Batch, Collection, Deleted, EventPage, Page, Plan, Record, RecordPage

DEFAULT_URL = "http://127.0.0.1:7370"
USER_AGENT = "headrace-python"

JsonLoads = Callable[[bytes], Any]
JsonDumps = Callable[[Any], bytes]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request to the API, which answers it with a T.

    `keyed` gives it an Idempotency-Key, made once, so that repeating it after a lost answer does its work once.
    `wait_s` is how long the server may hold the answer back, on top of the client's own timeout. A call that is not
    `repeatable` is sent once.
    """

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    keyed: bool = False
    wait_s: float = 0.0
    repeatable: bool = True

    def headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        if self.keyed:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        return headers

    def content(self, dumps: JsonDumps) -> bytes | None:
        return None if self.body is None else dumps(self.body)

    def params(self) -> dict[str, str]:
        """The query with None left out and everything that is no text as JSON, the way the API reads it."""
        return {name: _text(value) for name, value in self.query.items() if value is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after how long a call is repeated: `attempts` in all, waits doubling from `first_s` up to `most_s`
    with jitter, but never before the server's Retry-After."""

    attempts: int = 5
    first_s: float = 0.2
    most_s: float = 10.0

    def wait_after(
        self, call: Call[Any], attempt: int, status: int | None, headers: Mapping[str, str] = _NO_HEADERS
    ) -> float | None:
        """Seconds to wait before the next attempt, or None: this one stands. `attempt` counts from 1; `status` is None
        when no answer came. A 502 or 504 is the provider's failure, told by a server that has tried already."""
        if attempt >= self.attempts or not call.repeatable:
            return None
        if status is not None and status not in (429, 500, 503):
            return None
        backoff: float = min(self.most_s, self.first_s * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)  # noqa: S311
        return max(backoff, _seconds(headers.get("retry-after")))


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0


def answer(status: int, headers: Mapping[str, str], content: bytes, loads: JsonLoads) -> Any:
    """The JSON of an answer (None for 204), or the error that it tells."""
    if status == 204:
        return None
    try:
        body = loads(content)
    except ValueError:
        body = {"summary": f"the answer is no JSON: is this the address of Headrace? {content[:80]!r}"}
        status = status if status >= 400 else 502
    if status < 400:
        return body
    summary = str(body.get("summary") or body.get("error") or "") if isinstance(body, dict) else str(body)
    if status == 422:
        raise Invalid(summary, body.get("validation_errors", {}))
    if status == 404:
        raise NotFound(status, summary)
    if status in (401, 403):
        raise Unauthorized(status, summary)
    if status == 429:
        raise TooManyRequests(summary, _seconds(headers.get("retry-after")))
    if status == 504 and isinstance(body, dict) and "collections" in body:
        raise Unfinished(summary or "not reached in time", body)
    raise ApiError(status, summary)


def json_dumps(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode()


def standing_headers(token: str | None) -> dict[str, str]:
    """What every request of a client carries."""
    return {"User-Agent": USER_AGENT} | ({"Authorization": f"Bearer {token}"} if token else {})


def no_answer(base_url: str, error: Exception) -> str:
    reason = str(error) or type(error).__name__
    return f"no answer from {base_url} ({reason}); is `headrace serve` running there?"


def listed(body: Any) -> list[dict[str, Any]]:
    """The objects of a list that has no pages."""
    rows: list[dict[str, Any]] = body["data"] if isinstance(body, dict) else body
    return rows


def path(*parts: str) -> str:
    """`/v1/` and the parts, each quoted: an id never changes which route is asked."""
    return "/v1/" + "/".join(quote(part, safe=":") for part in parts)


# ── the calls on one kind of object ──


class Kind(Generic[T]):
    """The calls that every kind of object has."""

    def __init__(self, name: str) -> None:
        self.name = name

    def page(self, filters: Mapping[str, Any], cursor: str | None) -> Call[Page[T]]:
        return Call("GET", path(self.name), {**filters, "cursor": cursor})

    def get(self, object_id: str, options: Mapping[str, Any]) -> Call[T]:
        return Call("GET", path(self.name, object_id), options)

    def create(self, fields: Mapping[str, Any]) -> Call[T]:
        return Call("POST", path(self.name), body=dict(fields), keyed=True)

    def update(self, object_id: str, fields: Mapping[str, Any]) -> Call[T]:
        return Call("PATCH", path(self.name, object_id), body=dict(fields), keyed=True)

    def plan_update(self, object_id: str, fields: Mapping[str, Any]) -> Call[Plan]:
        return Call("PATCH", path(self.name, object_id), _DRY_RUN, body=dict(fields))

    def delete(self, object_id: str) -> Call[Deleted]:
        return Call("DELETE", path(self.name, object_id))

    def plan_delete(self, object_id: str) -> Call[Plan]:
        return Call("DELETE", path(self.name, object_id), _DRY_RUN)


_DRY_RUN = {"dry_run": "true"}


def sync_collections(sync_id: str) -> Call[Any]:
    return Call("GET", path("syncs", sync_id, "collections"))


def sync_wait(sync_id: str, level: str, timeout_ms: int) -> Call[dict[str, Any]]:
    query = {"level": level, "timeout_ms": timeout_ms}
    return Call("GET", path("syncs", sync_id, "wait"), query, wait_s=timeout_ms / 1000, repeatable=False)


def sync_run(sync_id: str) -> Call[Any]:
    return Call("POST", path("syncs", sync_id, "run"), body={}, keyed=True)


def sync_backfill(sync_id: str, collection_ids: Sequence[str] | None) -> Call[Any]:
    body = {} if collection_ids is None else {"collection_ids": list(collection_ids)}
    return Call("POST", path("syncs", sync_id, "backfills"), body=body, keyed=True)


def sync_purge(sync_id: str, collection_id: str | None, *, dry_run: bool) -> Call[Any]:
    query = {"collection_id": collection_id} | (_DRY_RUN if dry_run else {})
    return Call("DELETE", path("syncs", sync_id, "records"), query)


def sync_confirm_deletes(sync_id: str, collection_id: str, sweep_id: str) -> Call[dict[str, int]]:
    where = path("syncs", sync_id, "collections", collection_id, "confirm-deletes")
    return Call("POST", where, body={"sweep_id": sweep_id}, keyed=True)


def consumer_next(consumer_id: str, batch_size: int, wait_ms: int) -> Call[Batch]:
    """Repeatable: what a lost answer held is delivered again when its ack wait is over."""
    body = {"batch_size": batch_size, "wait_for": wait_ms}
    return Call("POST", path("http-consumers", consumer_id, "next"), body=body, wait_s=wait_ms / 1000)


def consumer_act(consumer_id: str, verb: str, tokens: Sequence[str], **more: Any) -> Call[None]:
    """ack, nack, extend or term."""
    body = {"ack_tokens": list(tokens), **{name: value for name, value in more.items() if value is not None}}
    return Call("POST", path("http-consumers", consumer_id, verb), body=body)


def consumer_reset(consumer_id: str, deliver_policy: str | None) -> Call[Any]:
    body = {} if deliver_policy is None else {"deliver_policy": deliver_policy}
    return Call("POST", path("http-consumers", consumer_id, "reset"), body=body, keyed=True)


def consumer_dead_letters(consumer_id: str, cursor: str | None) -> Call[Page[dict[str, Any]]]:
    return Call("GET", path("http-consumers", consumer_id, "dead-letters"), {"cursor": cursor})


def consumer_replay(consumer_id: str) -> Call[Any]:
    return Call("POST", path("http-consumers", consumer_id, "dead-letters", "replay"), body={}, keyed=True)


def collection_list(credential_id: str, cursor: str | None) -> Call[Page[Collection]]:
    return Call("GET", path("collections", credential_id), {"cursor": cursor})


def collection_get(credential_id: str, collection_id: str) -> Call[Collection]:
    return Call("GET", path("collections", credential_id, collection_id))


def collection_refresh(credential_id: str) -> Call[dict[str, Any]]:
    return Call("POST", path("collections", credential_id, "refresh", "start"), body={})


def collection_refresh_status(credential_id: str) -> Call[dict[str, Any]]:
    return Call("GET", path("collections", credential_id, "refresh", "status"))


def record_page(filters: Mapping[str, Any], after_cursor: str | None) -> Call[RecordPage]:
    return Call("GET", path("records"), {**filters, "after_cursor": after_cursor})


def event_page(filters: Mapping[str, Any], after_cursor: str | None) -> Call[EventPage]:
    return Call("GET", path("events"), {**filters, "after_cursor": after_cursor})


def record_get(record_id: str) -> Call[Record]:
    return Call("GET", path("records", record_id))
