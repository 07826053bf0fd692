"""The OpenAPI 3.1 document: what FastAPI reads from the routes, and what our own dependencies know.

Nothing is written twice: the body's schema is the model that reads it, the errors of a route follow from what it
depends on, and the bare routes stand in `consume_openapi`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute

from headrace import __version__
from headrace.api import shapes
from headrace.api.auth import caller
from headrace.api.body import Fields, JsonBody
from headrace.api.change import Changes
from headrace.api.consume_openapi import PATHS
from headrace.api.shapes import also

_DESCRIPTION = """\
Headrace keeps a complete, ordered, durable copy of what the APIs of SaaS providers hold, as a stream that is consumed
with acks. A *sync* reads collections of one account into a *stream*; a *consumer* takes its changes with `next` and
`ack`. Times are in UTC, ids are UUIDs, lists are paged with `next_cursor`. `metadata` keeps every digit."""

TAGS: dict[str, str] = {
    "streams": "Where records are kept, in one order.",
    "credentials": "What opens an account at a provider. Secrets are sealed, and read back as stars.",
    "collections": "What an account holds, and the shape of its records.",
    "syncs": "A provider's account, copied into a stream and kept there.",
    "consumers": "A place in a stream, and what is out there.",
    "consuming": "Take messages, and say what became of them.",
    "records": "The copy itself, and what changed in it, without a consumer.",
    "providers": "Whose accounts can be copied, and what each of their collections can do.",
    "oauth apps": "Your own apps at providers, through which tokens are refreshed.",
    "auth link": "Connect an account in a browser: the person signs in at the provider, you get a code.",
    "API tokens": "Who may call this API, and for what.",
    "organisations": "Kept apart from each other. The instance token alone makes them.",
    "audit": "Who changed what, and when.",
    "webhooks in": "Where providers say that something has changed.",
    "service": "For whoever runs Headrace.",
    "not there yet": "These answer 501 and say what to do instead.",
}
"""The groups of routes, in the order in which a newcomer needs them."""

OUTPUT_ONLY = "x-output-only"
"""Marks a name of a body that is taken and ignored. `readOnly` would say that it is refused."""

_REF = "#/components/schemas/"
_MODELS: tuple[type[BaseModel], ...] = (shapes.Problem, shapes.ValidationProblem, shapes.Messages)

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body within 24 hours are answered as the first time, and change nothing again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The document of an app with these routes."""
    made: dict[str, Any] = get_openapi(
        title="Headrace", version=__version__, description=_DESCRIPTION, routes=list(routes)
    )
    components: dict[str, Any] = made.setdefault("components", {})
    schemas: dict[str, Any] = components.setdefault("schemas", {})
    for model in (*_MODELS, *_bodies(routes)):
        schemas |= _schemas(model)
    for route in routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                _complete(made["paths"][route.path_format][method.lower()], route, method)
    for path, operations in PATHS.items():
        for method, operation in operations.items():
            statuses = {400, 401, 403, 404, 413, 422, 429, 503}
            operation["responses"] |= _errors(statuses)
            made["paths"].setdefault(path, {})[method] = operation
            operation["security"] = [{"bearer": []}]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API token, as POST /v1/api-tokens makes it."}
    }
    components["schemas"] = dict(sorted(schemas.items()))
    used = {tag for methods in made["paths"].values() for operation in methods.values() for tag in operation["tags"]}
    made["tags"] = [{"name": name, "description": text} for name, text in TAGS.items() if name in used]
    return made


def _complete(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    """Add what follows from the route's dependencies: body, errors, security, the headers that are read."""
    found = list(_walk(route.dependant))
    calls = [dependant.call for dependant in found]
    statuses = {503}
    parameters: list[dict[str, Any]] = operation.setdefault("parameters", [])
    _declare_path(parameters, route.path_format)
    if parameters:
        statuses |= {400}
    if caller in calls:
        operation["security"] = [{"bearer": []}]
        statuses |= {400, 401, 403, 413, 422, 429}  # a GET too may have a body: its query as JSON
    if "{" in route.path_format:
        statuses |= {404}
    if method in ("POST", "PATCH") and any(isinstance(call, Changes) for call in calls):
        parameters.append(_IDEMPOTENCY_KEY)
    for call in calls:
        if isinstance(call, JsonBody):
            operation["requestBody"] = {
                "required": not call.optional,
                "content": {"application/json": {"schema": {"$ref": _REF + call.model.__name__}}},
            }
    responses: dict[str, Any] = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    operation["responses"] = dict(sorted({**_errors(statuses), **responses}.items()))
    if not parameters:
        del operation["parameters"]


def _declare_path(parameters: list[dict[str, Any]], path: str) -> None:
    declared = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
    for name in re.findall(r"{(\w+)", path):
        if name not in declared:
            parameters.append({"name": name, "in": "path", "required": True, "schema": {"type": "string"}})


def _errors(statuses: Iterable[int]) -> dict[str, Any]:
    return {
        str(status): {
            "description": declared["description"],
            "content": {"application/json": {"schema": {"$ref": _REF + declared["model"].__name__}}},
        }
        for status, declared in sorted(also(*statuses).items())
    }


def _walk(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for inner in dependant.dependencies:
        yield from _walk(inner)


def _bodies(routes: Sequence[BaseRoute]) -> Iterator[type[Fields]]:
    for route in routes:
        if isinstance(route, APIRoute):
            for dependant in _walk(route.dependant):
                if isinstance(dependant.call, JsonBody):
                    yield dependant.call.model


def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    """The schemas of a model and of those in it, by name."""
    schema = model.model_json_schema(ref_template=_REF + "{model}")
    inner: dict[str, Any] = schema.pop("$defs", {})
    if issubclass(model, Fields):
        _add_tolerated(schema, model)
    return {**inner, model.__name__: schema}


def _add_tolerated(schema: dict[str, Any], model: type[Fields]) -> None:
    """Names that are taken beside the fields: output-only ones, which are ignored, and older spellings."""
    properties: dict[str, Any] = schema.setdefault("properties", {})
    for older, present in model.older.items():
        properties[older] = {**properties[present], "deprecated": True, "description": f"Older spelling of {present}."}
    for name in sorted(model.output_only):
        properties[name] = {OUTPUT_ONLY: True, "description": "Ignored, so that what was read can be sent back."}
