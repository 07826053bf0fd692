"""Airtable: everything that its connector knows, put together. docs/providers/airtable.md lists the collections.

`access.py` is how it is reached, `account.py` what an account has, `tables.py` how records are read (`formulas.py`: by
time and by id; `schema.py`: what they look like), `webhooks.py` the log of a base, `comments.py` those on records,
`collections.py` what describes the account, with `collaborators.py` and `audit.py` (`shapes.py`: what it looks like).
"""

from headrace.providers.airtable import access
from headrace.providers.airtable.account import DISCOVERY
from headrace.providers.airtable.collections import COLLECTIONS
from headrace.providers.airtable.webhooks import read_ping
from headrace.providers.kit import Hook, Provider

AIRTABLE = Provider(
    slug="airtable",
    name="Airtable",
    base_url=access.base_url,
    hosts=access.HOSTS,
    kinds=access.KINDS,
    limits=access.LIMITS,
    collections=COLLECTIONS,
    fault=access.fault,
    hook=Hook(read_ping),
    prepare=access.prepare,
    discovery=DISCOVERY,
    default_rate_limit=access.default_rate_limit,
)
