"""Organisations are kept apart: what is another's is not there, by whatever route it is asked for."""

import json
from typing import Any

import pytest
from callers import Caller
from fastapi import FastAPI
from fastapi.routing import APIRoute
from shelf import Shelf

from headrace.api.consume import BareRoute


@pytest.fixture
async def ours(admin: Caller, shelf: Shelf) -> dict[str, str]:
    """An object of each kind, by the beginning of its routes' paths."""
    await shelf.put("ord_1", b'{"conspicuous":true}')
    sync = await admin.ok("GET", f"/v1/syncs/{shelf.sync_id}")
    consumer = await admin.ok("POST", "/v1/http-consumers", {"stream_id": sync["stream_id"]})
    app = await admin.ok(
        "POST", "/v1/oauth-apps", {"provider": "stripe", "client_id": "c", "client_secret": "s", "name": "a"}
    )
    (record,) = (await admin.ok("GET", "/v1/records"))["records"]
    (token, *_) = (await admin.ok("GET", "/v1/api-tokens"))["data"]
    return {
        "/v1/streams": sync["stream_id"],
        "/v1/syncs": sync["id"],
        "/v1/http-consumers": consumer["id"],
        "/v1/records": record["id"],
        "/v1/credentials": sync["credential_id"],
        "/v1/collections": sync["credential_id"],
        "/v1/oauth-apps": app["id"],
        "/v1/api-tokens": token["id"],
    }


BODIES: dict[str, Any] = {
    "ack": {"ack_tokens": ["x"]},
    "nack": {"ack_tokens": ["x"]},
    "extend": {"ack_tokens": ["x"]},
    "term": {"ack_tokens": ["x"]},
    "confirm-deletes": {"sweep_id": "01890a5d-ac96-774b-bcce-b302099a8057"},
    "webhook": {"signing_secret": "x"},
}


async def test_every_route_with_an_id_answers_404_to_another_organisation(
    app: FastAPI, admin: Caller, stranger: Caller, ours: dict[str, str]
) -> None:
    before = await snapshot(admin)
    tried = set()
    for route in app.routes:
        if not isinstance(route, APIRoute | BareRoute):
            continue
        path = route.path_format
        kind = "/".join(path.split("/")[:3])
        if kind not in ours or "{" not in path or path.endswith("start-auth"):
            continue
        target = path.replace("{collection_id}", "shop:order")
        for name in ("id", "credential_id"):
            target = target.replace(f"{{{name}}}", ours[kind])
        for method in sorted(route.methods or ()):
            body = BODIES.get(path.split("/")[-1], {}) if method in ("POST", "PATCH", "PUT") else None
            told = await stranger.fails(404, method, target, body)
            assert "conspicuous" not in json.dumps(told)
            tried.add(kind)
    assert tried == set(ours)
    assert await snapshot(admin) == before


async def test_lists_hold_nothing_of_another_organisation(stranger: Caller, ours: dict[str, str]) -> None:
    for path in ("/v1/streams", "/v1/syncs", "/v1/http-consumers", "/v1/credentials", "/v1/oauth-apps", "/v1/audit"):
        assert (await stranger.ok("GET", path))["data"] == []
    (token,) = (await stranger.ok("GET", "/v1/api-tokens"))["data"]
    assert token["id"] != ours["/v1/api-tokens"]
    (org,) = (await stranger.ok("GET", "/v1/orgs"))["data"]
    assert org["id"] == str(stranger.org_id)


async def test_filters_by_another_organisations_ids_find_nothing(stranger: Caller, ours: dict[str, str]) -> None:
    for path, name, of in (
        ("/v1/syncs", "stream_id", "/v1/streams"),
        ("/v1/syncs", "credential_id", "/v1/credentials"),
        ("/v1/http-consumers", "stream_id", "/v1/streams"),
        ("/v1/audit", "object_id", "/v1/streams"),
        ("/v1/audit", "token_id", "/v1/api-tokens"),
    ):
        assert (await stranger.ok("GET", path, params={name: ours[of]}))["data"] == []


async def snapshot(admin: Caller) -> list[Any]:
    paths = ("/v1/streams", "/v1/syncs", "/v1/http-consumers", "/v1/credentials", "/v1/oauth-apps", "/v1/audit")
    return [await admin.ok("GET", path) for path in paths] + [await admin.ok("GET", "/v1/records")]
