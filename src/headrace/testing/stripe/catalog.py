"""Stripe's collections, as data: where they stand, how they hang together, which events tell of them.

Paths, filters, events and deletions are those of Stripe's API reference (docs.stripe.com/api), checked against the
`stripe` package 16.1 (API version 2026-10-28.endive); fields of objects stand in `shapes/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

API_VERSION = "2026-10-28.endive"


@dataclass(frozen=True, slots=True)
class Events:
    """The events that tell of an object. `by_status` are those of a change of `status` to the value named."""

    created: str | None = None
    updated: str | None = None
    deleted: str | None = None
    by_status: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Child:
    """Objects that hang under a parent.

    `counts` is the pattern of how many each parent in turn has. `path` is the list's path, with the parent's id in it,
    or a query that narrows the top-level list. `field` is where the parent carries the first ten; `refers` is where
    the child names its parent.
    """

    parent: str
    counts: tuple[int, ...]
    path: str
    field: str | None = None
    refers: str | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object.

    `path` is its top-level list, None where it is found under its parent only. `weight` is its share among the objects
    of an account. `created` names the field with the time of birth where lists can be narrowed by it, else it is None.
    `filters` are fields that a list can be narrowed by; `hidden` is what a list leaves out unless the filter of that
    field is given. `writes` are the calls that Stripe has; only objects of `deletable_status`, where set, can be
    deleted. `leaves` is what a GET of a deleted object finds.
    """

    name: str
    object: str
    prefix: str
    weight: float = 0.0
    path: str | None = None
    shape: str = ""
    long: bool = True
    created: str | None = "created"
    child: Child | None = None
    events: Events = Events()
    filters: tuple[str, ...] = ()
    hidden: tuple[str, str] | None = None
    writes: frozenset[str] = frozenset()
    leaves: Literal["nothing", "stub", "object"] = "nothing"
    deletable_status: str | None = None


def _writes(letters: str) -> frozenset[str]:
    names = {"c": "create", "u": "update", "d": "delete"}
    return frozenset(names[letter] for letter in letters)


def _events(stem: str, verbs: str = "created updated deleted", **by_status: str) -> Events:
    said = {verb: f"{stem}.{verb}" for verb in verbs.split()}
    return Events(
        said.get("created"),
        said.get("updated"),
        said.get("deleted"),
        {status: f"{stem}.{verb}" for status, verb in by_status.items()},
    )


