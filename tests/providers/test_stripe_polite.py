"""A sync of Stripe asks no more often than it may, and is next to never refused."""

import asyncio

import pytest
from serving import complete, equal, serving, start_sync

from headrace.providers.stripe import STRIPE
from headrace.testing import laws
from headrace.testing.stripe import StripeServer
from headrace.testing.stripe.truth import Truth

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ALLOWED, WINDOW_S = 20, 1
COLLECTIONS = ("customer", "charge", "invoice", "invoice_line_item", "price", "subscription", "tax_id")


async def test_stripe_is_asked_politely(dsn: str) -> None:
    async with StripeServer(200, limits="real") as server, serving(dsn) as api:
        given = {"kind": "stripe_key", "secret": "sk_test_headrace", "base_url": server.base_url}
        limit = {"allowed_requests": ALLOWED, "interval": WINDOW_S}
        wanted = [f"stripe:{name}" for name in COLLECTIONS]
        sync = await start_sync(api, "stripe", given, wanted, rate_limit=limit, max_poll_ms=500)
        await complete(api, sync)
        await equal(api, sync, STRIPE, Truth(server.account))
        # What follows a backfill asks as often as it may as well.
        while len(server.log) < 5 * ALLOWED:
            await asyncio.sleep(0.1)
    laws.polite(server.log, ALLOWED, WINDOW_S)
