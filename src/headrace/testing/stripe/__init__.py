"""Stripe as a server on loopback: documented manners, objects without end, faults on demand."""

from headrace.testing.command import Fake
from headrace.testing.faults import Fault
from headrace.testing.stripe.account import Account, NoSuchObject, NotAllowed
from headrace.testing.stripe.digest import Difference, difference, digest, fingerprint
from headrace.testing.stripe.server import StripeServer

FAKE = Fake("stripe", StripeServer, "every key that begins with sk_ or rk_ opens it")

__all__ = [
    "FAKE",
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
