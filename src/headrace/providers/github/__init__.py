"""GitHub: everything that its connector knows, put together. `access.py` is how it is reached."""

from headrace.providers.github import access
from headrace.providers.kit import Provider

GITHUB = Provider(
    slug="github",
    name="GitHub",
    base_url=access.base_url,
    hosts=access.HOSTS,
    kinds=access.KINDS,
    limits=access.LIMITS,
    collections=(),
    fault=access.fault,
    prepare=access.prepare,
    default_rate_limit=access.default_rate_limit,
)
