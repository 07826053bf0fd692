"""The connectors: one module a provider, found by the entry point group `headrace.providers`."""

from functools import cache
from importlib.metadata import entry_points

from headrace.errors import ImplementationError
from headrace.providers.kit import Provider

SLUGS = (
    "airtable", "auth0", "hubspot", "github", "linear", "marketo", "netsuite", "quickbooks", "salesforce", "sendgrid",
    "servicenow", "shopify", "stripe", "workday", "checkout_champ",
)  # fmt: skip
"""The providers of the contract, whether their connector is there yet or not."""


@cache
def installed() -> dict[str, Provider]:
    """Every connector that is installed, by slug: ours and those of other packages."""
    found: dict[str, Provider] = {}
    for point in entry_points(group="headrace.providers"):
        provider = point.load()
        if not isinstance(provider, Provider):
            raise ImplementationError(f"the entry point '{point.name}' ({point.value}) is not a kit.Provider")
        found[provider.slug] = provider
    return found


def readable(provider: Provider) -> bool:
    """Whether there is anything to read: a connector may know a provider's credentials before its collections, and
    then its credentials can be imported, and no sync be made."""
    return bool(provider.collections) or provider.discovery is not None
