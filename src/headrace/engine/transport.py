"""Transport: drives a connector's generators. They yield requests; here each is prepared, signed, paced, sent, and
tried again where that may help; the response goes back into the generator, until it returns.

What is promised: no request goes to a host that is not the provider's, nor without a permit of every limit that counts
it. A request that may have had an effect (`safe=False`) is repeated only when it cannot have reached the provider, or
was refused for coming too often. No message, log line or error holds a secret of the credential.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import aiohttp
import msgspec
import orjson
import structlog
from yarl import URL

from headrace.control.syncs import Sync
from headrace.db.pool import Database
from headrace.egress import Destinations, EgressRefused
from headrace.engine import metrics
from headrace.engine.access import Access, scrub
from headrace.engine.account_clocks import AccountClocks
from headrace.engine.pace import Blocked, Pace, Priority
from headrace.engine.retry import backoff_s
from headrace.engine.verdicts import LONGEST_MESSAGE, broken, never_sent, verdict
from headrace.engine.wire import Answer, AnswerTooLarge, Wire
from headrace.errors import HeadraceError, ProviderFailed, ProviderTimedOut
from headrace.http import Request, Response
from headrace.providers.kit import Account, CredentialKind, Fault, Faulted, Provider, Refused, retry_after_s
from headrace.settings import Settings

__all__ = ["Priority", "ReadFailed", "Transport", "Withdrawn"]

R = TypeVar("R")
Reload = Callable[[Access], Awaitable[Access]]
Outcome = Callable[[UUID, Fault | None], None]

log = structlog.get_logger(__name__)

_TRIES = {Priority.MUTATION: 3, Priority.CHANGES: 6, Priority.SWEEP: 6, Priority.BACKFILL: 6}
_REFUSALS = 20
_MOST_REDIRECTS = 5
_LONGEST_WAIT_S = 60.0
_REDIRECTS = (301, 302, 303, 307, 308)
_VERIFY_TRIES = 3
_VERIFY_S = 20.0
_BROKEN = (aiohttp.ClientError, TimeoutError, ConnectionError, EgressRefused, AnswerTooLarge, ValueError)


class ReadFailed(ProviderFailed):
    """What was asked for cannot be had now. `fault` tells why and what to do, `attempts` how often it was tried, and
    `retry_at` the moment before which the provider wants no further try, where it said so."""

    def __init__(self, fault: Fault, attempts: int, retry_at: datetime | None = None) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.attempts = attempts
        self.retry_at = retry_at


class Withdrawn(HeadraceError):
    """`proceed` said no before the next request was sent: nothing of it was sent."""

    def __init__(self) -> None:
        super().__init__("the request was withdrawn before it was sent")


class Transport:
    """The one way to a provider for all parts of a process.

    `reload` loads a credential anew after a 401, since it may have been re-authorised meanwhile (`access.reloader`).
    `on_outcome(sync_id, fault)` is called with the outcome of every try for a sync, None for a success.
    """

    def __init__(self, db: Database, pace: Pace, settings: Settings, *, reload: Reload | None = None) -> None:
        self._clock = db.clock
        self._pace = pace
        self._settings = settings
        self._reload = reload
        self._wire = Wire()
        self._clocks = AccountClocks(db)
        self.on_outcome: Outcome | None = None

    async def close(self) -> None:
        """Close the connections, and give back what the pace holds."""
        await self._wire.close()
        await self._pace.stop()

    def provider_now(self, access: Access) -> datetime:
        """The present by the provider's clock."""
        return self._clocks.now(access)

    async def run(
        self,
        access: Access,
        sync: Sync | None,
        steps: Generator[Request, Response, R],
        priority: Priority,
        *,
        proceed: Callable[[], bool] | None = None,
    ) -> R:
        """What the steps return.

        Raises ReadFailed when a request of theirs cannot be answered well, when they raise `Faulted`, or when they
        cannot read an answer; Withdrawn when `proceed` says no at the moment of sending. May be cancelled at any time:
        a request that is under way is then cut off.
        """
        call = _Call(self, access, sync, priority, proceed)
        try:
            request = next(steps)
            while True:
                request = steps.send(await call.answer(request))
        except StopIteration as end:
            result: R = end.value
            return result
        except Faulted as faulted:
            raise ReadFailed(call.scrubbed(faulted.fault), 1) from None
        except (orjson.JSONDecodeError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            fault = Fault("transient", f"an answer is not as the connector expects it: {error}")
            raise ReadFailed(call.scrubbed(fault), 1) from error
        finally:
            steps.close()

    async def verify(self, provider: Provider, kind: CredentialKind, properties: Mapping[str, Any]) -> Account:
        """Whose credential it is, as the provider says it.

        Raises Refused when the provider definitely refuses it, ProviderFailed or ProviderTimedOut when it could not be
        asked. Takes no permit, since the account by which to count is what is asked for.
        """
        steps = kind.verify(properties, self._clock.now())
        try:
            request = next(steps)
            while True:
                request = steps.send(await self._ask_plainly(provider, kind, properties, request))
        except StopIteration as end:
            account: Account = end.value
            return account
        except (orjson.JSONDecodeError, msgspec.MsgspecError, UnicodeDecodeError):
            raise ProviderFailed(f"{provider.name} answered in a way that is not understood: try again later") from None
        finally:
            steps.close()

    async def _ask_plainly(
        self, provider: Provider, kind: CredentialKind, properties: Mapping[str, Any], request: Request
    ) -> Response:
        base_url = properties.get("base_url") if self._settings.allow_base_url else None
        places = Destinations.at_base_url(base_url) if base_url else Destinations(provider.hosts)
        fault = Fault("transient", "")
        for attempt in range(1, _VERIFY_TRIES + 1):
            if attempt > 1:
                await self._clock.sleep(backoff_s(attempt - 1))
            now = self._clock.now()
            try:
                url = places.admit(str(_url(provider, properties, request)))
                signed = kind.sign(provider.prepare(request), properties, now)
                answer = await self._wire.send(signed, url, private=places.private, total_s=_VERIFY_S)
            except _BROKEN as error:
                fault = broken(error)
            else:
                response = Response(answer.status, answer.body, now, answer.headers, str(url))
                found = verdict(provider, request, response)
                if found is None:
                    return response
                fault = found
            if fault.kind not in ("transient", "rate"):
                break
        message = scrub(fault.message, kind, properties)[:LONGEST_MESSAGE]
        if fault.kind in ("auth", "permission"):
            raise Refused(message)
        if message.endswith("in time"):
            raise ProviderTimedOut(f"{provider.name}: {message}")
        raise ProviderFailed(f"{provider.name}: {message}")


@dataclass(frozen=True, slots=True)
class _Try:
    """What one try came to: an answer or a fault, or both. `unsent`: nothing can have reached the provider.
    `retry_at`: the provider wants no further try before."""

    response: Response | None = None
    fault: Fault | None = None
    unsent: bool = False
    retry_at: datetime | None = None


class _Call:
    """One `run`: the credential in use, which a 401 may replace once, and how requests are answered."""

    def __init__(
        self,
        transport: Transport,
        access: Access,
        sync: Sync | None,
        priority: Priority,
        proceed: Callable[[], bool] | None,
    ) -> None:
        self._t = transport
        self._access = access
        self._sync = sync
        self._priority = priority
        self._proceed = proceed
        self._reloaded = False

    def scrubbed(self, fault: Fault) -> Fault:
        return Fault(fault.kind, self._access.scrub(fault.message)[:LONGEST_MESSAGE])

    async def answer(self, request: Request) -> Response:
        """The good answer to a request, after as many tries as are due to it."""
        tries = refusals = 0
        while True:
            done = await self._try(request, tries + refusals + 1)
            self._tell(done.fault)
            if done.fault is None:
                assert done.response is not None
                return done.response
            fault = done.fault
            if fault.kind in ("rate", "quota"):
                refusals += 1
                again = done.retry_at is None and refusals < _REFUSALS
            elif fault.kind == "auth":
                again = await self._renewed()
            else:
                tries += 1
                repeatable = request.safe or done.unsent
                again = fault.kind == "transient" and repeatable and tries < _TRIES[self._priority]
            if not again:
                attempts = max(tries + refusals, 1)
                self._log(request, fault, attempts, done.response)
                raise ReadFailed(fault, attempts, done.retry_at)
            metrics.RETRIES.labels(self._access.provider.slug, fault.kind).inc()
            if fault.kind == "transient":
                asked_for = retry_after_s(done.response) if done.response is not None else None
                await self._t._clock.sleep(max(backoff_s(tries), min(asked_for or 0.0, _LONGEST_WAIT_S)))

    async def _try(self, request: Request, attempt: int) -> _Try:
        access = self._access
        try:
            response = await self._exchange(request)
        except Blocked as blocked:
            return _Try(fault=Fault("rate", blocked.summary), unsent=True, retry_at=blocked.until)
        except _BROKEN as error:
            return _Try(fault=self.scrubbed(broken(error)), unsent=never_sent(error))
        fault = verdict(access.provider, request, response)
        refused = fault is not None and fault.kind in ("rate", "quota")
        until = await self._t._pace.learn(access, request, response, attempt, refused=refused)
        if until is not None and fault is None:
            fault = Fault("rate", "the provider answered that there were too many requests")
        return _Try(response, None if fault is None else self.scrubbed(fault))

    async def _exchange(self, request: Request) -> Response:
        """Send the request and follow where it is led to, each step with a permit of its own."""
        access = self._access
        places = access.destinations()
        url = places.admit(str(_url(access.provider, access.properties, request)))
        anonymous = request.anonymous
        for _ in range(_MOST_REDIRECTS + 1):
            answer, sent = await self._send(request, places, url, anonymous)
            led = answer.status in _REDIRECTS and request.method in ("GET", "HEAD") and answer.headers.get("location")
            if not led or answer.status in request.accept:
                return Response(answer.status, answer.body, sent, answer.headers, str(url))
            following = places.follow(url, led)
            anonymous = anonymous or following.origin() != url.origin()
            url = following
        raise EgressRefused(f"{url.host} redirects more than {_MOST_REDIRECTS} times")

    async def _send(self, request: Request, places: Destinations, url: URL, anonymous: bool) -> tuple[Answer, datetime]:
        """One request on the wire; the answer, and when it was sent by the provider's clock."""
        access, clock, clocks = self._access, self._t._clock, self._t._clocks
        slug = access.provider.slug
        async with self._t._pace.permit(access, self._sync, request, self._priority):
            if self._proceed is not None and not self._proceed():
                raise Withdrawn
            ready = access.provider.prepare(request)
            if not anonymous:
                ready = access.kind.sign(ready, access.properties, clocks.now(access))
            sent, begun = clock.now(), clock.monotonic()
            answer = await self._t._wire.send(ready, _with_query(url, request, ready), private=places.private)
            metrics.REQUEST_SECONDS.labels(slug).observe(clock.monotonic() - begun)
        metrics.REQUEST_BYTES.labels(slug).inc(len(answer.body))
        await clocks.learn(access, answer, sent, clock.now())
        return answer, sent + timedelta(seconds=clocks.offset_s(access))

    async def _renewed(self) -> bool:
        """After a 401: whether the credential has changed since it was loaded, and is worth a try."""
        if self._reloaded or self._t._reload is None:
            return False
        self._reloaded = True
        before = self._access
        self._access = await self._t._reload(before)
        return self._access.revision != before.revision

    def _tell(self, fault: Fault | None) -> None:
        metrics.REQUESTS.labels(self._access.provider.slug, "ok" if fault is None else fault.kind).inc()
        if self._sync is not None and self._t.on_outcome is not None:
            self._t.on_outcome(self._sync.id, fault)

    def _log(self, request: Request, fault: Fault, attempts: int, response: Response | None) -> None:
        log.warning(
            "request_failed",
            provider=self._access.provider.slug,
            sync_id=str(self._sync.id) if self._sync is not None else None,
            path=URL(request.url).path,
            status=response.status if response is not None else None,
            fault=fault.kind,
            message=fault.message,
            attempts=attempts,
        )


def _url(provider: Provider, properties: Mapping[str, Any], request: Request) -> URL:
    """Where the request goes: its path under the provider's base, or its absolute URL, and its query."""
    url = request.url
    if url.startswith("/"):
        url = provider.base_url(properties).rstrip("/") + url
    try:
        return URL(url).extend_query(list(request.query)) if request.query else URL(url)
    except ValueError:
        raise EgressRefused("this is no URL") from None


def _with_query(url: URL, before: Request, after: Request) -> URL:
    """`url` with what `prepare` and `sign` have put into the query."""
    added = [pair for pair in after.query if pair not in before.query]
    return url.extend_query(added) if added else url
