"""GitHub: everything that its connector knows, put together. docs/providers/github.md lists the collections.

`access.py` is how it is reached, `account.py` what a credential sees, `lists.py` and `children.py` how lists are read,
`collections.py` the table of collections, `webhooks.py` what it sends by itself.
"""

from headrace.providers.github import access
from headrace.providers.github.collections import COLLECTIONS, FEEDS
from headrace.providers.github.webhooks import accounts_of, look, read_webhook
from headrace.providers.kit import Hook, Provider

GITHUB = Provider(
    slug="github",
    name="GitHub",
    base_url=access.base_url,
    hosts=access.HOSTS,
    kinds=access.KINDS,
    limits=access.LIMITS,
    collections=COLLECTIONS,
    fault=access.fault,
    feeds=FEEDS,
    hook=Hook(read_webhook, look=look, accounts=accounts_of),
    prepare=access.prepare,
    default_rate_limit=access.default_rate_limit,
)
