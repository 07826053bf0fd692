"""What holds for every route: who may call, what is read, how errors look (http-api.md §1)."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from callers import Caller, Callers
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.api.bodies import _merged
from headrace.api.body import object_of
from headrace.api.consume import BareRoute
from headrace.api.later import LATER

LINK = {f"/link/oauth2/{step}" for step in ("start/{token}", "callback/{provider}", "connected", "token")}
"""Each step of the auth link has a secret of its own."""
OPEN = {"/health", "/ready", "/metrics", "/openapi.json", "/docs"} | LINK
OPEN |= {"/webhooks/{sync_id}/{secret}", "/webhooks/apps/{oauth_app_id}/{secret}"}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of every route that needs a token."""
    found = [route for route in app.routes if isinstance(route, APIRoute | BareRoute)]
    return [
        (method, route.path_format)
        for route in found
        for method in sorted(route.methods or ())
        if route.path_format not in OPEN
    ]


def filled(path: str, id_: str) -> str:
    for name in ("id", "credential_id", "sync_id", "kind", "slug", "provider"):
        path = path.replace(f"{{{name}}}", id_)
    return path.replace("{collection_id}", "shop:order").replace("{path}", "x").replace("{path:path}", "x")


async def test_every_route_wants_a_token(app: FastAPI, callers: Callers, admin: Caller) -> None:
    nobody = callers.with_token("hr_unknown", admin.org_id)
    assert len(routes(app)) > 50
    for method, path in routes(app):
        await nobody.fails(401, method, filled(path, "x"), {} if method in ("POST", "PATCH", "PUT") else None)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic abc", "hr_token", "Bearer \xe4", "Bearer a b"]
)
async def test_a_token_is_sent_as_a_bearer(app: FastAPI, header: str | None) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x") as http:
        headers = [] if header is None else [(b"authorization", header.encode("latin-1"))]
        answer = await http.get("/v1/streams", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer" in answer.json()["summary"]


async def test_the_scheme_may_be_written_in_any_case(app: FastAPI, admin: Caller) -> None:
    await admin.ok("GET", "/v1/streams", headers={"Authorization": f"bearer {admin.token}"})


CONSUME = {"next", "ack", "nack", "extend", "term"}


def needs(method: str, path: str) -> str:
    """The scope that the contract gives to a route."""
    if path.split("/")[-1] in CONSUME:
        return "consume"
    reads = method == "GET" and path not in ("/v1/api-tokens", "/v1/api-tokens/{id}", "/v1/audit", "/v1/orgs")
    return "read" if reads else "admin"


@pytest.mark.parametrize("scope", ["read", "consume"])
async def test_a_scope_reaches_its_own_routes_only(app: FastAPI, callers: Callers, admin: Caller, scope: str) -> None:
    caller = await callers.of(admin.org_id, [scope])
    refused = 0
    for method, path in routes(app):
        answer = await caller(method, filled(path, "x"), {} if method in ("POST", "PATCH", "PUT") else None)
        if answer.status_code == 501:
            continue  # not there yet: nothing to be protected
        expected = needs(method, path) == scope
        assert (answer.status_code != 403) == expected, f"{method} {path} with {scope}: {answer.text}"
        refused += not expected
    assert refused > 20


@pytest.mark.parametrize("body", [b"", b"nope", b"[]", b'"a"', b"1", b"null", b"{", b"\xff", b'{"slug": NaN}'])
async def test_a_body_that_is_no_json_object_is_a_400(admin: Caller, body: bytes) -> None:
    await admin.fails(400, "POST", "/v1/streams", content=body)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"slug": "a", "slug": "b"}', "slug"),
        ('{"slug": "\\ud800"}', "slug"),
        ('{"slug": "\\u0000"}', "slug"),
        ('{"\\ud800": 1}', "body"),
        ('{"slug": {"a": {"b": 1, "b": 1}}}', "slug.a.b"),
        ('{"slug": ' + "[" * 200 + "]" * 200 + "}", "slug"),
        ('{"' + "x" * 5000 + '": 1, "slug": "a"}', "x" * 200),
    ],
)
async def test_what_cannot_be_kept_is_a_422_on_its_field(admin: Caller, body: str, field: str) -> None:
    errors = await admin.fails(422, "POST", "/v1/streams", content=body.encode())
    assert field in errors["validation_errors"]


async def test_a_body_over_4_mib_is_a_413(admin: Caller) -> None:
    large = b'{"slug": "' + b"a" * (4 * 2**20) + b'"}'
    await admin.fails(413, "POST", "/v1/streams", content=large)

    async def chunks() -> Any:
        for start in range(0, len(large), 2**16):
            yield large[start : start + 2**16]

    await admin.fails(413, "POST", "/v1/streams", content=chunks())


