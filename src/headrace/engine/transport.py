"""Transport: drives a connector's generators. They yield requests; here each is prepared, signed, paced, sent, and
tried again where that may help; the response goes back into the generator, until it returns.

What is promised: no request goes to a host that is not the provider's, nor without a permit of every limit that counts
it. A request that may have had an effect (`safe=False`) is repeated only when it cannot have reached the provider, or
was refused for coming too often. No message, log line or error holds a secret of the credential.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar
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
from headrace.engine.access import Access
from headrace.engine.account_clocks import AccountClocks
from headrace.engine.credential_health import CredentialHealth
from headrace.engine.exchanges import Exchanges
from headrace.engine.pace import Blocked, Pace, Priority
from headrace.engine.repeats import Repeats
from headrace.engine.retry import backoff_s
from headrace.engine.tokens import NoToken, Tokens
from headrace.engine.unfit import legible
from headrace.engine.urls import is_base, requested, with_query
from headrace.engine.verdicts import ILLEGIBLE, LONGEST_MESSAGE, TOO_DEEP, broken, never_sent, verdict
from headrace.engine.waits import Waits
from headrace.engine.wire import Answer, AnswerTooLarge, Wire
from headrace.errors import ProviderFailed
from headrace.http import TOO_LARGE, Request, Response
from headrace.providers.kit import Fault, Faulted, retry_after_s
from headrace.settings import Settings
from headrace.vault.grants import ACCESS_TOKEN
from headrace.vault.keys import Keyring

__all__ = ["Priority", "ReadFailed", "Transport"]

R = TypeVar("R")
Reload = Callable[[Access], Awaitable[Access]]
Outcome = Callable[[UUID, Fault | None], None]

log = structlog.get_logger(__name__)

_TRIES = dict.fromkeys(Priority, 6) | {Priority.MUTATION: 3}
_REFUSALS = 20
_MOST_REDIRECTS = 5
_LONGEST_WAIT_S = 60.0
_REDIRECTS = (301, 302, 303, 307, 308)
_BROKEN = (aiohttp.ClientError, TimeoutError, ConnectionError, EgressRefused, ValueError)


class ReadFailed(ProviderFailed):
    """What was asked for cannot be had now. `fault` tells why and what to do, `attempts` how often it was tried, and
    `retry_at` the moment before which the provider wants no further try, where it said so."""

    def __init__(self, fault: Fault, attempts: int, retry_at: datetime | None = None) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.attempts = attempts
        self.retry_at = retry_at


class Transport:
    """The one way to a provider for all parts of a process.

    `reload` loads a credential anew after a 401, since it may have been re-authorised meanwhile (`access.reloader`).
    `keyring` is needed for kinds whose access tokens are minted. `exchanges` are those that belong to no sync.
    `on_outcome(sync_id, fault)` is called with the outcome of every try for a sync, None for a success.
    """

    def __init__(
        self,
        db: Database,
        pace: Pace,
        settings: Settings,
        *,
        reload: Reload | None = None,
        keyring: Keyring | None = None,
    ) -> None:
        self._clock = db.clock
        self._pace = pace
        self._reload = reload
        self._wire = Wire(quiet_s=settings.provider_quiet_s, total_s=settings.provider_total_s)
        self._clocks = AccountClocks(db)
        self._health = CredentialHealth(db)
        self._repeats = Repeats(db.clock)
        self.exchanges = Exchanges(self._wire, db.clock, settings)
        self.tokens = None if keyring is None else Tokens(db, keyring, self.exchanges)
        self.on_outcome: Outcome | None = None

    async def close(self) -> None:
        """Wait for tokens that are being renewed, close the connections, and give back what the pace holds."""
        if self.tokens is not None:
            await self.tokens.close()
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
        waits: Waits | None = None,
    ) -> R:
        """What the steps return.

        Raises ReadFailed when a request of theirs cannot be answered well, when they raise `Faulted`, or when they
        cannot read an answer; Withdrawn when no request of these `waits` may begin any more. May be cancelled at any
        time: a request that is under way is then cut off.
        """
        call = _Call(self, access, sync, priority, waits or Waits())
        try:
            request = next(steps)
            while True:
                request = steps.send(await call.answer(request))
        except StopIteration as end:
            result: R = end.value
            return result
        except Faulted as faulted:
            raise ReadFailed(call.scrubbed(faulted.fault), 1) from None
        except RecursionError:
            raise ReadFailed(TOO_DEEP, 1) from None
        except (orjson.JSONDecodeError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            fault = Fault("transient", f"an answer is not as the connector expects it: {error}")
            raise ReadFailed(call.scrubbed(fault), 1) from error
        finally:
            steps.close()


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
        waits: Waits,
    ) -> None:
        self._t = transport
        self._access = access
        self._sync = sync
        self._priority = priority
        self._waits = waits
        self._reloaded = False
        self._refused: str | None = None

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
                minted = self._t.tokens is not None and self._t.tokens.kept(self._access) is not None
                await self._t._health.worked(self._access, done.response, minted=minted)
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
                if fault.kind == "auth":
                    await self._t._health.refused(self._access, fault)
                raise ReadFailed(fault, attempts, done.retry_at)
            metrics.RETRIES.labels(self._access.provider.slug, fault.kind).inc()
            if fault.kind == "transient":
                asked_for = retry_after_s(done.response) if done.response is not None else None
                async with self._waits.wait():
                    await self._t._clock.sleep(max(backoff_s(tries), min(asked_for or 0.0, _LONGEST_WAIT_S)))

    async def _try(self, request: Request, attempt: int) -> _Try:
        try:
            if self._t.tokens is not None and not request.anonymous:
                self._access = await self._t.tokens.ready(self._access, refused=self._refused)
            access = self._access
            response = await self._exchange(request)
        except NoToken as none:
            return _Try(fault=self.scrubbed(none.fault), unsent=True)
        except Blocked as blocked:
            return _Try(fault=Fault("rate", blocked.summary), unsent=True, retry_at=blocked.until)
        except AnswerTooLarge as error:
            if TOO_LARGE in request.accept:
                return _Try(Response(TOO_LARGE, b"", self._t.provider_now(access)))
            return _Try(fault=broken(error))
        except _BROKEN as error:
            return _Try(fault=self.scrubbed(broken(error)), unsent=never_sent(error))
        fault = verdict(access.provider, request, response)
        if fault in ILLEGIBLE:
            response = replace(response, body=legible(response.body))
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
        url = places.admit(str(requested(access.provider, access.properties, request)))
        # A credential is shown to the origin that it is for, and to no other host of the provider's.
        anonymous = request.anonymous or not is_base(access.provider, access.properties, url)
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
        async with AsyncExitStack() as permit:
            async with self._waits.wait():
                await permit.enter_async_context(self._t._pace.permit(access, self._sync, request, self._priority))
            ready = access.provider.prepare(request)
            if not anonymous:
                ready = access.kind.sign(ready, access.properties, clocks.now(access))
            begun = clock.monotonic()
            answer = await self._t._wire.send(ready, with_query(url, request, ready), private=places.private)
            metrics.REQUEST_SECONDS.labels(slug).observe(clock.monotonic() - begun)
        metrics.REQUEST_BYTES.labels(slug).inc(len(answer.body))
        # The clock may have been set meanwhile: both moments are told by what it says now.
        received = clock.now()
        sent = received - timedelta(seconds=clock.monotonic() - begun)
        await clocks.learn(access, answer, sent, received)
        return answer, sent + timedelta(seconds=clocks.offset_s(access))

    async def _renewed(self) -> bool:
        """After a 401: whether there is another secret to try. The credential may have been re-authorised since it was
        loaded; a minted token that was refused is not used again, and the next one is made when it is needed."""
        if self._reloaded:
            return False
        self._reloaded = True
        before = self._access
        if self._t._reload is not None:
            self._access = await self._t._reload(before)
        if self._t.tokens is None or not self._access.kind.mints(self._access.properties):
            return self._access.revision != before.revision
        self._refused = before.properties.get(ACCESS_TOKEN)
        return self._refused is not None

    def _tell(self, fault: Fault | None) -> None:
        metrics.REQUESTS.labels(self._access.provider.slug, "ok" if fault is None else fault.kind).inc()
        if self._sync is not None and self._t.on_outcome is not None:
            self._t.on_outcome(self._sync.id, fault)

    def _log(self, request: Request, fault: Fault, attempts: int, response: Response | None) -> None:
        """One line for all that fail alike of a sync within a minute: a provider that is away fails every request of
        every collection."""
        times = self._t._repeats.worth((self._access.credential_id, self._sync and self._sync.id, fault))
        if not times:
            return
        log.warning(
            "request_failed",
            provider=self._access.provider.slug,
            sync_id=str(self._sync.id) if self._sync is not None else None,
            path=URL(request.url).path,
            status=response.status if response is not None else None,
            fault=fault.kind,
            message=fault.message,
            attempts=attempts,
            times=times,
        )
