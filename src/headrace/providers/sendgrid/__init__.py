"""SendGrid: everything that its connector knows, put together. `access.py` is how it is reached."""

from headrace.providers.kit import Provider
from headrace.providers.sendgrid import access

SENDGRID = Provider(
    slug="sendgrid",
    name="SendGrid",
    base_url=access.base_url,
    hosts=access.HOSTS,
    kinds=access.KINDS,
    limits=access.LIMITS,
    collections=(),
    fault=access.fault,
    prepare=access.prepare,
    default_rate_limit=access.default_rate_limit,
)
