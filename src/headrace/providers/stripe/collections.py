"""Stripe's collections, as a table.

Facts: which lists take `created`, which hide rows by default and which objects have events is read off stripe-python
16.1.0 (list parameters and webhook event types, made from Stripe's OpenAPI); docs/providers/stripe.md says it for each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from headrace.providers.kit import Canon, ChangedSince, Children, Collection, Listing
from headrace.providers.stripe.children import Child
from headrace.providers.stripe.events import Events
from headrace.providers.stripe.objects import Resource, identity
from headrace.providers.stripe.schemas import schema_of

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


@dataclass(frozen=True)
class Listed:
    """A resource and how its changes are found.

    `events`: the feed tells of them. `look_back`: objects younger than that are read again every `every`, since no
    event tells all their changes. `deletes` is `feed` where an event tells of them. `volatile` are fields that differ
    from one reading to the next (signed links). Everything is compared in full every `sweep_every`.
    """

    resource: Resource
    events: bool = True
    deletes: Literal["feed", "sweep", "never"] = "sweep"
    look_back: timedelta | None = None
    every: timedelta = HOUR
    sweep_every: timedelta = WEEK
    volatile: tuple[str, ...] = ()

    def collections(self) -> Iterator[Collection]:
        resource, page = self.resource, self.resource.listing()
        changes = () if self.look_back is None else (
            ChangedSince(page, field="created", lookback=self.look_back, every=self.every),
        )  # fmt: skip
        yield Collection(
            id=resource.collection,
            name=_name(resource.collection),
            listing=Listing(page, windowed="created" if resource.windowed else None, order="newest_first"),
            changes=changes,
            deletes=self.deletes,
            fetch=resource.fetch(),
            canon=Canon(volatile=self.volatile),
            schema=schema_of(resource.name),
            sweep_every=self.sweep_every,
        )
        for child in resource.embedded.values():
            yield Collection(
                id=child,
                name=_name(child),
                children=Children(resource.collection),
                deletes="parent",
                fetch=resource.fetch_embedded(child),
                schema=schema_of(_name(child)),
                sweep_every=self.sweep_every,
            )


@dataclass(frozen=True)
class ListedPerParent:
    """Children and how their changes are found: by `events` of their objects of these names, or else by reading them
    again when the parent has changed."""

    child: Child
    events: tuple[str, ...] = ()
    sweep_every: timedelta = WEEK

    def collection(self) -> Collection:
        child = self.child
        windowed = child.born_with_parent and child.parent.windowed
        return Collection(
            id=child.collection,
            name=_name(child.collection),
            listing=Listing(child.listing(), windowed="created" if windowed else None, order="newest_first"),
            children=None if self.events else child.again(),
            deletes="feed" if self.events else "parent" if child.mutable else "sweep",
            fetch=child.fetch(),
            schema=schema_of(_name(child.collection)),
            sweep_every=self.sweep_every,
        )


def _name(collection: str) -> str:
    return collection.removeprefix("stripe:")


def _plain(name: str, path: str, windowed: bool = True) -> Resource:
    return Resource(name, path, windowed=windowed)


CUSTOMER = Resource(
    "customer",
    "/v1/customers",
    dependents=tuple(
        identity(name)
        for name in (
            "payment_method",
            "payment_source",
            "tax_id",
            "customer_balance_transaction",
            "customer_cash_balance_transaction",
        )
    ),
)
CHECKOUT_SESSION = _plain("checkout.session", "/v1/checkout/sessions")
PAYMENT_LINK = _plain("payment_link", "/v1/payment_links", windowed=False)
QUOTE = _plain("quote", "/v1/quotes", windowed=False)
SETUP_INTENT = _plain("setup_intent", "/v1/setup_intents")

LISTED = (
    Listed(
        Resource("account", "/v1/accounts", embedded={"external_accounts": "stripe:external_account"}),
        events=False, look_back=DAY, sweep_every=timedelta(hours=6),
    ),
    Listed(Resource("application_fee", "/v1/application_fees", embedded={"refunds": "stripe:fee_refund"})),
    Listed(_plain("balance_transaction", "/v1/balance_transactions"), events=False, look_back=14 * DAY, every=6 * HOUR),
    Listed(_plain("billing.credit_grant", "/v1/billing/credit_grants", windowed=False)),
    Listed(_plain("billing.meter", "/v1/billing/meters", windowed=False)),
    Listed(_plain("billing_portal.configuration", "/v1/billing_portal/configurations", windowed=False)),
    Listed(_plain("charge", "/v1/charges"), volatile=("receipt_url",)),
    Listed(CHECKOUT_SESSION, look_back=25 * HOUR, volatile=("url",)),
    Listed(_plain("coupon", "/v1/coupons"), deletes="feed"),
    Listed(
        Resource("credit_note", "/v1/credit_notes", embedded={"lines": "stripe:credit_note_line_item"}),
        volatile=("pdf",),
    ),
    Listed(CUSTOMER, deletes="feed"),
    Listed(_plain("dispute", "/v1/disputes")),
    # Stripe forgets events after thirty days; here they stay.
    Listed(_plain("event", "/v1/events"), deletes="never", volatile=("pending_webhooks",)),
    Listed(_plain("file", "/v1/files"), volatile=("links", "url")),
    Listed(_plain("file_link", "/v1/file_links"), events=False, look_back=30 * DAY, every=6 * HOUR),
    Listed(_plain("identity.verification_session", "/v1/identity/verification_sessions"), volatile=("url",)),
    Listed(
        Resource("invoice", "/v1/invoices", embedded={"lines": "stripe:invoice_line_item"}),
        deletes="feed", volatile=("hosted_invoice_url", "invoice_pdf"),
    ),
    Listed(_plain("invoice_payment", "/v1/invoice_payments"), look_back=14 * DAY, every=6 * HOUR),
    Listed(
        _plain("invoice_rendering_template", "/v1/invoice_rendering_templates", windowed=False),
        events=False, sweep_every=HOUR,
    ),
    Listed(_plain("invoiceitem", "/v1/invoiceitems"), deletes="feed", look_back=35 * DAY, every=6 * HOUR),
    Listed(_plain("issuing.authorization", "/v1/issuing/authorizations")),
    Listed(_plain("issuing.card", "/v1/issuing/cards")),
    Listed(_plain("issuing.cardholder", "/v1/issuing/cardholders")),
    Listed(_plain("issuing.dispute", "/v1/issuing/disputes")),
    Listed(_plain("issuing.transaction", "/v1/issuing/transactions")),
    Listed(_plain("payment_intent", "/v1/payment_intents"), look_back=DAY),
    Listed(PAYMENT_LINK),
    Listed(
        _plain("payment_method_configuration", "/v1/payment_method_configurations", windowed=False),
        events=False, sweep_every=HOUR,
    ),
    Listed(
        _plain("payment_method_domain", "/v1/payment_method_domains", windowed=False), events=False, sweep_every=HOUR
    ),
    Listed(_plain("payout", "/v1/payouts")),
    Listed(_plain("plan", "/v1/plans"), deletes="feed"),
    Listed(_plain("price", "/v1/prices"), deletes="feed"),
    Listed(_plain("product", "/v1/products"), deletes="feed"),
    Listed(_plain("promotion_code", "/v1/promotion_codes")),
    Listed(QUOTE, sweep_every=timedelta(hours=6)),
    Listed(_plain("radar.early_fraud_warning", "/v1/radar/early_fraud_warnings")),
    Listed(_plain("refund", "/v1/refunds")),
    Listed(_plain("reporting.report_run", "/v1/reporting/report_runs"), look_back=DAY),
    Listed(_plain("review", "/v1/reviews")),
    Listed(SETUP_INTENT, look_back=DAY),
    Listed(_plain("shipping_rate", "/v1/shipping_rates"), events=False, look_back=DAY, sweep_every=HOUR),
    Listed(
        Resource(
            "subscription", "/v1/subscriptions", (("status", "all"),), embedded={"items": "stripe:subscription_item"}
        )
    ),
    Listed(_plain("subscription_schedule", "/v1/subscription_schedules")),
    Listed(_plain("tax_code", "/v1/tax_codes", windowed=False), events=False, sweep_every=DAY),
    Listed(_plain("tax_rate", "/v1/tax_rates")),
    Listed(_plain("terminal.location", "/v1/terminal/locations", windowed=False), events=False, sweep_every=HOUR),
    Listed(_plain("terminal.reader", "/v1/terminal/readers", windowed=False), sweep_every=HOUR),
    Listed(_plain("test_helpers.test_clock", "/v1/test_helpers/test_clocks", windowed=False), deletes="feed"),
    Listed(_plain("topup", "/v1/topups")),
    Listed(Resource("transfer", "/v1/transfers", embedded={"reversals": "stripe:transfer_reversal"})),
    Listed(_plain("webhook_endpoint", "/v1/webhook_endpoints", windowed=False), events=False, sweep_every=HOUR),
)  # fmt: skip

PER_PARENT = (
    ListedPerParent(
        Child(
            "checkout_session_line_item", CHECKOUT_SESSION, "/v1/checkout/sessions/{}/line_items",
            expand="line_items", born_with_parent=True,
        )
    ),
    ListedPerParent(
        Child(
            "customer_balance_transaction", CUSTOMER, "/v1/customers/{}/balance_transactions",
            one="/v1/customers/{parent}/balance_transactions/{id}", mutable=False,
        )
    ),
    ListedPerParent(
        Child(
            "customer_cash_balance_transaction", CUSTOMER, "/v1/customers/{}/cash_balance_transactions",
            one="/v1/customers/{parent}/cash_balance_transactions/{id}", mutable=False,
        ),
        events=("customer_cash_balance_transaction",),
    ),
    ListedPerParent(
        Child(
            "payment_link_line_item", PAYMENT_LINK, "/v1/payment_links/{}/line_items",
            expand="line_items", born_with_parent=True,
        )
    ),
    ListedPerParent(
        Child("payment_method", CUSTOMER, "/v1/customers/{}/payment_methods", one="/v1/payment_methods/{id}"),
        events=("payment_method",),
    ),
    ListedPerParent(
        Child(
            "payment_source", CUSTOMER, "/v1/customers/{}/sources",
            expand="sources", one="/v1/customers/{parent}/sources/{id}",
        ),
        events=("bank_account", "card", "source"),
    ),
    ListedPerParent(
        Child("quote_line_item", QUOTE, "/v1/quotes/{}/line_items", expand="line_items", born_with_parent=True),
        sweep_every=timedelta(hours=6),
    ),
    ListedPerParent(
        Child(
            "setup_attempt", SETUP_INTENT, "/v1/setup_attempts",
            by="setup_intent", owner="setup_intent", mutable=False,
        )
    ),
    ListedPerParent(
        Child(
            "tax_id", CUSTOMER, "/v1/customers/{}/tax_ids",
            expand="tax_ids", one="/v1/customers/{parent}/tax_ids/{id}",
        ),
        events=("tax_id",),
    ),
)  # fmt: skip

EVENTS = Events(
    {entry.resource.name: entry.resource for entry in LISTED if entry.events},
    {name: entry.child for entry in PER_PARENT for name in entry.events},
)

COLLECTIONS = tuple(
    sorted(
        [
            *(collection for entry in LISTED for collection in entry.collections()),
            *(entry.collection() for entry in PER_PARENT),
        ],
        key=lambda collection: collection.id,
    )
)
