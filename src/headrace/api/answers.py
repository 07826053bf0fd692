"""Answers: JSON with spliced metadata, and errors in the contract's one form."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from orjson import Fragment
from starlette.responses import Response

from headrace import jsontext
from headrace.errors import HeadraceError, Invalid, TooManyRequests, Unauthorized


class Json(Response):
    """A JSON answer. `orjson.Fragment`s in `content` are spliced as they are."""

    media_type = "application/json"

    def __init__(self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status, headers)

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else jsontext.dumps(content)


def verbatim(text: str) -> Fragment:
    """JSON text of the database, to be spliced into an answer with every digit."""
    return Fragment(text)


def problem(error: HeadraceError) -> Json:
    """The answer that tells of an error."""
    if isinstance(error, Invalid):
        return Json({"summary": error.summary, "validation_errors": error.errors}, error.status)
    headers = None
    if isinstance(error, TooManyRequests):
        headers = {"Retry-After": str(max(1, round(error.retry_after)))}
    elif isinstance(error, Unauthorized):
        headers = {"WWW-Authenticate": "Bearer"}  # RFC 9110 §11.6.1: a 401 names a way in
    return Json({"summary": error.summary}, error.status, headers)


def nothing_but(*affected: UUID) -> dict[str, Any]:
    """The plan of a change that reads nothing again and removes no record."""
    return {"dry_run": True, "backfill": [], "purge": [], "affects": [str(id_) for id_ in affected]}


def deleted(id_: UUID) -> dict[str, Any]:
    return {"id": str(id_), "deleted": True}
