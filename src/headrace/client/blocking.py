"""The blocking client."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

import httpx2

from headrace.client import calls
from headrace.client.calls import Call, JsonDumps, JsonLoads, Kind, RetryPolicy, json_dumps
from headrace.client.consuming import Consumption
from headrace.client.errors import ConnectionFailed
from headrace.client.objects import (
    ApiToken,
    Batch,
    Collection,
    Consumer,
    Credential,
    Deleted,
    Event,
    EventPage,
    OAuthApp,
    Org,
    Page,
    Plan,
    Provider,
    Record,
    RecordPage,
    Stream,
    Sync,
)

T = TypeVar("T")


class Client:
    """Headrace's API, blocking. May be shared by threads. Close it, or use it in a `with`.

    `base_url` is the server's address and `token` an API token. `timeout` is in seconds; a long poll has its own time
    on top. `loads` reads JSON and `dumps` writes it: `functools.partial(json.loads, parse_float=Decimal)` keeps every
    digit of the provider's numbers.

    Calls that failed for want of a connection, for 429, 500 or 503 are repeated as `retries` says; POST and PATCH carry
    an Idempotency-Key, so that a repeated one does its work once.
    """

    def __init__(
        self,
        base_url: str = calls.DEFAULT_URL,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        retries: RetryPolicy = RetryPolicy(),
        loads: JsonLoads = json.loads,
        dumps: JsonDumps = json_dumps,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._http = httpx2.Client(base_url=base_url, headers=calls.standing_headers(token), transport=transport)
        self._timeout = timeout
        self._retries = retries
        self._loads = loads
        self._dumps = dumps
        self.collections = Collections(self)
        self.consumers = Consumers(self, Kind("http-consumers"))
        self.credentials = Resource[Credential](self, Kind("credentials"))
        self.oauth_apps = Resource[OAuthApp](self, Kind("oauth-apps"))
        self.orgs = Resource[Org](self, Kind("orgs"))
        self.providers = Resource[Provider](self, Kind("providers"))
        self.records = Records(self)
        self.events = Events(self)
        self.streams = Resource[Stream](self, Kind("streams"))
        self.syncs = Syncs(self, Kind("syncs"))
        self.tokens = Resource[ApiToken](self, Kind("api-tokens"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """What the API answers to `call`; raises what `headrace.client.errors` lists."""
        request = self._http.build_request(
            call.method,
            call.path,
            params=call.params(),
            headers=call.headers(),
            content=call.content(self._dumps),
            timeout=httpx2.Timeout(self._timeout, read=self._timeout + call.wait_s),
        )
        attempt = 1
        while True:
            try:
                response = self._http.send(request)
            except httpx2.TransportError as error:
                wait_s = self._retries.wait_after(call, attempt, None)
                if wait_s is None:
                    raise ConnectionFailed(calls.no_answer(str(self._http.base_url), error)) from error
            else:
                wait_s = self._retries.wait_after(call, attempt, response.status_code, response.headers)
                if wait_s is None:
                    answer: T = calls.answer(response.status_code, response.headers, response.content, self._loads)
                    return answer
            time.sleep(wait_s)
            attempt += 1

    def pages(self, page_after: Callable[[str | None], Call[Page[T]]]) -> Iterator[T]:
        """Every object of a list, page after page."""
        cursor: str | None = None
        while True:
            page = self.send(page_after(cursor))
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return


class Resource(Generic[T]):
    """One kind of object; `name` is what paths call it. The server checks the fields and names each that does not hold
    (`Invalid`)."""

    def __init__(self, client: Client, kind: Kind[T]) -> None:
        self._client = client
        self._kind = kind
        self.name = kind.name

    def list(self, **filters: Any) -> Iterator[T]:
        """Every object that the filters let through, page after page."""
        return self._client.pages(lambda cursor: self._kind.page(filters, cursor))

    def get(self, object_id: str, **options: Any) -> T:
        return self._client.send(self._kind.get(object_id, options))

    def create(self, **fields: Any) -> T:
        return self._client.send(self._kind.create(fields))

    def update(self, object_id: str, **fields: Any) -> T:
        """Change these fields only; None is JSON's null."""
        return self._client.send(self._kind.update(object_id, fields))

    def plan_update(self, object_id: str, **fields: Any) -> Plan:
        """What `update` would do, without doing it."""
        return self._client.send(self._kind.plan_update(object_id, fields))

    def delete(self, object_id: str) -> Deleted:
        return self._client.send(self._kind.delete(object_id))

    def plan_delete(self, object_id: str) -> Plan:
        """What `delete` would do, without doing it."""
        return self._client.send(self._kind.plan_delete(object_id))


