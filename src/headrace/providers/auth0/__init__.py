"""Auth0: everything that its connector knows, put together. `access.py` is how it is reached."""

from headrace.providers.auth0 import access
from headrace.providers.kit import Provider

AUTH0 = Provider(
    slug="auth0",
    name="Auth0",
    base_url=access.base_url,
    hosts=access.HOSTS,
    kinds=access.KINDS,
    limits=access.LIMITS,
    collections=(),
    fault=access.fault,
    prepare=access.prepare,
    default_rate_limit=access.default_rate_limit,
)
