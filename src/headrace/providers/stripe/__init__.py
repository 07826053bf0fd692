"""Stripe: everything that its connector knows, put together. docs/providers/stripe.md lists the collections.

`access.py` is how it is reached, `objects.py` and `children.py` how its objects are read, `events.py` its change log,
`collections.py` the table of collections.
"""

from headrace.providers.kit import Hook, Provider
from headrace.providers.stripe import access
from headrace.providers.stripe.collections import COLLECTIONS, EVENTS

STRIPE = Provider(
    slug="stripe",
    name="Stripe",
    base_url=access.base_url,
    hosts=("api.stripe.com",),
    kinds=(access.KEY, access.OAUTH2),
    limits=access.LIMITS,
    collections=COLLECTIONS,
    fault=access.fault,
    feeds=(EVENTS.feed(),),
    hook=Hook(access.read_webhook, tolerance=access.TOLERANCE, accounts=access.accounts_of),
    prepare=access.prepare,
    default_rate_limit=access.default_rate_limit,
)
