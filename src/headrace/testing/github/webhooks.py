"""Webhooks: a signed word that something has changed (https://docs.github.com/en/webhooks, "Validating deliveries")."""

import asyncio
import hmac
from hashlib import sha256
from typing import Any
from uuid import uuid4

import aiohttp
import orjson

from headrace.testing.github.world import World

_TICK_S = 0.05


def signature(secret: str, body: bytes) -> str:
    """The value of `X-Hub-Signature-256`."""
    return "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()


class Webhooks:
    """Delivery to the hooks that were made: once each, not again when it fails, as GitHub does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._hooks: list[tuple[str, str]] = []
        self.delivered = 0

    def register(self, url: str, secret: str) -> dict[str, Any]:
        self._hooks.append((url, secret))
        return {"id": len(self._hooks), "type": "Repository", "name": "web", "active": True, "events": ["*"]}

    async def run(self) -> None:
        """Tell of changes until cancelled."""
        told = self._world.changes
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            while True:
                await asyncio.sleep(_TICK_S)
                if self._world.changes == told:
                    continue
                told = self._world.changes
                body = orjson.dumps({"action": "edited", "organization": {"login": self._world.org["login"]}})
                for url, secret in self._hooks:
                    await self._deliver(session, url, secret, body)

    async def _deliver(self, session: aiohttp.ClientSession, url: str, secret: str, body: bytes) -> None:
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": "issues",
            "X-GitHub-Delivery": str(uuid4()),
            "X-Hub-Signature-256": signature(secret, body),
        }
        try:
            async with session.post(url, data=body, headers=headers) as answer:
                self.delivered += answer.status < 300
        except (aiohttp.ClientError, TimeoutError):
            return
