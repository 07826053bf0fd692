"""The client for asyncio: `Client`, awaited. A test holds the two in step."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

import httpx2

from headrace.client import calls
from headrace.client.calls import Call, JsonDumps, JsonLoads, Kind, RetryPolicy, json_dumps
from headrace.client.consuming import AsyncConsumption
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


class AsyncClient:
    """Headrace's API, awaited. For one event loop. Close it, or use it in an `async with`.

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
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx2.AsyncClient(base_url=base_url, headers=calls.standing_headers(token), transport=transport)
        self._timeout = timeout
        self._retries = retries
        self._loads = loads
        self._dumps = dumps
        self.collections = AsyncCollections(self)
        self.consumers = AsyncConsumers(self, Kind("http-consumers"))
        self.credentials = AsyncResource[Credential](self, Kind("credentials"))
        self.oauth_apps = AsyncResource[OAuthApp](self, Kind("oauth-apps"))
        self.orgs = AsyncResource[Org](self, Kind("orgs"))
        self.providers = AsyncResource[Provider](self, Kind("providers"))
        self.records = AsyncRecords(self)
        self.events = AsyncEvents(self)
        self.streams = AsyncResource[Stream](self, Kind("streams"))
        self.syncs = AsyncSyncs(self, Kind("syncs"))
        self.tokens = AsyncResource[ApiToken](self, Kind("api-tokens"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
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
                response = await self._http.send(request)
            except httpx2.TransportError as error:
                wait_s = self._retries.wait_after(call, attempt, None)
                if wait_s is None:
                    raise ConnectionFailed(calls.no_answer(str(self._http.base_url), error)) from error
            else:
                wait_s = self._retries.wait_after(call, attempt, response.status_code, response.headers)
                if wait_s is None:
                    answer: T = calls.answer(response.status_code, response.headers, response.content, self._loads)
                    return answer
            await asyncio.sleep(wait_s)
            attempt += 1

    async def pages(self, page_after: Callable[[str | None], Call[Page[T]]]) -> AsyncIterator[T]:
        """Every object of a list, page after page."""
        cursor: str | None = None
        while True:
            page = await self.send(page_after(cursor))
            for each in page["data"]:
                yield each
            cursor = page["next_cursor"]
            if cursor is None:
                return


class AsyncResource(Generic[T]):
    """One kind of object; `name` is what paths call it. The server checks the fields and names each that does not hold
    (`Invalid`)."""

    def __init__(self, client: AsyncClient, kind: Kind[T]) -> None:
        self._client = client
        self._kind = kind
        self.name = kind.name

    def list(self, **filters: Any) -> AsyncIterator[T]:
        """Every object that the filters let through, page after page."""
        return self._client.pages(lambda cursor: self._kind.page(filters, cursor))

    async def get(self, object_id: str, **options: Any) -> T:
        return await self._client.send(self._kind.get(object_id, options))

    async def create(self, **fields: Any) -> T:
        return await self._client.send(self._kind.create(fields))

    async def update(self, object_id: str, **fields: Any) -> T:
        """Change these fields only; None is JSON's null."""
        return await self._client.send(self._kind.update(object_id, fields))

    async def plan_update(self, object_id: str, **fields: Any) -> Plan:
        """What `update` would do, without doing it."""
        return await self._client.send(self._kind.plan_update(object_id, fields))

    async def delete(self, object_id: str) -> Deleted:
        return await self._client.send(self._kind.delete(object_id))

    async def plan_delete(self, object_id: str) -> Plan:
        """What `delete` would do, without doing it."""
        return await self._client.send(self._kind.plan_delete(object_id))


class AsyncSyncs(AsyncResource[Sync]):
    async def collections(self, sync_id: str) -> list[dict[str, Any]]:
        """How far each collection is: phase, records held and read, lag, errors, sweeps."""
        return calls.listed(await self._client.send(calls.sync_collections(sync_id)))

    async def run(self, sync_id: str) -> None:
        """Start the next run now."""
        await self._client.send(calls.sync_run(sync_id))

    async def backfill(self, sync_id: str, collection_ids: Sequence[str] | None = None) -> None:
        """Read these collections from the start again; None: all of them."""
        await self._client.send(calls.sync_backfill(sync_id, collection_ids))

    async def wait(
        self, sync_id: str, level: Literal["head", "settled"] = "head", timeout_ms: int = 30_000
    ) -> dict[str, Any]:
        """Wait until every change made before this call is in the stream; `Unfinished` when the time is up first."""
        return await self._client.send(calls.sync_wait(sync_id, level, timeout_ms))

    async def purge(self, sync_id: str, collection_id: str | None = None) -> Any:
        """Take the records of one collection, or of all, out of the stream."""
        return await self._client.send(calls.sync_purge(sync_id, collection_id, dry_run=False))

    async def plan_purge(self, sync_id: str, collection_id: str | None = None) -> Plan:
        plan: Plan = await self._client.send(calls.sync_purge(sync_id, collection_id, dry_run=True))
        return plan

    async def confirm_deletes(self, sync_id: str, collection_id: str, sweep_id: str) -> int:
        """Let the deletes go through that the safety catch holds; how many there were."""
        return (await self._client.send(calls.sync_confirm_deletes(sync_id, collection_id, sweep_id)))["deleted"]


class AsyncConsumers(AsyncResource[Consumer]):
    async def next(self, consumer_id: str, batch_size: int = 1, wait_ms: int = 0) -> Batch:
        """Up to `batch_size` messages; waits up to `wait_ms` until there are so many."""
        return await self._client.send(calls.consumer_next(consumer_id, batch_size, wait_ms))

    async def ack(self, consumer_id: str, ack_tokens: Sequence[str]) -> None:
        await self._client.send(calls.consumer_act(consumer_id, "ack", ack_tokens))

    async def nack(self, consumer_id: str, ack_tokens: Sequence[str], delay_ms: int | None = None) -> None:
        """Give the messages back: available again now, or after the delay."""
        await self._client.send(calls.consumer_act(consumer_id, "nack", ack_tokens, delay_ms=delay_ms))

    async def extend(self, consumer_id: str, ack_tokens: Sequence[str]) -> None:
        """Let the ack wait begin anew."""
        await self._client.send(calls.consumer_act(consumer_id, "extend", ack_tokens))

    async def term(self, consumer_id: str, ack_tokens: Sequence[str], reason: str | None = None) -> None:
        """Set the messages aside among the dead letters."""
        await self._client.send(calls.consumer_act(consumer_id, "term", ack_tokens, reason=reason))

    async def reset(self, consumer_id: str, deliver_policy: str | None = None) -> None:
        """Move the consumer to where its policy, or this one, says; tokens that are out become void."""
        await self._client.send(calls.consumer_reset(consumer_id, deliver_policy))

    def dead_letters(self, consumer_id: str) -> AsyncIterator[dict[str, Any]]:
        return self._client.pages(lambda cursor: calls.consumer_dead_letters(consumer_id, cursor))

    async def replay_dead_letters(self, consumer_id: str) -> Any:
        return await self._client.send(calls.consumer_replay(consumer_id))

    def consume(self, consumer_id: str, batch_size: int = 100, wait_ms: int = 30_000) -> AsyncConsumption:
        """Every message, as it comes, for ever. See `AsyncConsumption` for how they are acked."""
        return AsyncConsumption(self, consumer_id, batch_size, wait_ms)


class AsyncCollections:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    def list(self, credential_id: str) -> AsyncIterator[Collection]:
        """The collections that the account of a credential has."""
        return self._client.pages(lambda cursor: calls.collection_list(credential_id, cursor))

    async def get(self, credential_id: str, collection_id: str) -> Collection:
        return await self._client.send(calls.collection_get(credential_id, collection_id))

    async def refresh(self, credential_id: str) -> dict[str, Any]:
        """Start to look anew which collections there are."""
        return await self._client.send(calls.collection_refresh(credential_id))

    async def refresh_status(self, credential_id: str) -> dict[str, Any]:
        return await self._client.send(calls.collection_refresh_status(credential_id))


class AsyncRecords:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def page(self, after_cursor: str | None = None, **filters: Any) -> RecordPage:
        """The records after a cursor, oldest change first; `limit` at most 1000."""
        return await self._client.send(calls.record_page(filters, after_cursor))

    async def list(self, after_cursor: str | None = None, **filters: Any) -> AsyncIterator[Record]:
        """Every record after a cursor, oldest change first, up to what is there now."""
        while True:
            page = await self.page(after_cursor, **filters)
            if not page["records"]:
                return
            for record in page["records"]:
                yield record
            after_cursor = page["cursor"]

    async def get(self, record_id: str) -> Record:
        return await self._client.send(calls.record_get(record_id))


class AsyncEvents:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def page(self, after_cursor: str | None = None, **filters: Any) -> EventPage:
        """The events after a cursor, oldest first; `limit` at most 1000."""
        return await self._client.send(calls.event_page(filters, after_cursor))

    async def list(self, after_cursor: str | None = None, **filters: Any) -> AsyncIterator[Event]:
        """Every event after a cursor that is still kept, oldest first, up to what is there now."""
        while True:
            page = await self.page(after_cursor, **filters)
            if not page["events"]:
                return
            for event in page["events"]:
                yield event
            after_cursor = page["cursor"]
