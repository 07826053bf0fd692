"""The OpenAPI of the bare routes in `consume`, made of the models that read their bodies."""

from typing import Any

from headrace.api.body import Fields
from headrace.api.consume import AckFields, NackFields, NextFields, TermFields

_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "description": "The consumer's id."}
_TAGS = ["consuming"]


def _schema(model: type[Fields]) -> dict[str, Any]:
    return model.model_json_schema()


def _query(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": _schema(NextFields)["properties"][name]}


def _next(method: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": _TAGS,
        "summary": "Take messages",
        "description": (
            "Answers with up to `batch_size` messages: at once, or when there are so many, or when `wait_for` "
            "milliseconds are over. Each must be acked within the consumer's `ack_wait_ms`, or it comes again."
        ),
        "operationId": f"next_messages_{method}",
        "parameters": [_ID, _query("batch_size"), _query("wait_for")],
        "responses": {
            "200": {
                "description": "The messages; fewer than asked for, or none, when there were no more.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Messages"}}},
            }
        },
    }
    if method == "post":
        operation["requestBody"] = _body(NextFields, required=False)
    return operation


def _body(model: type[Fields], *, required: bool) -> dict[str, Any]:
    return {"required": required, "content": {"application/json": {"schema": _schema(model)}}}


def _on_tokens(name: str, summary: str, description: str, model: type[Fields]) -> dict[str, Any]:
    return {
        "tags": _TAGS,
        "summary": summary,
        "description": (
            f"{description} A token that is malformed, or another consumer's, is a 400, and then none of the call's "
            "tokens is acted on."
        ),
        "operationId": name,
        "parameters": [_ID],
        "requestBody": _body(model, required=True),
        "responses": {"204": {"description": "Done."}},
    }


_PATH = "/v1/http-consumers/{id}"

PATHS: dict[str, dict[str, dict[str, Any]]] = {
    f"{_PATH}/next": {"get": _next("get"), "post": _next("post")},
    f"{_PATH}/ack": {
        "post": _on_tokens(
            "ack", "Ack messages", "They do not come again. A late ack has no effect and is no error.", AckFields
        )
    },
    f"{_PATH}/nack": {
        "post": _on_tokens(
            "nack", "Give messages back", "They come again now, or after `delay_ms` milliseconds.", NackFields
        )
    },
    f"{_PATH}/extend": {
        "post": _on_tokens("extend", "Keep messages for longer", "Their ack wait begins anew.", AckFields)
    },
    f"{_PATH}/term": {"post": _on_tokens("term", "Set messages aside", "They go to the dead letters.", TermFields)},
}
"""By path and method."""