_ALL = (
    Resource(
        "customers", "customer", "cus_", 14, "/v1/customers", long=False, events=_events("customer"),
        filters=("email",), writes=_writes("cud"), leaves="stub",
    ),
    Resource(
        "charges", "charge", "ch_", 18, "/v1/charges",
        events=Events("charge.succeeded", "charge.updated", None, {"failed": "charge.failed"}),
        filters=("customer", "payment_intent"), writes=_writes("cu"),
    ),
    Resource(
        "payment_intents", "payment_intent", "pi_", 12, "/v1/payment_intents",
        events=_events("payment_intent", "created", succeeded="succeeded", canceled="canceled",
                       processing="processing", requires_action="requires_action",
                       requires_capture="amount_capturable_updated"),
        filters=("customer",), writes=_writes("cu"),
    ),
    Resource(
        "setup_intents", "setup_intent", "seti_", 3, "/v1/setup_intents",
        events=_events("setup_intent", "created", succeeded="succeeded", canceled="canceled",
                       requires_action="requires_action"),
        filters=("customer", "payment_method"), writes=_writes("cu"),
    ),
    Resource(
        "payment_methods", "payment_method", "pm_", 0, "/v1/payment_methods", created=None,
        child=Child("customers", (1, 0, 2, 1, 0, 1, 3, 1, 0, 1, 12, 0), "/v1/customers/{}/payment_methods", None,
                    "customer"),
        events=Events("payment_method.attached", "payment_method.updated", "payment_method.detached"),
        filters=("type", "customer"), writes=_writes("cu"), leaves="object",
    ),
    Resource(
        "tax_ids", "tax_id", "txi_", 0, "/v1/tax_ids", created=None,
        child=Child("customers", (0, 0, 1, 0, 0), "/v1/customers/{}/tax_ids", None, "customer"),
        events=_events("customer.tax_id"), writes=_writes("cd"),
    ),
    Resource(
        "customer_balance_transactions", "customer_balance_transaction", "cbtxn_", 0, None,
        child=Child("customers", (0, 1, 0, 0), "/v1/customers/{}/balance_transactions", None, "customer"),
        writes=_writes("cu"),
    ),
    Resource(
        "refunds", "refund", "re_", 2, "/v1/refunds",
        events=_events("refund", "created updated", failed="failed"),
        filters=("charge", "payment_intent"), writes=_writes("cu"),
    ),
    Resource(
        "disputes", "dispute", "du_", 0.4, "/v1/disputes",
        events=_events("charge.dispute", "created updated", won="closed", lost="closed"),
        filters=("charge", "payment_intent"), writes=_writes("u"),
    ),
    Resource(
        "balance_transactions", "balance_transaction", "txn_", 14, "/v1/balance_transactions",
        filters=("currency", "source", "type"),
    ),
    Resource(
        "payouts", "payout", "po_", 1, "/v1/payouts",
        events=_events("payout", "created updated", paid="paid", failed="failed", canceled="canceled"),
        filters=("status",), writes=_writes("cu"),
    ),
    Resource(
        "transfers", "transfer", "tr_", 1, "/v1/transfers", events=_events("transfer", "created updated"),
        filters=("destination", "transfer_group"), writes=_writes("cu"),
    ),
    Resource(
        "transfer_reversals", "transfer_reversal", "trr_", 0, None, created=None,
        child=Child("transfers", (0, 1, 0, 0, 2, 0, 11), "/v1/transfers/{}/reversals", "reversals", "transfer"),
        writes=_writes("cu"),
    ),
    Resource(
        "application_fees", "application_fee", "fee_", 0.5, "/v1/application_fees",
        events=_events("application_fee", "created"), filters=("charge",),
    ),
    Resource(
        "fee_refunds", "fee_refund", "fr_", 0, None, created=None,
        child=Child("application_fees", (0, 1, 0, 2, 0), "/v1/application_fees/{}/refunds", "refunds", "fee"),
        events=Events(None, "application_fee.refund.updated"), writes=_writes("cu"),
    ),
    Resource(
        "products", "product", "prod_", 0.6, "/v1/products", long=False, events=_events("product"),
        filters=("active", "shippable", "url"), writes=_writes("cud"),
    ),
    Resource(
        "prices", "price", "price_", 1, "/v1/prices", events=_events("price"),
        filters=("active", "currency", "product", "type"), writes=_writes("cu"),
    ),
    Resource(
        "plans", "plan", "plan_", 0.4, "/v1/plans", long=False, events=_events("plan"),
        filters=("active", "product"), writes=_writes("cud"),
    ),
    Resource(
        "coupons", "coupon", "", 0.3, "/v1/coupons", long=False, events=_events("coupon"), writes=_writes("cud"),
    ),
    Resource(
        "promotion_codes", "promotion_code", "promo_", 0.3, "/v1/promotion_codes",
        events=_events("promotion_code", "created updated"), filters=("active", "code", "customer"),
        writes=_writes("cu"),
    ),
    Resource(
        "subscriptions", "subscription", "sub_", 4, "/v1/subscriptions",
        events=Events("customer.subscription.created", "customer.subscription.updated", None,
                      {"canceled": "customer.subscription.deleted"}),
        filters=("customer", "status", "collection_method"), hidden=("status", "canceled"), writes=_writes("cud"),
    ),
    Resource(
        "subscription_items", "subscription_item", "si_", 0, "/v1/subscription_items", long=False, created=None,
        child=Child("subscriptions", (1, 1, 2, 1, 1, 3, 1, 1, 12, 1, 1, 1), "/v1/subscription_items?subscription={}", "items",
                    "subscription"),
        filters=("subscription",), writes=_writes("cud"),
    ),
    Resource(
        "subscription_schedules", "subscription_schedule", "sub_sched_", 0.4, "/v1/subscription_schedules",
        events=_events("subscription_schedule", "created updated", canceled="canceled", released="released"),
        filters=("customer",), writes=_writes("cu"),
    ),
    Resource(
        "invoices", "invoice", "in_", 8, "/v1/invoices",
        events=_events("invoice", paid="paid", open="finalized", void="voided", uncollectible="marked_uncollectible"),
        filters=("customer", "status", "subscription", "collection_method"), writes=_writes("cud"),
        deletable_status="draft",
    ),
    Resource(
        "invoice_lines", "line_item", "il_", 0, None, shape="invoice_line", created=None,
        child=Child("invoices", (1, 2, 1, 1, 3, 1, 12, 1, 1, 2, 1, 1, 4, 1, 1, 2, 1, 25, 1, 1, 1, 2, 1, 1, 1), "/v1/invoices/{}/lines", "lines", "invoice"),
        writes=_writes("cud"),
    ),
    Resource(
        "invoiceitems", "invoiceitem", "ii_", 3, "/v1/invoiceitems", created="date",
        events=_events("invoiceitem", "created deleted"), filters=("customer", "invoice"), writes=_writes("cud"),
    ),
    Resource(
        "credit_notes", "credit_note", "cn_", 0.5, "/v1/credit_notes",
        events=_events("credit_note", "created updated", void="voided"), filters=("customer", "invoice"),
        writes=_writes("cu"),
    ),
    Resource(
        "credit_note_lines", "credit_note_line_item", "cnli_", 0, None, shape="credit_note_line", created=None,
        child=Child("credit_notes", (1, 1, 2, 11), "/v1/credit_notes/{}/lines", "lines", None),
    ),
    Resource(
        "checkout_sessions", "checkout.session", "cs_", 3, "/v1/checkout/sessions", shape="checkout_session",
        events=_events("checkout.session", "", complete="completed", expired="expired"),
        filters=("customer", "payment_intent", "status", "subscription"), writes=_writes("cu"),
    ),
    Resource(
        "checkout_session_line_items", "item", "li_", 0, None, shape="line_item", created=None,
        child=Child("checkout_sessions", (1, 1, 2, 1, 11), "/v1/checkout/sessions/{}/line_items"),
    ),
    Resource(
        "tax_rates", "tax_rate", "txr_", 0.2, "/v1/tax_rates", events=_events("tax_rate", "created updated"),
        filters=("active", "inclusive"), writes=_writes("cu"),
    ),
    Resource(
        "quotes", "quote", "qt_", 0.4, "/v1/quotes", created=None,
        events=_events("quote", "created", accepted="accepted", canceled="canceled", open="finalized"),
        filters=("customer", "status"), writes=_writes("cu"),
    ),
    Resource(
        "quote_line_items", "item", "li_q", 0, None, shape="line_item", created=None,
        child=Child("quotes", (1, 2, 1), "/v1/quotes/{}/line_items"),
    ),
    Resource(
        "accounts", "account", "acct_", 0.3, "/v1/accounts", events=Events(None, "account.updated"),
        writes=_writes("cud"),
    ),
    Resource(
        "topups", "topup", "tu_", 0.2, "/v1/topups",
        events=_events("topup", "created", succeeded="succeeded", failed="failed", canceled="canceled"),
        filters=("status",), writes=_writes("cu"),
    ),
    Resource("reviews", "review", "prv_", 0.2, "/v1/reviews", events=Events("review.opened")),
    Resource(
        "files", "file", "file_", 0.3, "/v1/files", events=_events("file", "created"), filters=("purpose",),
    ),
    Resource(
        "file_links", "file_link", "link_", 0.2, "/v1/file_links", filters=("expired", "file"), writes=_writes("cu"),
    ),
    Resource("shipping_rates", "shipping_rate", "shr_", 0.2, "/v1/shipping_rates", filters=("active", "currency"),
             writes=_writes("cu")),
    Resource(
        "payment_links", "payment_link", "plink_", 0.2, "/v1/payment_links", created=None,
        events=_events("payment_link", "created updated"), filters=("active",), writes=_writes("cu"),
    ),
    Resource(
        "webhook_endpoints", "webhook_endpoint", "we_", 0, "/v1/webhook_endpoints", created=None,
        writes=_writes("cud"),
    ),
)  # fmt: skip

