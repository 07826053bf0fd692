"""Salesforce: everything that its connector knows, put together. docs/providers/salesforce.md lists the collections.

`access.py` is how it is reached, `describe.py` what an org has, `soql.py` how it is asked, `objects.py`, `bulk.py` and
`links.py` how rows are read, `collections.py` which readings each object has. There are no webhooks: Salesforce
sends none over HTTP.
"""

from headrace.providers.kit import Provider
from headrace.providers.salesforce import access
from headrace.providers.salesforce.collections import COLLECTIONS, DISCOVERY

SALESFORCE = Provider(
    slug="salesforce",
    name="Salesforce",
    base_url=access.base_url,
    hosts=access.HOSTS,
    kinds=access.KINDS,
    limits=access.LIMITS,
    collections=COLLECTIONS,
    fault=access.fault,
    discovery=DISCOVERY,
    default_rate_limit=access.default_rate_limit,
)
