"""HubSpot: everything that its connector knows, put together. docs/providers/hubspot.md lists the collections.

`access.py` is how it is reached, `portal.py` what a portal has, `objects.py` how CRM objects are read,
`associations.py` how what binds them is, `collections.py` the table of collections, `webhooks.py` what it sends by
itself.
"""

from headrace.providers.hubspot import access
from headrace.providers.hubspot.collections import COLLECTIONS, DISCOVERY
from headrace.providers.hubspot.webhooks import TOLERANCE, accounts_of, read_webhook
from headrace.providers.kit import Hook, Provider

HUBSPOT = Provider(
    slug="hubspot",
    name="HubSpot",
    base_url=access.base_url,
    hosts=access.HOSTS,
    kinds=access.KINDS,
    limits=access.LIMITS,
    collections=COLLECTIONS,
    fault=access.fault,
    hook=Hook(read_webhook, tolerance=TOLERANCE, accounts=accounts_of),
    discovery=DISCOVERY,
    default_rate_limit=access.default_rate_limit,
)