RESOURCES: dict[str, Resource] = {resource.name: resource for resource in _ALL}
INDEX: dict[str, int] = {resource.name: index for index, resource in enumerate(_ALL)}
CHILDREN: dict[str, tuple[Resource, ...]] = {
    parent.name: tuple(child for child in _ALL if child.child is not None and child.child.parent == parent.name)
    for parent in _ALL
}

ACTIONS: dict[tuple[str, str], dict[str, object]] = {
    ("invoices", "finalize"): {"status": "open"},
    ("invoices", "pay"): {"status": "paid"},
    ("invoices", "void"): {"status": "void"},
    ("invoices", "mark_uncollectible"): {"status": "uncollectible"},
    ("payment_intents", "confirm"): {"status": "succeeded"},
    ("payment_intents", "cancel"): {"status": "canceled", "cancellation_reason": "requested_by_customer"},
    ("setup_intents", "confirm"): {"status": "succeeded"},
    ("setup_intents", "cancel"): {"status": "canceled", "cancellation_reason": "abandoned"},
    ("quotes", "finalize"): {"status": "open"},
    ("quotes", "accept"): {"status": "accepted"},
    ("quotes", "cancel"): {"status": "canceled"},
    ("subscription_schedules", "cancel"): {"status": "canceled"},
    ("subscription_schedules", "release"): {"status": "released"},
    ("checkout_sessions", "expire"): {"status": "expired", "url": None},
    ("payouts", "cancel"): {"status": "canceled"},
    ("topups", "cancel"): {"status": "canceled"},
    ("credit_notes", "void"): {"status": "void"},
    ("disputes", "close"): {"status": "lost"},
}
"""`POST /v1/{collection}/{id}/{action}` and what it sets."""


class Pattern:
    """How many children each parent has, and which ordinals they are: consecutive, in the order of the parents."""

    def __init__(self, counts: tuple[int, ...]) -> None:
        self._firsts = [0, *accumulate(counts)]
        self._period = len(counts)

    def first(self, parent: int) -> int:
        """The ordinal of this parent's first child: the number of children of all parents before it."""
        rounds, rest = divmod(parent, self._period)
        return rounds * self._firsts[-1] + self._firsts[rest]

    def children(self, parent: int) -> range:
        return range(self.first(parent), self.first(parent + 1))

    def parent(self, child: int) -> int:
        """The parent of a child: the greatest whose first child is not after it."""
        rounds, rest = divmod(child, self._firsts[-1])
        low, high = 0, self._period - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self._firsts[middle] <= rest:
                low = middle
            else:
                high = middle - 1
        return rounds * self._period + low
