"""/v1/collections: what an account holds, fixed collections and those found in it."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from headrace.api import refreshing
from headrace.api.answers import Json, verbatim
from headrace.api.auth import Caller, Read
from headrace.api.change import AdminChange
from headrace.api.collection_schemas import dressed, fields
from headrace.api.credential_shapes import CollectionObject, Collections, RefreshObject
from headrace.api.credentials import path_credential
from headrace.api.paging import MOST, listed
from headrace.api.services import Services, services_of
from headrace.clock import iso
from headrace.db.pool import Conn
from headrace.errors import BadRequest, NotFound
from headrace.providers.kit import Collection
from headrace.vault import collections
from headrace.vault.collections import AccountCollection, Refresh
from headrace.vault.credentials import Credential

router = APIRouter(tags=["collections"])

Include = Annotated[
    Literal["upstream_metadata"] | None, Query(description="What the provider tells of each field, beside ours.")
]


async def _credential(
    credential_id: Annotated[str, Path(description="The credential's id.")], request: Request, principal: Caller
) -> Credential:
    return await path_credential(credential_id, request, principal)


PathCredential = Annotated[Credential, Depends(_credential)]


@dataclass(frozen=True, slots=True)
class Shown:
    """A collection to be shown: one of the provider's, or one of the account's own."""

    id: str
    name: str
    upstream_id: str
    schema: Mapping[str, Any]
    scope: Literal["provider", "credential"]

    def render(self, include: str | None) -> dict[str, Any]:
        schema = dressed(self.schema, self.scope, upstream_metadata=include == "upstream_metadata")
        return {
            "id": self.id,
            "name": self.name,
            "upstream_id": self.upstream_id,
            "schema": schema,
            "fields": fields(schema),
        }


@router.get("/v1/collections/{credential_id}", response_model=Collections)
async def list_collections(
    request: Request,
    _principal: Read,
    credential: PathCredential,
    include: Include = None,
    limit: Annotated[int, Query(ge=1, le=MOST, description="At most so many.")] = MOST,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> Json:
    """The collections of a credential's account, by id."""
    services = services_of(request)
    async with services.db.api.acquire() as conn:
        found = await _all(conn, services, credential)
    after = "" if cursor is None else _place(cursor)
    left = [found[id_] for id_ in sorted(found) if id_ > after]
    page = left[:limit]
    return listed([each.render(include) for each in page], _cursor(page[-1].id) if len(left) > limit else None)


@router.get("/v1/collections/{credential_id}/{collection_id}", response_model=CollectionObject)
async def get_collection(
    request: Request,
    _principal: Read,
    credential: PathCredential,
    collection_id: Annotated[str, Path(description="The collection's id.")],
    include: Include = None,
) -> Json:
    """One collection."""
    services = services_of(request)
    async with services.db.api.acquire() as conn:
        found = await _one(conn, services, credential, collection_id)
    if found is None:
        raise NotFound(
            f"This credential's account has no such collection. List those it has with "
            f"GET /v1/collections/{credential.id}; POST …/refresh/start looks for new ones."
        )
    return Json(found.render(include))


@router.post("/v1/collections/{credential_id}/refresh/start", response_model=RefreshObject)
async def start_refresh(change: AdminChange, credential: PathCredential) -> Json:
    """Look anew which collections the account has. One that is under way goes on."""
    async with change.transaction() as tx:
        if await collections.start(tx.conn, credential.org_id, credential.id, tx.now):
            change.after_commit(
                lambda: change.services.background.begin(refreshing.refresh(change.services, credential, tx.now))
            )
        state = await collections.refresh_of(tx.conn, credential.org_id, credential.id, tx.now)
        return tx.answer(_rendered(credential, state))


@router.get("/v1/collections/{credential_id}/refresh/status", response_model=RefreshObject)
async def refresh_status(request: Request, _principal: Read, credential: PathCredential) -> Json:
    """How the last refresh stands."""
    services = services_of(request)
    async with services.db.api.acquire() as conn:
        state = await collections.refresh_of(conn, credential.org_id, credential.id, services.db.clock.now())
    if state is None:
        raise NotFound(
            f"The collections of this credential were never refreshed. "
            f"Start with POST /v1/collections/{credential.id}/refresh/start."
        )
    return Json(_rendered(credential, state))


async def _all(conn: Conn, services: Services, credential: Credential) -> dict[str, Shown]:
    """By id: the provider's, and over them what was found in the account (a fixed one with the account's own fields
    comes in its place)."""
    provider = services.providers.get(credential.provider)
    fixed = provider.collections if provider is not None else ()
    found = await collections.list_(conn, credential.org_id, credential.id)
    return {**{each.id: _fixed(each) for each in fixed}, **{own.id: _own(own) for own in found}}


async def _one(conn: Conn, services: Services, credential: Credential, collection_id: str) -> Shown | None:
    if "\0" in collection_id:  # for which PostgreSQL cannot even be asked
        return None
    own = await collections.get(conn, credential.org_id, credential.id, collection_id)
    if own is not None:
        return _own(own)
    provider = services.providers.get(credential.provider)
    fixed = provider.collection(collection_id) if provider is not None else None
    return None if fixed is None else _fixed(fixed)


def _fixed(found: Collection) -> Shown:
    return Shown(found.id, found.name, found.id, found.schema(), "provider")


def _own(found: AccountCollection) -> Shown:
    return Shown(found.id, found.name, found.upstream_id, orjson.loads(found.schema), "credential")


def _rendered(credential: Credential, state: Refresh | None) -> dict[str, Any]:
    assert state is not None
    return {
        "credential_id": str(credential.id),
        "last_started_at": None if state.last_started_at is None else iso(state.last_started_at),
        "last_succeeded_at": None if state.last_succeeded_at is None else iso(state.last_succeeded_at),
        "status": state.status,
        "error": None if state.error is None else verbatim(state.error),
    }


def _cursor(id_: str) -> str:
    return base64.urlsafe_b64encode(id_.encode()).decode().rstrip("=")


def _place(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadRequest(
            "The query parameter 'cursor' is none of ours: give the 'next_cursor' of the page before, or leave it out."
        ) from None
