"""Secrets on their way out: for an admin, noted in the audit, never kept by what lies between."""

from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request

from headrace.api.answers import Json
from headrace.api.auth import require
from headrace.api.services import services_of
from headrace.control import audit
from headrace.control.tokens import Principal
from headrace.db.pool import Conn

TruncateSecrets = Annotated[bool, Query(description="false shows the secrets themselves; needs an admin token.")]
NO_STORE = {"Cache-Control": "no-store"}


async def note(conn: Conn, request: Request, principal: Principal, object_ids: list[str]) -> None:
    """Allow this caller to be shown the secrets of these objects, and note that. Raises Forbidden."""
    require(principal, "admin", whole_org=True)
    for object_id in object_ids:
        await audit.write(
            conn,
            principal,
            method="GET",
            route=request.scope["route"].path_format,
            status=200,
            now=services_of(request).db.clock.now(),
            object_id=object_id,
            detail='{"secrets": "shown"}',
        )


def answer(content: Any) -> Json:
    return Json(content, headers=NO_STORE)
