"""Webhooks in: genuine ones make the sync look at once, others do nothing."""

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from callers import Caller, until

from headrace.api.services import Services

SIGNED = {"X-Shop-Signature": "whsec_1"}


@pytest.fixture
async def sync(admin: Caller, stream: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = await admin.ok(
        "POST",
        "/v1/syncs",
        {
            "provider": "shop",
            "stream_id": stream["id"],
            "name": "x",
            "collection_ids": ["shop:order"],
            "credential": {"properties": {"kind": "shop_key", "secret": "sk_1"}},
        },
    )
    return made


async def address(admin: Caller, sync: dict[str, Any], signing_secret: str = "whsec_1") -> str:
    answer = await admin.ok("PUT", f"/v1/syncs/{sync['id']}/webhook", {"signing_secret": signing_secret})
    return urlsplit(answer["url"]).path


async def hinted(services: Services, sync: dict[str, Any]) -> bool:
    at = await services.db.api.fetchval("select hinted_at from sync_states where sync_id = $1", UUID(sync["id"]))
    return at is not None


async def test_a_genuine_webhook_is_a_hint_and_wakes_the_engine(
    admin: Caller, sync: dict[str, Any], services: Services
) -> None:
    path = await address(admin, sync)
    heard: list[str] = []
    await services.db.listen("headrace_sync", heard.append)
    assert await admin.ok("POST", path, {"any": "thing"}, headers=SIGNED) == {"received": True}
    assert await hinted(services, sync)

    async def came() -> bool:
        return sync["id"] in heard

    await until(came)


async def test_what_a_webhook_names_is_kept_to_be_fetched(
    admin: Caller, sync: dict[str, Any], services: Services
) -> None:
    path = await address(admin, sync)
    for _ in range(2):  # it may come twice
        await admin.ok("POST", path, {"gone": ["ord_1"]}, headers=SIGNED)
    rows = await services.db.api.fetch("select * from set_aside where sync_id = $1", UUID(sync["id"]))
    assert [(row["collection_id"], row["upstream_id"], row["hint"], row["forget"]) for row in rows] == [
        ("shop:order", "ord_1", True, True)
    ]


@pytest.mark.parametrize("odd", ["ord\0 2", "ord%00 2"])
async def test_an_id_that_cannot_be_asked_for_is_left_to_the_reading_that_is_due_at_once(
    admin: Caller, sync: dict[str, Any], services: Services, odd: str
) -> None:
    """What is kept holds no U+0000, which JSON can name; it would be kept as `%00`."""
    path = await address(admin, sync)
    await admin.ok("POST", path, {"gone": [odd, "ord_1"]}, headers=SIGNED)
    rows = await services.db.api.fetch("select upstream_id from set_aside where sync_id = $1", UUID(sync["id"]))
    assert [row["upstream_id"] for row in rows] == ["ord_1"]
    assert await hinted(services, sync)


@pytest.mark.parametrize("headers", [{}, {"X-Shop-Signature": "whsec_2"}])
async def test_a_webhook_that_is_not_genuine_does_nothing(
    admin: Caller, sync: dict[str, Any], services: Services, headers: dict[str, str]
) -> None:
    path = await address(admin, sync)
    await admin.fails(400, "POST", path, {}, headers=headers)
    assert not await hinted(services, sync)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"<html>"])
async def test_a_webhook_that_cannot_be_read_is_a_400_and_does_nothing(
    admin: Caller, sync: dict[str, Any], services: Services, body: bytes
) -> None:
    path = await address(admin, sync)
    refused = await admin.fails(400, "POST", path, content=body, headers=SIGNED)
    assert "cannot be read as one of shop" in refused["summary"]
    assert not await hinted(services, sync)


async def test_the_signed_address_is_the_public_one_with_its_query(admin: Caller, sync: dict[str, Any]) -> None:
    path = await address(admin, sync)
    public = f"https://headrace.example{path}?portal=1%202"
    await admin.ok("POST", f"{path}?portal=1%202", {}, headers={**SIGNED, "X-Shop-Url": public})


async def test_an_address_without_its_secret_takes_nothing(
    admin: Caller, sync: dict[str, Any], services: Services
) -> None:
    path = await address(admin, sync)
    for wrong in (f"/webhooks/{sync['id']}/x", f"/webhooks/{uuid4()}/{path.rsplit('/')[-1]}", "/webhooks/x/y"):
        await admin.fails(404, "POST", wrong, {}, headers=SIGNED)
    assert not await hinted(services, sync)


async def test_a_new_address_voids_the_older_one(admin: Caller, sync: dict[str, Any]) -> None:
    older = await address(admin, sync)
    newer = await address(admin, sync, "whsec_3")
    await admin.fails(404, "POST", older, {}, headers=SIGNED)
    await admin.ok("POST", newer, {}, headers={"X-Shop-Signature": "whsec_3"})


async def test_a_deleted_sync_takes_no_webhooks(admin: Caller, sync: dict[str, Any]) -> None:
    path = await address(admin, sync)
    await admin.ok("DELETE", f"/v1/syncs/{sync['id']}")
    await admin.fails(404, "POST", path, {}, headers=SIGNED)


async def test_a_webhook_needs_no_token(admin: Caller, sync: dict[str, Any]) -> None:
    path = await address(admin, sync)
    await admin.ok("POST", path, {}, headers={**SIGNED, "Authorization": ""})
