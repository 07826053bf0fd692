"""Webhooks: which objects changed, as hints. Their order is not kept, and they come late at times.

Source: https://developers.hubspot.com/docs/api-reference (webhooks; request validation, signature version 3).
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

import orjson

from headrace.providers.hubspot.portal import STANDARD
from headrace.providers.kit import Delivery, Item, Mention, NotGenuine

TOLERANCE = timedelta(minutes=5)
_NAMED = {kind.name: kind.collection for kind in STANDARD}
_STANDARD_IDS = {
    "0-1": "contact",
    "0-2": "company",
    "0-3": "deal",
    "0-5": "ticket",
    "0-7": "product",
    "0-8": "line_item",
}


def read_webhook(delivery: Delivery, secret: str, now: datetime) -> list[Item]:
    """Check `X-HubSpot-Signature-v3`: base64 of HMAC-SHA256 over method, URL, body and time, not older or younger than
    five minutes. What is named is fetched, which tells of a deletion too."""
    signature = delivery.headers.get("x-hubspot-signature-v3", "")
    moment = delivery.headers.get("x-hubspot-request-timestamp", "")
    if not moment.isdecimal():
        raise NotGenuine("the X-HubSpot-Request-Timestamp header is missing")
    if not any(
        hmac.compare_digest(signed(secret, delivery.method, url, delivery.body, moment), signature.encode())
        for url in (delivery.url, unquote(delivery.url))
    ):
        raise NotGenuine("the X-HubSpot-Signature-v3 header does not fit the request and the app's secret")
    if abs(now.timestamp() - int(moment) / 1000) > TOLERANCE.total_seconds():
        raise NotGenuine("the webhook was signed more than five minutes ago, or in the future")
    told = orjson.loads(delivery.body)
    return [item for event in (told if isinstance(told, list) else [told]) for item in _items(event, now)]


def signed(secret: str, method: str, url: str, body: bytes, moment: str) -> bytes:
    text = method.encode() + url.encode() + body + moment.encode()
    return b64encode(hmac.new(secret.encode(), text, sha256).digest())


def _items(event: Mapping[str, Any], now: datetime) -> list[Item]:
    kind = str(event.get("subscriptionType", "")).partition(".")[0].lower()
    type_id = str(event.get("objectTypeId") or "")
    collection = _NAMED.get(kind) or _NAMED.get(_STANDARD_IDS.get(type_id, ""))
    if collection is None and type_id.startswith("2-"):
        collection = f"hubspot:{type_id}"
    if collection is None or event.get("objectId") is None:
        return []
    when = event.get("occurredAt")
    at = datetime.fromtimestamp(when / 1000, UTC) if isinstance(when, int) else now
    merged = (event.get("mergedObjectIds") or []) if kind else []
    return [Mention(collection, str(key), at) for key in (event["objectId"], *merged)]
