"""The OpenAPI document and the reference page."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema
import pytest
from callers import Caller
from fastapi import FastAPI
from fastapi.routing import APIRoute

from headrace.api.consume import BareRoute


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


@pytest.fixture
def spec(app: FastAPI) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return document


def test_it_is_openapi_3_1_and_its_references_lead_somewhere(spec: dict[str, Any]) -> None:
    assert spec["openapi"].startswith("3.1.")
    for node in nodes(spec):
        if isinstance(reference := node.get("$ref"), str):
            assert reference.removeprefix("#/components/schemas/") in spec["components"]["schemas"], reference
    for schema in spec["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_route_is_in_it(app: FastAPI, spec: dict[str, Any]) -> None:
    routes = [route for route in app.routes if isinstance(route, APIRoute | BareRoute)]
    declared = {(path, method.upper()) for path, methods in spec["paths"].items() for method in methods}
    assert declared == {(route.path_format, method) for route in routes for method in route.methods or ()}


def test_every_operation_is_described_and_named_once(spec: dict[str, Any]) -> None:
    seen: set[str] = set()
    for methods in spec["paths"].values():
        for operation in methods.values():
            assert operation.get("summary") or operation.get("description")
            assert operation["operationId"] not in seen
            seen.add(operation["operationId"])


def test_every_group_of_routes_is_told_of_and_holds_some(spec: dict[str, Any]) -> None:
    told = [tag["name"] for tag in spec["tags"]]
    assert set(told) == {operation["tags"][0] for methods in spec["paths"].values() for operation in methods.values()}
    assert (told[0], told[-1]) == ("streams", "not there yet")


def test_no_example_looks_like_a_secret(spec: dict[str, Any]) -> None:
    assert re.findall(r"\b(?:(?:sk|rk)_(?:live|test)_\w+|hr_\w{8,}|whsec_\w+|Bearer \w+)", json.dumps(spec)) == []


def test_every_parameter_of_a_path_is_declared(spec: dict[str, Any]) -> None:
    for path, methods in spec["paths"].items():
        for operation in methods.values():
            declared = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)", path))


def test_every_route_with_a_token_declares_what_can_go_wrong(spec: dict[str, Any]) -> None:
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            statuses = set(operation["responses"])
            if "security" in operation:
                assert {"401", "403", "503"} <= statuses, path
            if "requestBody" in operation:
                assert {"400", "413", "422"} <= statuses, path
            if "{id}" in path and "501" not in statuses:
                assert "404" in statuses, f"{method} {path}"
    assert "HTTPValidationError" not in json.dumps(spec)


def test_bodies_are_described_by_the_models_that_read_them(spec: dict[str, Any]) -> None:
    fields = spec["components"]["schemas"]["SyncPatch"]
    assert set(fields["properties"]) >= {
        *("name", "collection_ids", "rate_limit", "status", "max_age_days", "sync_frequency", "metadata"),
        *("external_id", "max_poll_ms", "deleted_retention_days"),
    }
    assert "required" not in fields
    assert fields["additionalProperties"] is False
    assert fields["properties"]["health"]["x-output-only"] is True
    assert "credential_id" not in fields["properties"]


async def test_it_is_served_without_a_token(app: FastAPI, spec: dict[str, Any]) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x") as http:
        answer = await http.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == spec


async def test_the_reference_page_loads_nothing_from_another_host(admin: Caller) -> None:
    page = await admin("GET", "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "//" not in re.sub(r"^\s*//.*$", "", page.text, flags=re.MULTILINE)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy
    for attribute in ("src=", "@import", "url(", "<link"):
        assert attribute not in page.text
