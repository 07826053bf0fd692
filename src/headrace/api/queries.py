"""Query parameters: known by name, or refused.

A misspelt `dry_run` or `collection_id` must not turn a question, or the removal of a part, into the removal of
everything.
"""

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from fastapi import Query
from fastapi.dependencies.models import Dependant
from pydantic import AfterValidator, WithJsonSchema
from starlette.requests import Request

from headrace import jsontext
from headrace.errors import BadRequest
from headrace.ids import parse_uuid


def check_query(request: Request) -> None:
    """Raises BadRequest for a parameter that the request's route does not know, given twice, or holding U+0000."""
    given = request.query_params
    if not given:
        return
    known = sorted(set(_names(request.scope["route"].dependant)))
    for name, value in given.multi_items():
        if name not in known:
            takes = f"it takes: {', '.join(known)}" if known else "it takes none"
            raise BadRequest(f"This route knows no query parameter '{name[:100]}'; {takes}.")
        if "\0" in value:
            raise BadRequest(f"The query parameter '{name}' holds the character U+0000; leave it out.")
    for name in given:
        if len(given.getlist(name)) > 1:
            raise BadRequest(f"The query parameter '{name}' is given more than once; give it once.")


def _names(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        yield parameter.alias
    for inner in dependant.dependencies:
        yield from _names(inner)


def _id(text: str) -> str:
    if parse_uuid(text) is None:
        raise ValueError("must be an id (a UUID)")
    return text


def _json_object(text: str) -> str:
    try:
        value = jsontext.loads(text)
    except (jsontext.NotJson, jsontext.NotStorable) as error:
        raise ValueError(f"must be a JSON object: {error}") from None
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")
    return text


IdText = Annotated[str, AfterValidator(_id), WithJsonSchema({"type": "string", "format": "uuid"})]
"""An id in a query, as text: `as_id` makes it one."""

MetadataFilter = Annotated[
    str | None,
    Query(description="A JSON object that the metadata must contain."),
    AfterValidator(lambda text: None if text is None else _json_object(text)),
]
"""`metadata={json}`: containment, as PostgreSQL's `@>`."""

DryRun = Annotated[
    bool,
    Query(description="Answer with the plan of what would be done, and change nothing."),
]


def as_id(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)
