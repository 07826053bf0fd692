"""Requests made up from the OpenAPI document: every answer keeps to it, and none is a fault of ours."""

import asyncio
from typing import Any

import pytest
import requests
import schemathesis
from callers import Caller
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS: list[CheckFunction] = [
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
]
LONG = ("/v1/syncs/{id}/wait", "/v1/http-consumers/{id}/next")
"""These wait as long as they are asked to."""


def check_all(spec: dict[str, Any], base_url: str, token: str, ids: dict[str, str], mode: GenerationMode) -> int:
    """Try every operation; ids of objects that are there stand in its path."""
    schema = schemathesis.openapi.from_dict(spec)
    session = requests.Session()
    checked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in LONG or operation.definition.raw["summary"] == "Not there yet":
            continue
        known = ids.get("/".join(operation.path.split("/")[:3]))

        @given(case=operation.as_strategy(generation_mode=mode, path_parameters=known and {"id": known}))
        @settings(
            max_examples=10,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
        )
        def check(case: schemathesis.Case) -> None:
            headers = {"Authorization": f"Bearer {token}"}
            answer = case.call(base_url=base_url, session=session, headers=headers, timeout=30)
            case.validate_response(answer, checks=[not_a_server_error, *CHECKS], headers=headers)

        try:
            check()
            checked += 1
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # there is nothing about it that could be wrong
    return checked


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
async def test_every_operation_keeps_to_the_document(
    app: FastAPI, admin: Caller, base_url: str, stream: dict[str, Any], mode: GenerationMode
) -> None:
    consumer = await admin.ok("POST", "/v1/http-consumers", {"stream_id": stream["id"]})
    ids = {"/v1/streams": stream["id"], "/v1/http-consumers": consumer["id"]}
    assert await asyncio.to_thread(check_all, app.openapi(), base_url, admin.token, ids, mode) > 30
