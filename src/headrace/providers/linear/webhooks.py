"""Webhooks: what was removed, as hints. Source: https://linear.app/developers/webhooks (payloads: `action`, `type`, the
object in `data`; security)."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from headrace.providers.kit import Delivery, Hint, NotGenuine
from headrace.providers.linear.types import TYPES

TOLERANCE = timedelta(minutes=1)
_SINGLE = frozenset(listed.name for listed in TYPES if listed.one is not None)
"""What can be fetched by its id."""
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def read_webhook(delivery: Delivery, secret: str, now: datetime) -> list[Hint]:
    """Check `Linear-Signature` (HMAC-SHA256 of the body, in hex) and `webhookTimestamp` in the body, which may be a
    minute off. What was removed is named, and so fetched: it may lie in the trash, or be gone for good. Every other
    change is found by the reading that the webhook brings about."""
    expected = hmac.new(secret.encode(), delivery.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), delivery.headers.get("linear-signature", "").encode()):
        raise NotGenuine("the Linear-Signature header does not fit the body and the webhook's secret")
    told = orjson.loads(delivery.body)
    moment = told.get("webhookTimestamp")
    if not isinstance(moment, int | float) or abs(now.timestamp() - moment / 1000) > TOLERANCE.total_seconds():
        raise NotGenuine("the webhook was sent more than a minute ago, or says no time")
    return _removed(told)


def accounts_of(delivery: Delivery) -> list[str]:
    """The organisation: an OAuth app is told of each that has installed it."""
    organization = orjson.loads(delivery.body).get("organizationId")
    return [organization] if isinstance(organization, str) else []


def _removed(told: Mapping[str, Any]) -> list[Hint]:
    name = _WORDS.sub("_", str(told.get("type"))).lower()
    key = (told.get("data") or {}).get("id")
    if told.get("action") != "remove" or key is None or name not in _SINGLE:
        return []
    return [Hint(f"linear:{name}", str(key))]
