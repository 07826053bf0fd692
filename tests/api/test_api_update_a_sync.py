"""The document "Update a sync" of the original: its request is taken as it stands, and every field is answered."""

from datetime import datetime
from typing import Any

import pytest
from callers import Caller

from headrace.api.services import Services
from headrace.providers.stripe import STRIPE


@pytest.fixture
async def sync(admin: Caller, services: Services, stream: dict[str, Any]) -> dict[str, Any]:
    services.providers = {**services.providers, STRIPE.slug: STRIPE}
    credential = await admin.ok(
        "POST",
        "/v1/credentials",
        {
            "properties": {"kind": "stripe_key", "name": "TEST ACCOUNT", "secret": "sk_test_1", "test": True},
            "metadata": {"custom_credential_property": 42},
        },
        params={"verify": "false"},
    )
    made: dict[str, Any] = await admin.ok(
        "POST",
        "/v1/syncs",
        {
            "provider": "stripe",
            "stream_id": stream["id"],
            "name": "Choam Corp",
            "collection_ids": ["stripe:customer"],
            "credential_id": credential["id"],
        },
    )
    return made


async def test_the_documents_request_and_answer(admin: Caller, sync: dict[str, Any]) -> None:
    body = b"""{
      "name": "Choam Corp - Stripe Production",
      "collection_ids": ["stripe:customer", "stripe:invoice"],
      "status": "active",
      "rate_limit": {
        "allowed_requests": 100,
        "interval": 60,
        "max_concurrent_requests": 0
      },
      "metadata": { "custom_property": 42 }
    }"""
    answer = await admin("PATCH", f"/v1/syncs/{sync['id']}", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    shown = answer.json()
    assert shown["name"] == "Choam Corp - Stripe Production"
    assert shown["collection_ids"] == ["stripe:customer", "stripe:invoice"]
    assert shown["status"] == "active"
    assert shown["rate_limit"] == {"allowed_requests": 100, "interval": 60, "max_concurrent_requests": 0}
    assert shown["metadata"] == {"custom_property": 42}
    for name in ("id", "provider", "stream_id", "org_id", "credential_id", "sync_frequency", "max_age_days"):
        assert shown[name] == sync[name]
    assert shown["health"].items() >= {"status": "initializing", "sync_id": sync["id"]}.items()
    assert shown["initial_backfill_completed_at"] is None
    credential = shown["credential"]
    assert (
        credential["properties"].items()
        >= {
            "kind": "stripe_key",
            "name": "TEST ACCOUNT",
            "secret": "***********",
            "test": True,
        }.items()
    )
    assert (credential["oauth_app_id"], credential["oauth_app"]) == (None, {"kind": "sequin"})
    assert credential["metadata"] == {"custom_credential_property": 42}
    for holder in (shown, credential):
        for name in ("created_at", "updated_at"):
            assert datetime.fromisoformat(holder[name]).tzinfo is not None
    assert "sk_test_1" not in answer.text


async def test_without_a_rate_limit_the_providers_default_is_in_force(admin: Caller, sync: dict[str, Any]) -> None:
    allowed, interval = STRIPE.default_rate_limit("test")
    assert sync["rate_limit"]["allowed_requests"] == allowed
    assert sync["rate_limit"]["interval"] == interval
