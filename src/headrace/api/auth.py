"""Who is calling, and whether the token's scope reaches.

A route declares what it needs by the type of its argument: `Admin`, `Read` want a token for the whole organisation;
`StreamAdmin`, `StreamRead` and `Consume` also take one that is limited to streams, and the route then shows and
touches only what belongs to those.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Depends
from starlette.requests import Request

from headrace.api.queries import check_query
from headrace.api.services import services_of
from headrace.control import tokens
from headrace.control.tokens import Principal, Scope
from headrace.errors import Forbidden, NotFound, Unauthorized


async def caller(request: Request) -> Principal:
    """Whose bearer token the request carries. Raises Unauthorized, and TooManyRequests beyond the token's limit."""
    principal = await identified(request)
    request.state.principal = principal
    await services_of(request).allowances.spend(principal)
    return principal


async def identified(request: Request) -> Principal:
    """Whose bearer token the request carries; asked again later, whose it is then. Raises Unauthorized."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    bearer = bearer.strip()
    if scheme.lower() != "bearer" or not bearer:
        raise Unauthorized("This needs an API token: send it as 'Authorization: Bearer <token>'.")
    services = services_of(request)

    async def load() -> Principal:
        async with services.db.api.acquire() as conn:
            return await tokens.authenticate(conn, bearer, services.db.clock.now())

    return await services.callers.get(tokens.hash_of(bearer), load)


Caller = Annotated[Principal, Depends(caller)]
"""Who is calling, whatever the scope: for dependencies that come after the one which checks it."""


def require(principal: Principal, scope: Scope, *, whole_org: bool) -> None:
    """Raises Forbidden when the token does not reach."""
    if not principal.may(scope):
        has = ", ".join(sorted(principal.scopes))
        raise Forbidden(
            f"This needs a token with the scope '{scope}'; this one has: {has}. Ask an admin for another one."
        )
    if whole_org and principal.stream_ids is not None:
        raise Forbidden(
            "This needs a token for the whole organisation; this one is limited to some streams. "
            "Ask an admin for another one."
        )


def require_stream(principal: Principal, stream_id: UUID, what: str, id_: UUID) -> None:
    """Raises NotFound when the token is limited to other streams: what it may not see is not there for it."""
    if not principal.reaches(stream_id):
        raise NotFound(f"There is no {what} {id_} that this token may see: it is limited to some streams.")


class Needs:
    """The dependency: authenticates, checks the scope, and refuses query parameters that the route does not know."""

    def __init__(self, scope: Scope, *, whole_org: bool = True) -> None:
        self.scope = scope
        self.whole_org = whole_org

    async def __call__(self, request: Request, principal: Caller) -> Principal:
        require(principal, self.scope, whole_org=self.whole_org)
        check_query(request)
        return principal


Admin = Annotated[Principal, Depends(Needs("admin"))]
Read = Annotated[Principal, Depends(Needs("read"))]
StreamAdmin = Annotated[Principal, Depends(Needs("admin", whole_org=False))]
StreamRead = Annotated[Principal, Depends(Needs("read", whole_org=False))]
Consume = Annotated[Principal, Depends(Needs("consume", whole_org=False))]
