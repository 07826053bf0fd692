"""/v1/orgs: organisations are made with the instance token, the first admin token of the installation."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request

from headrace.api import shapes
from headrace.api.answers import Json
from headrace.api.auth import Admin
from headrace.api.body import Fields, JsonBody
from headrace.api.change import AdminChange
from headrace.api.fields import Name
from headrace.api.paging import Paging
from headrace.api.services import services_of
from headrace.clock import iso
from headrace.control import orgs, tokens
from headrace.control.orgs import Org
from headrace.errors import Forbidden

router = APIRouter(tags=["organisations"])


class OrgCreate(Fields):
    output_only = frozenset({"id", "api_token", "created_at"})

    name: Name


def render(org: Org) -> Mapping[str, Any]:
    return {"id": str(org.org_id), "name": org.name, "created_at": iso(org.created_at)}


@router.post("/v1/orgs", response_model=shapes.NewOrg)
async def create_org(change: AdminChange, body: Annotated[OrgCreate, Depends(JsonBody(OrgCreate))]) -> Json:
    """Make an organisation and its first admin token, which is shown in this answer only."""
    if not change.principal.instance:
        raise Forbidden("Only the instance token makes organisations: the one that the first start made or was given.")
    async with change.transaction() as tx:
        org = await orgs.create(tx.conn, body.name, tx.now)
        _, secret = await tokens.create(tx.conn, org.org_id, "first admin", ["admin"], tx.now)
        return tx.answer(dict(render(org)), object_id=org.org_id, once={"api_token": secret})


@router.get("/v1/orgs", response_model=shapes.Orgs)
async def list_orgs(request: Request, principal: Admin, page: Paging) -> Json:
    """List organisations: with the instance token all of them, else the token's own."""
    async with services_of(request).db.api.acquire() as conn:
        if principal.instance:
            rows = await orgs.list_(conn, limit=page.limit + 1, after=page.after)
        else:
            rows = [] if page.after else [await orgs.get(conn, principal.org_id)]
    return page.answer(rows, render, id_of=lambda org: org.org_id)
