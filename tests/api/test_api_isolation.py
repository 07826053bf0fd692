"""Organisations are kept apart: what is another's is not there, by whatever route it is asked for."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from callers import NOBODY, Caller, Callers
from fastapi import FastAPI
from shelf import Shelf

from headrace.api.later import LATER
from headrace.api.paging import Page


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


SHARED = {"/v1/providers", "/health", "/ready", "/metrics", "/openapi.json", "/docs"}
"""What is the same for every organisation."""
OWN_SECRET = ("/link/oauth2/", "/webhooks/")
"""What is reached by a secret of its own, whoever asks."""


def routes(app: FastAPI) -> Iterator[tuple[str, str, str]]:
    """(method, path, the beginning of the path) of every route of the document that belongs to somebody."""
    later = {path.replace(":path", "") for path, _ in LATER}
    for path, methods in app.openapi()["paths"].items():
        kind = "/".join(path.split("/")[:3])
        if kind not in SHARED and path not in later and not path.startswith(OWN_SECRET):
            yield from ((method.upper(), path, kind) for method in methods)


def body_for(method: str, path: str, ours: dict[str, str]) -> Any:
    """A body that holds where one is needed, and names what is ours."""
    made = {
        "/v1/syncs": {
            "provider": "shop", "name": "x", "collection_ids": ["shop:order"], "stream_id": ours["/v1/streams"],
            "credential_id": ours["/v1/credentials"],
        },
        "/v1/http-consumers": {"stream_id": ours["/v1/streams"]},
        "/v1/credentials/start-auth": {
            "oauth_app_id": ours["/v1/oauth-apps"], "credential_kind": "stripe_oauth2", "redirect_url": "https://a.example",
        },
    }  # fmt: skip
    if method == "POST" and path in made:
        return made[path]
    return BODIES.get(path.split("/")[-1], {}) if method in ("POST", "PATCH", "PUT") else None


def with_ids(path: str, kind: str, ours: dict[str, str]) -> str:
    target = path.replace("{collection_id}", "shop:order")
    for name in ("id", "credential_id"):
        target = target.replace(f"{{{name}}}", ours.get(kind, ""))
    assert "{" not in target, f"nothing of ours is known for {path}"
    return target


async def test_every_route_with_an_id_answers_404_to_another_organisation(
    app: FastAPI, admin: Caller, stranger: Caller, ours: dict[str, str]
) -> None:
    before = await snapshot(admin, ours)
    tried = set()
    for method, path, kind in routes(app):
        if "{" not in path:
            continue
        told = await stranger.fails(404, method, with_ids(path, kind, ours), body_for(method, path, ours))
        assert "conspicuous" not in json.dumps(told)
        tried.add(kind)
    assert tried == set(ours)
    assert await snapshot(admin, ours) == before


async def test_what_is_another_organisations_cannot_be_named_in_a_body(
    app: FastAPI, admin: Caller, stranger: Caller, ours: dict[str, str]
) -> None:
    before = await snapshot(admin, ours)
    for path in ("/v1/syncs", "/v1/http-consumers", "/v1/credentials/start-auth"):
        errors = await stranger.invalid("POST", path, body_for("POST", path, ours))
        assert errors
    assert await snapshot(admin, ours) == before


@pytest.mark.parametrize("scope", ["admin", "read", "consume"])
async def test_a_token_of_another_stream_sees_and_touches_nothing_of_ours(
    app: FastAPI, admin: Caller, callers: Callers, ours: dict[str, str], scope: str
) -> None:
    """Whatever its scope: what is in a stream that it is not for is not there, and what is the whole organisation's is
    not for it."""
    other = await admin.ok("POST", "/v1/streams", {"slug": "other"})
    limited = await callers.of(admin.org_id, [scope], streams=[UUID(other["id"])])
    before = await snapshot(admin, ours)
    for method, path, kind in routes(app):
        target = with_ids(path, kind, ours)
        answer = await limited(method, target, body_for(method, path, ours))
        shown = answer.text.replace(target.split("/")[3], "") if "{" in path else answer.text
        assert not any(id_ in shown for name, id_ in ours.items() if name != "/v1/streams"), f"{method} {path}: {shown}"
        assert "conspicuous" not in shown
        if "{" in path:
            assert answer.status_code in (403, 404), f"{method} {path}: {answer.status_code} {shown}"
        else:
            reached = {"GET": (200, 403), "POST": (403, 404, 422)}[method]
            assert answer.status_code in reached, f"{method} {path}: {answer.status_code} {shown}"
    assert (await snapshot(admin, ours))[:-1] == before[:-1]  # the audit has what was refused


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


async def test_a_cursor_of_another_organisation_leads_to_nothing_of_ours(
    admin: Caller, stranger: Caller, ours: dict[str, str]
) -> None:
    """A list's cursor is a place in an order, which is the asker's own; a stream's names the stream."""
    for path in (*LISTS, "/v1/audit", "/v1/api-tokens"):
        before = (await stranger.ok("GET", path))["data"]
        for last in ("00000000-0000-7000-8000-000000000000", ours.get(path, NOBODY), "f" * 32):
            cursor = Page(1, None).cursor(UUID(last))
            found = (await stranger.ok("GET", path, params={"cursor": cursor}))["data"]
            assert all(each in before for each in found)
    theirs = await stranger.ok("POST", "/v1/streams", {"slug": "theirs"})
    for path in ("/v1/records", "/v1/events"):
        cursor = (await admin.ok("GET", path, params={"stream_id": ours["/v1/streams"]}))["cursor"]
        for where in ({}, {"stream_id": theirs["id"]}):
            told = await stranger.fails(400, "GET", path, params={"after_cursor": cursor, **where})
            assert "another stream" in told["summary"]


LISTS = ("/v1/streams", "/v1/syncs", "/v1/http-consumers", "/v1/credentials", "/v1/oauth-apps")


async def snapshot(admin: Caller, ours: dict[str, str]) -> list[Any]:
    records = f"/v1/records?stream_id={ours['/v1/streams']}"
    return [await admin.ok("GET", path) for path in (*LISTS, records, "/v1/audit")]
