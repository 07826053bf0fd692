"""The address of a sync's webhooks, where the provider makes the secret for an address."""

from typing import Any
from urllib.parse import urlsplit

from callers import Caller


async def test_a_secret_that_is_made_for_an_address_leaves_it_standing(admin: Caller, stream: dict[str, Any]) -> None:
    """Airtable and others tell the secret only when they were given the address."""
    shop = {"provider": "shop", "collection_ids": ["shop:order"]}
    credential = {"properties": {"kind": "shop_key", "secret": "sk_1"}}
    sync = await admin.ok(
        "POST", "/v1/syncs", {**shop, "stream_id": stream["id"], "name": "x", "credential": credential}
    )
    path = f"/v1/syncs/{sync['id']}/webhook"
    made = await admin.ok("PUT", path, {"signing_secret": "not known yet"})
    assert await admin.ok("PUT", path, {"signing_secret": "whsec_1", "url": made["url"]}) == made
    received = await admin.ok("POST", urlsplit(made["url"]).path, {}, headers={"X-Shop-Signature": "whsec_1"})
    assert received == {"received": True}

    fresh = await admin.ok("PUT", path, {"signing_secret": "whsec_1"})
    for void in (made["url"], fresh["url"] + "x", "https://elsewhere.example/"):
        await admin.fails(422, "PUT", path, {"signing_secret": "whsec_2", "url": void})
