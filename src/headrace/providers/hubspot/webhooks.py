"""Webhooks: which objects are gone or back, as hints. Their order is not kept, and they come late at times.

Source: https://developers.hubspot.com/docs/api-reference (webhooks; request validation, signature version 3).
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

import orjson

from headrace.providers.hubspot.portal import STANDARD
from headrace.providers.kit import Delivery, Hint, NotGenuine

TOLERANCE = timedelta(minutes=5)
_NAMED = {kind.name: kind.collection for kind in STANDARD}
_TOLD = ("deletion", "privacyDeletion", "merge", "restore")
_STANDARD_IDS = {
    "0-1": "contact",
    "0-2": "company",
    "0-3": "deal",
    "0-5": "ticket",
    "0-7": "product",
    "0-8": "line_item",
    "0-14": "quote",
    "0-18": "communication",
    "0-19": "feedback_submission",
    "0-27": "task",
    "0-46": "note",
    "0-47": "meeting",
    "0-48": "call",
    "0-49": "email",
    "0-53": "invoice",
    "0-69": "subscription",
    "0-74": "goal_target",
    "0-101": "commerce_payment",
    "0-116": "postal_mail",
    "0-123": "order",
    "0-136": "lead",
    "0-142": "cart",
}


def read_webhook(delivery: Delivery, secret: str, now: datetime) -> list[Hint]:
    """Check `X-HubSpot-Signature-v3`: base64 of HMAC-SHA256 over method, URL, body and time, not older or younger than
    five minutes. What was deleted, merged or restored is named, and so fetched."""
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
    return [hint for event in _events(delivery) for hint in _hints(event)]


def accounts_of(delivery: Delivery) -> list[str]:
    """The portals: an app is told of those of all who have installed it, up to a hundred events at once."""
    return list(dict.fromkeys(str(event["portalId"]) for event in _events(delivery) if "portalId" in event))


def _events(delivery: Delivery) -> list[dict[str, Any]]:
    told = orjson.loads(delivery.body)
    return told if isinstance(told, list) else [told]


def signed(secret: str, method: str, url: str, body: bytes, moment: str) -> bytes:
    text = method.encode() + url.encode() + body + moment.encode()
    return b64encode(hmac.new(secret.encode(), text, sha256).digest())


def _hints(event: Mapping[str, Any]) -> list[Hint]:
    """What no reading tells soon: what is gone, or back. Every other change is found by the search, which the webhook
    makes to be asked at once."""
    kind, _, what = str(event.get("subscriptionType", "")).partition(".")
    type_id = str(event.get("objectTypeId") or "")
    collection = _NAMED.get(kind.lower()) or _NAMED.get(_STANDARD_IDS.get(type_id, ""))
    if collection is None and type_id.startswith("2-"):
        collection = f"hubspot:{type_id}"
    if collection is None or what not in _TOLD:
        return []
    merged = event.get("mergedObjectIds") if what == "merge" else ()
    keys = [event.get("objectId"), *(merged or ())]
    portal = None if event.get("portalId") is None else str(event["portalId"])
    forgotten = what == "privacyDeletion"
    return [Hint(collection, str(key), forgotten=forgotten, account=portal) for key in keys if key is not None]
