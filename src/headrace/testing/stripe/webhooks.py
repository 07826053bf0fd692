"""Webhooks: each event, signed, to every endpoint that asks for it (docs.stripe.com/webhooks)."""

import asyncio
import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import aiohttp
import orjson

from headrace.testing.stripe.account import Account
from headrace.testing.stripe.events import Event

_RETRY_AFTER_S = (0.1, 0.5, 2.0, 5.0)
"""Stripe tries for three days with growing waits; here four tries, so that a test sees them."""


def signature(secret: str, body: bytes, moment: int) -> str:
    """The value of Stripe-Signature: `t=…,v1=` and the HMAC-SHA256 of `t.body` under the endpoint's secret."""
    mark = hmac.new(secret.encode(), b"%d." % moment + body, sha256).hexdigest()
    return f"t={moment},v1={mark}"


class Webhooks:
    """Delivery to the account's webhook endpoints. `delivered` counts answers of 2xx, `failed` tries without one."""

    def __init__(self, account: Account, now: Callable[[], float]) -> None:
        self._account = account
        self._now = now
        self._secrets: dict[str, str] = {}
        self._queue: asyncio.Queue[tuple[str, str, bytes]] = asyncio.Queue()
        self.delivered = 0
        self.failed = 0

    def register(self, endpoint_id: str) -> str:
        """The secret of an endpoint that was made, whsec_…; from now on events go to it."""
        if not self._secrets:
            self._account.listeners.append(self._heard)
        self._secrets[endpoint_id] = "whsec_" + sha256(endpoint_id.encode()).hexdigest()[:32]
        return self._secrets[endpoint_id]

    def _heard(self, event: Event) -> None:
        for endpoint_id in list(self._secrets):
            ordinal = self._account.ordinal("webhook_endpoints", endpoint_id)
            if ordinal is None or not self._account.reachable("webhook_endpoints", ordinal):
                del self._secrets[endpoint_id]
                continue
            endpoint: dict[str, Any] = orjson.loads(self._account.raw("webhook_endpoints", ordinal))
            wanted = endpoint["enabled_events"]
            if endpoint["status"] == "enabled" and ("*" in wanted or event.type in wanted):
                body = self._account.events.render(event)
                self._queue.put_nowait((endpoint["url"], self._secrets[endpoint_id], body))

    async def run(self) -> None:
        """Deliver until cancelled, several at a time: unordered and at least once, as Stripe does."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session, asyncio.TaskGroup() as on:
            while True:
                url, secret, body = await self._queue.get()
                on.create_task(self._deliver(session, url, secret, body))

    async def _deliver(self, session: aiohttp.ClientSession, url: str, secret: str, body: bytes) -> None:
        for wait_s in _RETRY_AFTER_S:
            headers = {
                "Content-Type": "application/json; charset=utf-8",
                "Stripe-Signature": signature(secret, body, int(self._now())),
            }
            try:
                async with session.post(url, data=body, headers=headers) as answer:
                    if answer.status < 300:
                        self.delivered += 1
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            self.failed += 1
            await asyncio.sleep(wait_s)
