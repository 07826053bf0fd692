"""A server that answers as Stripe does when it is asked whose a key is, on loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from loopback import listening


@dataclass
class Accounts:
    """Keys are `sk_live_<account>_…`, `sk_test_…`, `rk_…`; those that hold `revoked` are refused, `mute` may not read
    the account, and while `down` everything fails. `asked` are the keys that were tried."""

    base_url: str = ""
    down: bool = False
    asked: list[str] = field(default_factory=list)

    def properties(self, secret: str, **others: Any) -> dict[str, Any]:
        return {"kind": "stripe_key", "secret": secret, "base_url": self.base_url, **others}

    async def answer(self, request: web.Request) -> web.Response:
        secret = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.asked.append(secret)
        if self.down:
            return web.json_response({"error": {"type": "api_error", "message": "down"}}, status=500)
        if "revoked" in secret:
            message = f"Invalid API Key provided: {secret}"
            return web.json_response({"error": {"type": "invalid_request_error", "message": message}}, status=401)
        if "mute" in secret:
            message = "This key does not have the required permissions."
            return web.json_response({"error": {"type": "invalid_request_error", "message": message}}, status=403)
        return web.json_response({"id": f"acct_{secret.split('_')[2]}", "object": "account"})


@asynccontextmanager
async def accounts_server() -> AsyncIterator[Accounts]:
    accounts = Accounts()
    async with listening(accounts.answer) as accounts.base_url:
        yield accounts
