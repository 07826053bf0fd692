"""Holds each answer that a test gets against the OpenAPI document."""

import json
import re
from functools import cache
from typing import Any

import httpx2
import jsonschema
from fastapi import FastAPI


class Document:
    """The document of an app, ready to be asked about an answer."""

    def __init__(self, app: FastAPI) -> None:
        spec: dict[str, Any] = json.loads(json.dumps(app.openapi()))
        self._components = spec["components"]
        self._paths = [
            (re.compile(re.sub(r"{(\w+)}", "[^/]+", path) + "$"), operations)
            for path, operations in sorted(spec["paths"].items(), key=lambda item: item[0].count("{"))
        ]

    def check(self, method: str, path: str, answer: httpx2.Response) -> None:
        """Fails when the document knows the operation, and not this answer of it."""
        operation = self._operation(method, path)
        if operation is None or not answer.headers.get("content-type", "").startswith("application/json"):
            return
        status = str(answer.status_code)
        if status == "500":
            return  # a fault of ours, which only some tests provoke
        assert status in operation["responses"], f"{method} {path}: {status} is not declared: {answer.text}"
        content = operation["responses"][status].get("content", {})
        if "application/json" in content:
            self._validator(json.dumps(content["application/json"]["schema"])).validate(answer.json())

    def _operation(self, method: str, path: str) -> Any:
        for pattern, operations in self._paths:
            if pattern.match(path) and method.lower() in operations:
                return operations[method.lower()]
        return None

    @cache  # noqa: B019 - lives as long as the session's one document
    def _validator(self, schema: str) -> jsonschema.Draft202012Validator:
        return jsonschema.Draft202012Validator({**json.loads(schema), "components": self._components})
