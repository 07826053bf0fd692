"""CheckoutChamp: everything that its connector knows, put together. `access.py` is how it is reached."""

from headrace.providers.checkout_champ import access
from headrace.providers.kit import Provider

CHECKOUT_CHAMP = Provider(
    slug="checkout_champ",
    name="CheckoutChamp",
    base_url=access.base_url,
    hosts=access.HOSTS,
    kinds=access.KINDS,
    limits=access.LIMITS,
    collections=(),
    fault=access.fault,
    prepare=access.prepare,
    default_rate_limit=access.default_rate_limit,
)
