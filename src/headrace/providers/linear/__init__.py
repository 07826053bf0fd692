"""Linear: everything that its connector knows, put together. docs/providers/linear.md lists the collections.

`access.py` is how it is reached, `types.py` what it lists, `reading.py` how that is read, `webhooks.py` what it
sends by itself.
"""

from headrace.providers.kit import Hook, Provider
from headrace.providers.linear import access
from headrace.providers.linear.collections import COLLECTIONS
from headrace.providers.linear.webhooks import TOLERANCE, accounts_of, read_webhook

LINEAR = Provider(
    slug="linear",
    name="Linear",
    base_url=access.base_url,
    hosts=access.HOSTS,
    kinds=access.KINDS,
    limits=access.LIMITS,
    collections=COLLECTIONS,
    fault=access.fault,
    hook=Hook(read_webhook, tolerance=TOLERANCE, accounts=accounts_of),
    prepare=access.prepare,
    default_rate_limit=access.default_rate_limit,
)
