"""Stripe as a server on loopback: documented manners, objects without end, faults on demand."""

from headrace.testing.faults import Fault
from headrace.testing.stripe.account import Account, NoSuchObject, NotAllowed
from headrace.testing.stripe.digest import Difference, difference, digest, fingerprint
from headrace.testing.stripe.server import StripeServer

__all__ = [
    "Account",
    "Difference",
    "Fault",
    "NoSuchObject",
    "NotAllowed",
    "StripeServer",
    "difference",
    "digest",
    "fingerprint",
]
