"""Exchanges with a provider that belong to no sync: whose credential it is, and the making of tokens.

They take no permit, since the account by which to count is what is asked for, or the token endpoint counts apart. A
request that carries its own authentication (a token request) may also go to the hosts of the kind's grant.
"""

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import aiohttp
import msgspec
import orjson

from headrace.clock import Clock
from headrace.egress import Destinations, EgressRefused
from headrace.engine.access import scrub
from headrace.engine.retry import backoff_s
from headrace.engine.urls import requested, with_query
from headrace.engine.verdicts import LONGEST_MESSAGE, broken, never_sent, verdict
from headrace.engine.wire import AnswerTooLarge, Wire
from headrace.errors import ProviderFailed, ProviderTimedOut
from headrace.http import Request, Response
from headrace.providers.kit import Account, CredentialKind, Fault, Provider, Refused
from headrace.settings import Settings
from headrace.vault.drafts import at_base_url
from headrace.vault.grants import App, GrantRefused, Minted, Properties

R = TypeVar("R")

MINT_S = 10.0
"""The longest that a token endpoint is waited for: twice this, and the pause between, fit into a turn."""
_VERIFY_S = 20.0
_TRIES = 3
_BROKEN = (aiohttp.ClientError, TimeoutError, ConnectionError, EgressRefused, AnswerTooLarge, ValueError)


class Unanswered(ProviderFailed):
    """The token endpoint gave no answer that can be used. `unsent`: the grant has not left this process, so that it
    cannot have been spent."""

    def __init__(self, fault: Fault, *, unsent: bool) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.unsent = unsent


class Exchanges:
    """One a process, beside the transport, whose connections it uses."""

    def __init__(self, wire: Wire, clock: Clock, settings: Settings) -> None:
        self._wire = wire
        self._clock = clock
        self._settings = settings

    async def verify(self, provider: Provider, kind: CredentialKind, properties: Properties) -> Account:
        """Whose credential it is, as the provider says it. `properties` hold the access token where tokens are minted.

        Raises Refused when the provider definitely refuses it, ProviderFailed or ProviderTimedOut when it could not be
        asked.
        """
        return await self._drive(provider, kind, properties, kind.verify(properties, self._clock.now()))

    async def mint(self, provider: Provider, kind: CredentialKind, properties: Properties, app: App | None) -> Minted:
        """A new access token. Sent once only, for the grant may be spent by it.

        Raises GrantRefused, and Unanswered.
        """
        assert kind.grant is not None
        return await self.make_token(provider, kind, properties, kind.grant.mint(properties, app, self._clock.now()))

    async def make_token(
        self, provider: Provider, kind: CredentialKind, properties: Properties, steps: Generator[Request, Response, R]
    ) -> R:
        """What these steps, whose requests must not be repeated, return. Raises as `mint`, and Refused."""
        unsent = True
        try:
            request = next(steps)
            while True:
                try:
                    response = await self._send(provider, kind, properties, request, MINT_S)
                except _BROKEN as error:
                    raise Unanswered(
                        self._scrubbed(kind, properties, broken(error)), unsent=unsent and never_sent(error)
                    ) from None
                unsent = False
                fault = verdict(provider, request, response)
                if fault is not None:
                    raise Unanswered(self._scrubbed(kind, properties, fault), unsent=False)
                request = steps.send(response)
        except StopIteration as end:
            result: R = end.value
            return result
        except (orjson.JSONDecodeError, msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError):
            fault = Fault("transient", f"{provider.name} answered in a way that is not understood")
            raise Unanswered(fault, unsent=unsent) from None
        except GrantRefused as refused:
            raise GrantRefused(self._said(kind, properties, str(refused)), refused.whose) from None
        except Refused as refused:
            raise Refused(self._said(kind, properties, str(refused))) from None
        finally:
            steps.close()

    async def _drive(
        self, provider: Provider, kind: CredentialKind, properties: Properties, steps: Generator[Request, Response, R]
    ) -> R:
        try:
            request = next(steps)
            while True:
                request = steps.send(await self._ask(provider, kind, properties, request))
        except StopIteration as end:
            result: R = end.value
            return result
        except (orjson.JSONDecodeError, msgspec.MsgspecError, UnicodeDecodeError):
            raise ProviderFailed(f"{provider.name} answered in a way that is not understood: try again later") from None
        finally:
            steps.close()

    async def _ask(
        self, provider: Provider, kind: CredentialKind, properties: Properties, request: Request
    ) -> Response:
        """The good answer, after some tries. Raises as `verify`."""
        fault = Fault("transient", "")
        for attempt in range(1, _TRIES + 1):
            if attempt > 1:
                await self._clock.sleep(backoff_s(attempt - 1))
            try:
                response = await self._send(provider, kind, properties, request, _VERIFY_S)
            except _BROKEN as error:
                fault = broken(error)
            else:
                found = verdict(provider, request, response)
                if found is None:
                    return response
                fault = found
            if fault.kind not in ("transient", "rate"):
                break
        message = self._said(kind, properties, fault.message)
        if fault.kind in ("auth", "permission"):
            raise Refused(message)
        if message.endswith("in time"):
            raise ProviderTimedOut(f"{provider.name}: {message}")
        raise ProviderFailed(f"{provider.name}: {message}")

    async def _send(
        self, provider: Provider, kind: CredentialKind, properties: Properties, request: Request, total_s: float
    ) -> Response:
        now = self._clock.now()
        places = self._places(provider, kind, properties, request)
        url = places.admit(str(requested(provider, properties, request)))
        ready = provider.prepare(request)
        if not request.anonymous:
            ready = kind.sign(ready, properties, now)
        answer = await self._wire.send(ready, with_query(url, request, ready), private=places.private, total_s=total_s)
        return Response(answer.status, answer.body, now, answer.headers, str(url))

    def _places(
        self, provider: Provider, kind: CredentialKind, properties: Properties, request: Request
    ) -> Destinations:
        base_url = at_base_url(kind, properties) if self._settings.allow_base_url else None
        if base_url is not None:
            return Destinations.at_base_url(str(base_url))
        tokens = kind.grant.hosts if kind.grant is not None and request.anonymous else ()
        return Destinations((*provider.hosts, *tokens))

    def _scrubbed(self, kind: CredentialKind, properties: Properties, fault: Fault) -> Fault:
        return replace(fault, message=self._said(kind, properties, fault.message))

    def _said(self, kind: CredentialKind, properties: Mapping[str, Any], message: str) -> str:
        return scrub(message, kind, properties)[:LONGEST_MESSAGE]
