"""One line a request that matters, figures for every request, and never a secret in either."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest
import structlog
from callers import Caller
from fastapi import FastAPI
from prometheus_client import REGISTRY

Lines = list[Any]


@pytest.fixture
def lines() -> Any:
    with structlog.testing.capture_logs() as captured:
        yield captured


async def test_a_change_leaves_a_line_that_says_who_did_what(admin: Caller, lines: Lines) -> None:
    await admin.ok("POST", "/v1/streams", {"slug": "a"})
    (line,) = [line for line in lines if line["event"] == "http_request"]
    assert line["log_level"] == "info"
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/streams", 200)
    assert line["org_id"] == str(admin.org_id)
    assert line["token_id"]


async def test_a_read_that_goes_well_is_for_debugging_only(admin: Caller, lines: Lines) -> None:
    await admin.ok("GET", "/v1/streams")
    assert [line["log_level"] for line in lines] == ["debug"]


async def test_what_is_not_there_yet_is_nobodys_failure(admin: Caller, lines: Lines) -> None:
    await admin.fails(501, "POST", "/v1/mutations/run", {})
    assert [line["log_level"] for line in lines] == ["info"]


async def test_no_line_holds_a_token_a_query_or_a_body(admin: Caller, lines: Lines) -> None:
    secrets = {"query": uuid4().hex, "body": uuid4().hex, "path": uuid4().hex, "token": admin.token}
    await admin.ok("GET", "/v1/streams", params={"slug": secrets["query"]})
    await admin.fails(422, "POST", "/v1/streams", {secrets["body"]: 1})
    await admin.fails(404, "POST", f"/webhooks/{uuid4()}/{secrets['path']}", {})
    await admin.fails(404, "GET", f"/nowhere/{secrets['path']}")
    assert len(lines) >= 4
    for secret in secrets.values():
        assert secret not in str(lines)
    routes = [line["route"] for line in lines]
    assert "/webhooks/{sync_id}/{secret}" in routes
    assert "none" in routes


def counted(**labels: str) -> float:
    return REGISTRY.get_sample_value("headrace_http_requests_total", labels) or 0.0


async def test_requests_are_counted_by_template_method_and_status(admin: Caller) -> None:
    labels = {"route": "/v1/streams/{id}", "method": "GET", "status": "404"}
    before = counted(**labels)
    await admin.fails(404, "GET", f"/v1/streams/{uuid4()}")
    assert counted(**labels) == before + 1


async def test_no_caller_can_make_new_label_values(app: FastAPI) -> None:
    odd = f"M{uuid4().hex}".upper()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x") as http:
        await http.request(odd, f"/{uuid4().hex}")
        text = (await http.get("/metrics")).text
    assert odd not in text
    assert 'method="other"' in text
