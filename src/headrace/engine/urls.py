"""Where a connector's request goes, as a URL."""

from collections.abc import Mapping
from typing import Any

from yarl import URL

from headrace.egress import EgressRefused
from headrace.http import Request
from headrace.providers.kit import Provider


def requested(provider: Provider, properties: Mapping[str, Any], request: Request) -> URL:
    """Its path under the provider's base, or its absolute URL, and its query. EgressRefused where that is no URL."""
    url = request.url
    if url.startswith("/"):
        url = provider.base_url(properties).rstrip("/") + url
    try:
        return URL(url).extend_query(list(request.query)) if request.query else URL(url)
    except ValueError:
        raise EgressRefused("this is no URL") from None


def with_query(url: URL, before: Request, after: Request) -> URL:
    """`url` with what `prepare` and `sign` have put into the query."""
    added = [pair for pair in after.query if pair not in before.query]
    return url.extend_query(added) if added else url


def is_base(provider: Provider, properties: Mapping[str, Any], url: URL) -> bool:
    """Whether `url` has the origin of the provider's base for these properties: there alone a credential is shown."""
    return URL(provider.base_url(properties)).origin() == url.origin()
