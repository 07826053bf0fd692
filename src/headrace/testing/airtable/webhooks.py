"""Webhooks of a base: their payloads, numbered without gaps and kept for a week, and the pings that announce them.

Sources: https://airtable.com/developers/web/api (webhooks overview, list webhook payloads, webhooks payload).
"""

import hmac
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson

WEEK_S = 7 * 86_400.0


def _written(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Change:
    """What one action did to a table's records. `created` has each one's time of birth."""

    created: dict[str, float] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)

    def rendered(self) -> dict[str, Any]:
        """Cells are left out: their format is the webhooks' own, and nobody may take them for those of the API."""
        told: dict[str, Any] = {}
        if self.created:
            told["createdRecordsById"] = {
                key: {"createdTime": _written(at), "cellValuesByFieldId": {}} for key, at in self.created.items()
            }
        if self.changed:
            told["changedRecordsById"] = {key: {"current": {"cellValuesByFieldId": {}}} for key in self.changed}
        if self.destroyed:
            told["destroyedRecordIds"] = self.destroyed
        return told


@dataclass
class Webhook:
    """A webhook and what it has gathered: (moment from which it shows, moment, payload), the first having the number
    `first`."""

    id: str
    specification: dict[str, Any]
    url: str | None
    expires: float
    secret: str
    enabled: bool = True
    first: int = 1
    _payloads: list[tuple[float, float, dict[str, Any]]] = field(default_factory=list)

    @property
    def next(self) -> int:
        return self.first + len(self._payloads)

    def append(self, table_id: str, change: Change, now: float, lag_s: float) -> None:
        self._append(table_id, {"changedTablesById": {table_id: change.rendered()}}, now, lag_s)

    def dropped(self, table_id: str, now: float, lag_s: float) -> None:
        self._append(table_id, {"destroyedTableIds": [table_id]}, now, lag_s)

    def _append(self, table_id: str, told: dict[str, Any], now: float, lag_s: float) -> None:
        filters = self.specification.get("options", {}).get("filters", {})
        elsewhere = filters.get("recordChangeScope", table_id) != table_id
        if not self.alive(now) or "tableData" not in filters.get("dataTypes", ()) or elsewhere:
            return
        payload = {
            "timestamp": _written(now),
            "baseTransactionNumber": self.next,
            "actionMetadata": {"source": "client"},
            "payloadFormat": "v0",
            **told,
        }
        self._payloads.append((now + lag_s, now, payload))

    def alive(self, now: float) -> bool:
        return self.enabled and now < self.expires

    def listed(self, cursor: int, limit: int, now: float, kept_s: float = WEEK_S) -> dict[str, Any]:
        """An answer of list webhook payloads. What is older than a week is gone; what is late holds back what follows.
        Asking keeps the webhook alive."""
        while self._payloads and self._payloads[0][1] < now - kept_s:
            self._payloads.pop(0)
            self.first += 1
        if self.alive(now):
            self.expires = now + WEEK_S
        at = max(cursor, self.first) - self.first
        ready = [payload for shows, _, payload in self._ready(at, now)]
        found = ready[:limit]
        following = max(cursor, self.first) + len(found) if found else cursor
        return {"payloads": found, "cursor": following, "mightHaveMore": len(ready) > len(found)}

    def _ready(self, at: int, now: float) -> list[tuple[float, float, dict[str, Any]]]:
        for number, (shows, _, _) in enumerate(self._payloads):
            if shows > now:
                return self._payloads[at:number]
        return self._payloads[at:]

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "areNotificationsEnabled": self.url is not None,
            "cursorForNextPayload": self.next,
            "expirationTime": _written(self.expires),
            "isHookEnabled": self.enabled,
            "lastNotificationResult": None,
            "lastSuccessfulNotificationTime": None,
            "notificationUrl": self.url,
            "specification": self.specification,
        }

    def ping(self, base_id: str, now: float) -> tuple[bytes, dict[str, str]]:
        """What is sent to the notification URL: a body and its headers."""
        told = {"base": {"id": base_id}, "webhook": {"id": self.id}, "timestamp": _written(now)}
        body = orjson.dumps(told)
        return body, {"Content-Type": "application/json", "X-Airtable-Content-MAC": signature(self.secret, body)}


def signature(secret: str, body: bytes) -> str:
    """The value of `X-Airtable-Content-MAC`; the secret is in base64."""
    return f"hmac-sha256={hmac.new(b64decode(secret), body, sha256).hexdigest()}"


def made_secret(webhook_id: str) -> str:
    return b64encode(sha256(webhook_id.encode()).digest()).decode()
