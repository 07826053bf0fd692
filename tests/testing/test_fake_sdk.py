"""PyPI's `stripe`, which knows nothing of this project, reads and writes the account through its own code."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import stripe

from headrace.testing.stripe import StripeServer

KEY = "sk_test_51HeadraceTests"


@pytest.fixture
async def server() -> AsyncIterator[StripeServer]:
    async with StripeServer(1_200) as started:
        yield started


@pytest.fixture
def sdk(server: StripeServer) -> stripe.StripeClient:
    return stripe.StripeClient(KEY, base_addresses={"api": server.base_url}, http_client=stripe.RequestsClient())


def _seen(service: Any, **params: Any) -> list[str]:
    return [each.id for each in service.list({"limit": 37, **params}).auto_paging_iter()]


SERVICES = (
    "customers|charges|payment_intents|setup_intents|refunds|balance_transactions|products|prices|plans|coupons|"
    "invoices|subscription_schedules|payouts|transfers|tax_rates|credit_notes|quotes|files"
)


@pytest.mark.parametrize("name", SERVICES.split("|"))
async def test_it_pages_through_a_collection_and_sees_every_row(
    server: StripeServer, sdk: stripe.StripeClient, name: str
) -> None:
    assert await asyncio.to_thread(_seen, getattr(sdk.v1, name)) == list(server.account.ids(name))


async def test_it_sees_cancelled_subscriptions_sessions_and_events(
    server: StripeServer, sdk: stripe.StripeClient
) -> None:
    seen = await asyncio.to_thread(_seen, sdk.v1.subscriptions, status="all")
    assert seen == list(server.account.ids("subscriptions"))
    assert await asyncio.to_thread(_seen, sdk.v1.checkout.sessions) == list(server.account.ids("checkout_sessions"))
    events = await asyncio.to_thread(_seen, sdk.v1.events)
    assert len(events) == len(set(events)) > 0


async def test_it_pages_through_the_lines_of_an_invoice() -> None:
    async with StripeServer({"invoices": 1, "customers": 1}, children={"invoice_lines": (25,)}) as server:
        sdk = stripe.StripeClient(KEY, base_addresses={"api": server.base_url})
        invoice = next(server.account.ids("invoices"))

        def lines() -> list[str]:
            carried = sdk.v1.invoices.retrieve(invoice).lines
            return [line.id for line in carried.auto_paging_iter()]

        assert await asyncio.to_thread(lines) == list(server.account.ids("invoice_lines"))


async def test_it_creates_reads_changes_and_deletes(server: StripeServer, sdk: stripe.StripeClient) -> None:
    def use() -> None:
        made = sdk.v1.customers.create({"name": "Ada", "email": "ada@example.com", "metadata": {"plan": "pro"}})
        assert made.name == "Ada"
        assert sdk.v1.customers.retrieve(made.id).to_dict()["metadata"] == {"plan": "pro"}
        changed = sdk.v1.customers.update(made.id, {"metadata": {"plan": "", "seat": "4"}, "balance": -500})
        assert changed.to_dict()["metadata"] == {"seat": "4"}
        assert changed.balance == -500
        assert sdk.v1.customers.delete(made.id).deleted is True
        assert sdk.v1.customers.retrieve(made.id).deleted is True
        product = sdk.v1.products.create({"name": "Flour"})
        price = sdk.v1.prices.create({"product": product.id, "currency": "eur", "unit_amount": 250})
        assert price.unit_amount == 250
        coupon = sdk.v1.coupons.create({"percent_off": 12.5, "duration": "once"})
        assert coupon.percent_off == 12.5
        customer = sdk.v1.customers.create({"name": "Bram"})
        subscription = sdk.v1.subscriptions.create(
            {"customer": customer.id, "items": [{"price": price.id, "quantity": 3}]}
        )
        assert [(each.price.id, each.quantity) for each in subscription["items"].data] == [(price.id, 3)]
        assert sdk.v1.subscriptions.cancel(subscription.id).status == "canceled"
        item = sdk.v1.invoice_items.create({"customer": customer.id, "amount": 900, "currency": "eur"})
        assert item.amount == 900
        invoice = sdk.v1.invoices.create({"customer": customer.id})
        assert sdk.v1.invoices.finalize_invoice(invoice.id).status == "open"
        assert sdk.v1.invoices.pay(invoice.id).status == "paid"

    await asyncio.to_thread(use)
    types = {event.type for event in server.account.events.below(server.account.events.newest(), 0, frozenset())}
    assert types >= {
        "customer.created",
        "customer.updated",
        "customer.deleted",
        "price.created",
        "coupon.created",
        "customer.subscription.created",
        "customer.subscription.deleted",
        "invoiceitem.created",
        "invoice.created",
        "invoice.finalized",
        "invoice.paid",
    }


async def test_it_raises_what_it_raises_at_stripe(server: StripeServer, sdk: stripe.StripeClient) -> None:
    def use() -> None:
        with pytest.raises(stripe.InvalidRequestError, match="No such customer: 'cus_none'") as missing:
            sdk.v1.customers.retrieve("cus_none")
        assert missing.value.http_status == 404
        assert missing.value.code == "resource_missing"
        with pytest.raises(stripe.InvalidRequestError, match="unknown parameter"):
            sdk.v1.customers.create({"nonsense": "1"})  # type: ignore[typeddict-unknown-key]
        server.revoke(KEY)
        with pytest.raises(stripe.AuthenticationError, match="Expired API Key"):
            sdk.v1.customers.list()

    await asyncio.to_thread(use)


async def test_it_repeats_a_write_safely_when_the_answer_is_lost(server: StripeServer) -> None:
    sdk = stripe.StripeClient(KEY, base_addresses={"api": server.base_url}, max_network_retries=3)
    server.faults.add("reset", path="/v1/customers", method="POST", times=2)
    before = server.account.count("customers")
    made = await asyncio.to_thread(sdk.v1.customers.create, {"name": "Once"})
    assert made.name == "Once"
    assert server.account.count("customers") == before + 1
    assert len(server.log.find("/v1/customers", method="POST")) == 3