async def test_a_body_of_just_under_4_mib_is_read(admin: Caller) -> None:
    start = b'{"slug": "'
    body = start + b"a" * (4 * 2**20 - len(start) - 2) + b'"}'
    assert len(body) == 4 * 2**20
    await admin.fails(422, "POST", "/v1/streams", content=body)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=ten",
        "limit=1.5",
        "limit=",
        "cursor=x",
        "cursor=%00",
        "slug=%00",
        "slug=a&slug=b",
    ],
)
async def test_a_query_parameter_that_does_not_hold_is_a_400(admin: Caller, query: str) -> None:
    name = query.partition("=")[0]
    assert f"'{name}'" in (await admin.fails(400, "GET", f"/v1/streams?{query}"))["summary"]


async def test_an_unknown_query_parameter_is_a_400_that_names_the_known_ones(
    admin: Caller, stream: dict[str, Any]
) -> None:
    """A misspelt `dry_run` must not delete."""
    told = await admin.fails(400, "DELETE", f"/v1/streams/{stream['id']}?dryrun=true")
    assert "'dryrun'" in told["summary"]
    assert "dry_run" in told["summary"]
    await admin.ok("GET", f"/v1/streams/{stream['id']}")


@pytest.mark.parametrize("value", ["maybe", "2", ""])
async def test_dry_run_is_true_or_false(admin: Caller, stream: dict[str, Any], value: str) -> None:
    await admin.fails(400, "DELETE", f"/v1/streams/{stream['id']}", params={"dry_run": value})
    await admin.ok("GET", f"/v1/streams/{stream['id']}")


async def test_a_json_body_on_a_get_is_read_as_query_parameters(admin: Caller) -> None:
    for slug in ("a", "b", "c"):
        await admin.ok("POST", "/v1/streams", {"slug": slug})
    found = await admin.ok("GET", "/v1/streams", {"slug": "b", "limit": 1, "cursor": None})
    assert [one["slug"] for one in found["data"]] == ["b"]
    assert (await admin.ok("GET", "/v1/streams?slug=a", {"slug": "b"}))["data"][0]["slug"] == "a"
    await admin.fails(400, "GET", "/v1/streams", {"limit": "ten"})
    await admin.fails(400, "GET", "/v1/streams", {"colour": "red"})
    await admin.fails(400, "GET", "/v1/streams", content=b"[1]")
    await admin.fails(422, "GET", "/v1/streams", content=b'{"slug": "a", "slug": "b"}')


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)


@given(
    st.dictionaries(
        st.sampled_from(["slug", "name", "metadata", "health", "limit"]),
        st.one_of(
            TEXT,
            st.integers(),
            st.booleans(),
            st.none(),
            st.dictionaries(st.sampled_from(["status", "x y"]), TEXT, max_size=2),
        ),
    )
)
@settings(max_examples=200)
def test_every_filter_of_a_body_arrives_as_it_was_given(given_filters: dict[str, Any]) -> None:
    sent = object_of(json.dumps(given_filters).encode())
    parsed = dict(httpx2.QueryParams(_merged(b"", sent).decode()).multi_items())
    expected: dict[str, str] = {}
    for name, value in given_filters.items():
        if isinstance(value, dict) and name != "metadata":
            expected |= {f"{name}.{inner}": text for inner, text in value.items()}
        elif isinstance(value, str):
            expected[name] = value
        elif value is not None:
            expected[name] = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    assert parsed == expected


async def test_an_unknown_path_is_a_404_and_a_wrong_method_a_405(admin: Caller) -> None:
    await admin.fails(404, "GET", "/v1/nothing")
    await admin.fails(404, "GET", "/v1/streams/")
    await admin.fails(404, "POST", "/")
    answer = await admin("PUT", "/v1/streams", {})
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "POST"}
    assert set(answer.json()) == {"summary"}


async def test_what_is_not_there_yet_is_a_501_that_says_what_to_do(admin: Caller) -> None:
    for (path, methods), summary in LATER.items():
        for method in methods:
            assert (await admin.fails(501, method, filled(path, "x")))["summary"] == summary


def test_the_readme_lists_what_is_not_there_yet() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    for path, _ in LATER:
        assert f"`{path.replace(':path', '')}`" in readme


async def test_targets_are_not_there_under_their_older_name_either(admin: Caller) -> None:
    await admin.fails(501, "GET", "/v1/targets/db")


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(
    admin: Caller, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from headrace.control import streams

    async def broken(*_args: Any, **_options: Any) -> None:
        raise RuntimeError("sk_live_secret")

    monkeypatch.setattr(streams, "list_", broken)
    told = await admin.fails(500, "GET", "/v1/streams")
    assert "sk_live_secret" not in str(told)
    logged = capsys.readouterr().out
    assert "request_failed" in logged
    assert "RuntimeError" in logged
    assert "sk_live_secret" not in logged


async def test_a_database_that_is_away_is_a_503(admin: Caller, services: Any) -> None:
    await services.db.api.close()
    services.callers.forget()
    assert "database" in (await admin.fails(503, "GET", "/v1/streams"))["summary"]