class Syncs(Resource[Sync]):
    def collections(self, sync_id: str) -> list[dict[str, Any]]:
        """How far each collection is: phase, records held and read, lag, errors, sweeps."""
        return calls.listed(self._client.send(calls.sync_collections(sync_id)))

    def run(self, sync_id: str) -> None:
        """Start the next run now."""
        self._client.send(calls.sync_run(sync_id))

    def backfill(self, sync_id: str, collection_ids: Sequence[str] | None = None) -> None:
        """Read these collections from the start again; None: all of them."""
        self._client.send(calls.sync_backfill(sync_id, collection_ids))

    def wait(
        self, sync_id: str, level: Literal["head", "settled"] = "head", timeout_ms: int = 30_000
    ) -> dict[str, Any]:
        """Wait until every change made before this call is in the stream; `Unfinished` when the time is up first."""
        return self._client.send(calls.sync_wait(sync_id, level, timeout_ms))

    def purge(self, sync_id: str, collection_id: str | None = None) -> Any:
        """Take the records of one collection, or of all, out of the stream."""
        return self._client.send(calls.sync_purge(sync_id, collection_id, dry_run=False))

    def plan_purge(self, sync_id: str, collection_id: str | None = None) -> Plan:
        plan: Plan = self._client.send(calls.sync_purge(sync_id, collection_id, dry_run=True))
        return plan

    def confirm_deletes(self, sync_id: str, collection_id: str, sweep_id: str) -> int:
        """Let the deletes go through that the safety catch holds; how many there were."""
        return self._client.send(calls.sync_confirm_deletes(sync_id, collection_id, sweep_id))["deleted"]


class Consumers(Resource[Consumer]):
    def next(self, consumer_id: str, batch_size: int = 1, wait_ms: int = 0) -> Batch:
        """Up to `batch_size` messages; waits up to `wait_ms` until there are so many."""
        return self._client.send(calls.consumer_next(consumer_id, batch_size, wait_ms))

    def ack(self, consumer_id: str, ack_tokens: Sequence[str]) -> None:
        self._client.send(calls.consumer_act(consumer_id, "ack", ack_tokens))

    def nack(self, consumer_id: str, ack_tokens: Sequence[str], delay_ms: int | None = None) -> None:
        """Give the messages back: available again now, or after the delay."""
        self._client.send(calls.consumer_act(consumer_id, "nack", ack_tokens, delay_ms=delay_ms))

    def extend(self, consumer_id: str, ack_tokens: Sequence[str]) -> None:
        """Let the ack wait begin anew."""
        self._client.send(calls.consumer_act(consumer_id, "extend", ack_tokens))

    def term(self, consumer_id: str, ack_tokens: Sequence[str], reason: str | None = None) -> None:
        """Set the messages aside among the dead letters."""
        self._client.send(calls.consumer_act(consumer_id, "term", ack_tokens, reason=reason))

    def reset(self, consumer_id: str, deliver_policy: str | None = None) -> None:
        """Move the consumer to where its policy, or this one, says; tokens that are out become void."""
        self._client.send(calls.consumer_reset(consumer_id, deliver_policy))

    def dead_letters(self, consumer_id: str) -> Iterator[dict[str, Any]]:
        return self._client.pages(lambda cursor: calls.consumer_dead_letters(consumer_id, cursor))

    def replay_dead_letters(self, consumer_id: str) -> Any:
        return self._client.send(calls.consumer_replay(consumer_id))

    def consume(self, consumer_id: str, batch_size: int = 100, wait_ms: int = 30_000) -> Consumption:
        """Every message, as it comes, for ever. See `Consumption` for how they are acked."""
        return Consumption(self, consumer_id, batch_size, wait_ms)


class Collections:
    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, credential_id: str) -> Iterator[Collection]:
        """The collections that the account of a credential has."""
        return self._client.pages(lambda cursor: calls.collection_list(credential_id, cursor))

    def get(self, credential_id: str, collection_id: str) -> Collection:
        return self._client.send(calls.collection_get(credential_id, collection_id))

    def refresh(self, credential_id: str) -> dict[str, Any]:
        """Start to look anew which collections there are."""
        return self._client.send(calls.collection_refresh(credential_id))

    def refresh_status(self, credential_id: str) -> dict[str, Any]:
        return self._client.send(calls.collection_refresh_status(credential_id))


class Records:
    def __init__(self, client: Client) -> None:
        self._client = client

    def page(self, after_cursor: str | None = None, **filters: Any) -> RecordPage:
        """The records after a cursor, oldest change first; `limit` at most 1000."""
        return self._client.send(calls.record_page(filters, after_cursor))

    def list(self, after_cursor: str | None = None, **filters: Any) -> Iterator[Record]:
        """Every record after a cursor, oldest change first, up to what is there now."""
        while True:
            page = self.page(after_cursor, **filters)
            if not page["records"]:
                return
            yield from page["records"]
            after_cursor = page["cursor"]

    def get(self, record_id: str) -> Record:
        return self._client.send(calls.record_get(record_id))


class Events:
    def __init__(self, client: Client) -> None:
        self._client = client

    def page(self, after_cursor: str | None = None, **filters: Any) -> EventPage:
        """The events after a cursor, oldest first; `limit` at most 1000."""
        return self._client.send(calls.event_page(filters, after_cursor))

    def list(self, after_cursor: str | None = None, **filters: Any) -> Iterator[Event]:
        """Every event after a cursor that is still kept, oldest first, up to what is there now."""
        while True:
            page = self.page(after_cursor, **filters)
            if not page["events"]:
                return
            yield from page["events"]
            after_cursor = page["cursor"]
