"""Stripe's collections, all of them: what the connector reads, and no less.

Paths, filters, events and deletions are those of Stripe's API reference (docs.stripe.com/api), checked against the
`stripe` package 16.1 (API version 2026-10-28.endive) by a test; the fields of objects stand in `shapes/`.
"""

from headrace.testing.stripe.billing import BILLING
from headrace.testing.stripe.operations import OPERATIONS
from headrace.testing.stripe.payments import PAYMENTS
from headrace.testing.stripe.resources import Resource

API_VERSION = "2026-10-28.endive"

_ALL = (*PAYMENTS, *BILLING, *OPERATIONS)

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
    ("billing_meters", "deactivate"): {"status": "inactive"},
    ("billing_meters", "reactivate"): {"status": "active"},
    ("identity_verification_sessions", "cancel"): {"status": "canceled"},
    ("issuing_disputes", "submit"): {"status": "submitted"},
}
"""`POST /v1/{collection}/{id}/{action}` and what it sets."""
