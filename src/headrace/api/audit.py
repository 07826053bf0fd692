"""/v1/audit: who did what."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request

from headrace.api import shapes
from headrace.api.answers import Json, verbatim
from headrace.api.auth import Admin
from headrace.api.paging import Paging
from headrace.api.queries import IdText, as_id
from headrace.api.services import services_of
from headrace.clock import iso
from headrace.control import audit
from headrace.control.audit import Entry

router = APIRouter(tags=["audit"])


def render(entry: Entry) -> Mapping[str, Any]:
    return {
        "id": str(entry.id),
        "token_id": None if entry.token_id is None else str(entry.token_id),
        "token_name": entry.token_name,
        "method": entry.method,
        "route": entry.route,
        "object_id": entry.object_id,
        "status": entry.status,
        "detail": None if entry.detail is None else verbatim(entry.detail),
        "at": iso(entry.at),
    }


@router.get("/v1/audit", response_model=shapes.AuditEntries)
async def list_audit(
    request: Request,
    principal: Admin,
    page: Paging,
    token_id: Annotated[IdText | None, Query(description="Of this token only.")] = None,
    object_id: Annotated[str | None, Query(description="Of this object only.")] = None,
    route: Annotated[str | None, Query(description="Of this route only, as its template.")] = None,
) -> Json:
    """Every call that changed something, was refused it, or took secrets out; newest first."""
    async with services_of(request).db.api.acquire() as conn:
        rows = await audit.list_(
            conn,
            principal.org_id,
            limit=page.limit + 1,
            before=page.after,
            token_id=as_id(token_id),
            object_id=object_id,
            route=route,
        )
    return page.answer(rows, render)
