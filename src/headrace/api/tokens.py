"""/v1/api-tokens"""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from pydantic import Field
from starlette.requests import Request

from headrace.api import shapes
from headrace.api.answers import Json, deleted, nothing_but
from headrace.api.auth import Admin
from headrace.api.body import Fields, JsonBody
from headrace.api.change import AdminChange
from headrace.api.fields import Distinct, Id, Moment, Name
from headrace.api.paging import Paging
from headrace.api.queries import DryRun
from headrace.api.services import services_of
from headrace.clock import iso
from headrace.control import streams, tokens
from headrace.control.tokens import ApiToken, Scope
from headrace.errors import Invalid, NotFound
from headrace.ids import parse_uuid

router = APIRouter(tags=["API tokens"])


class TokenCreate(Fields):
    """`stream_ids` left out or null: every stream of the organisation. `expires_at` left out or null: never.
    `requests_per_minute` left out or null: no limit."""

    output_only = frozenset({"id", "org_id", "token", "last_used_at", "created_at"})

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1), Distinct]
    stream_ids: Annotated[list[Id], Field(min_length=1, max_length=1000), Distinct] | None = None
    expires_at: Moment | None = None
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


async def _path_token_id(id: Annotated[str, Path(description="The token's id.")]) -> UUID:  # noqa: A002
    token_id = parse_uuid(id)
    if token_id is None:
        raise NotFound("There is no such API token: its id is malformed. List those there are with GET /v1/api-tokens.")
    return token_id


PathTokenId = Annotated[UUID, Depends(_path_token_id)]


def render(token: ApiToken) -> Mapping[str, Any]:
    return {
        "id": str(token.id),
        "org_id": str(token.org_id),
        "name": token.name,
        "scopes": token.scopes,
        "stream_ids": None if token.stream_ids is None else [str(id_) for id_ in token.stream_ids],
        "requests_per_minute": token.requests_per_minute,
        "expires_at": token.expires_at and iso(token.expires_at),
        "last_used_at": token.last_used_at and iso(token.last_used_at),
        "created_at": iso(token.created_at),
    }


@router.post("/v1/api-tokens", response_model=shapes.NewToken)
async def create_token(change: AdminChange, body: Annotated[TokenCreate, Depends(JsonBody(TokenCreate))]) -> Json:
    """Make an API token. Its secret is shown in this answer only."""
    async with change.transaction() as tx:
        if body.expires_at is not None and body.expires_at <= tx.now:
            raise Invalid({"expires_at": ["must be in the future"]})
        await _check_streams(tx.conn, tx.principal.org_id, body.stream_ids)
        token, secret = await tokens.create(
            tx.conn,
            tx.principal.org_id,
            body.name,
            body.scopes,
            tx.now,
            stream_ids=body.stream_ids,
            expires_at=body.expires_at,
            requests_per_minute=body.requests_per_minute,
        )
        return tx.answer(dict(render(token)), object_id=token.id, once={"token": secret})


@router.get("/v1/api-tokens", response_model=shapes.Tokens)
async def list_tokens(request: Request, principal: Admin, page: Paging) -> Json:
    """List the organisation's API tokens, without their secrets."""
    async with services_of(request).db.api.acquire() as conn:
        rows = await tokens.list_(conn, principal.org_id, limit=page.limit + 1, after=page.after)
    return page.answer(rows, render)


@router.get("/v1/api-tokens/{id}", response_model=shapes.TokenObject)
async def get_token(request: Request, principal: Admin, token_id: PathTokenId) -> Json:
    """One API token, without its secret."""
    async with services_of(request).db.api.acquire() as conn:
        return Json(render(await tokens.get(conn, principal.org_id, token_id)))


@router.delete("/v1/api-tokens/{id}", response_model=shapes.Deleted | shapes.Plan)
async def revoke_token(change: AdminChange, token_id: PathTokenId, dry_run: DryRun = False) -> Json:
    """Revoke an API token: within a second no process takes it any more."""
    change.after_commit(change.services.callers.forget)
    async with change.transaction() as tx:
        await tokens.revoke(tx.conn, tx.principal.org_id, token_id, tx.now)
        return tx.plan(nothing_but(token_id)) if dry_run else tx.answer(deleted(token_id))


async def _check_streams(conn: Any, org_id: UUID, stream_ids: list[UUID] | None) -> None:
    if stream_ids is None:
        return
    held = {stream.id for stream in await streams.list_(conn, org_id, limit=len(stream_ids), among=stream_ids)}
    missing = [str(id_) for id_ in stream_ids if id_ not in held]
    if missing:
        raise Invalid({"stream_ids": [f"names no stream of the organisation: {', '.join(missing)}"]})
