"""The application: every route of the contract, and the layers that each request passes.

From the outside in: `Access` (metrics, log, what nobody foresaw), `BodyLimit`, `BodyOnGet`, then the routes. All are
plain ASGI; the consume routes pass nothing else.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from headrace import __version__
from headrace.api import (
    audit,
    collections,
    consume,
    consumer_actions,
    consumers,
    credentials,
    docs,
    events,
    later,
    link,
    oauth_apps,
    orgs,
    problems,
    providers,
    records,
    service,
    streams,
    sync_actions,
    syncs,
    tokens,
    webhooks,
)
from headrace.api.access import Access
from headrace.api.bodies import BodyLimit, BodyOnGet
from headrace.api.change import Replayed
from headrace.api.openapi import document
from headrace.api.services import Services
from headrace.control import idempotency
from headrace.db.pool import AWAY
from headrace.errors import HeadraceError
from headrace.vault import links

log = structlog.get_logger()

_SWEEP_EVERY_S = 600.0
_TALLY_EVERY_S = 5.0
_PASSES: tuple[type[Exception], ...] = (*AWAY, asyncpg.PostgresError)
"""What a later sweep may not meet any more."""

_ROUTERS = (
    link.router,  # before the credentials: start-auth is no credential's id
    later.router,
    streams.router,
    syncs.router,
    sync_actions.router,
    consumers.router,
    consumer_actions.router,
    records.router,
    events.router,
    credentials.router,
    oauth_apps.router,
    collections.router,
    providers.router,
    tokens.router,
    orgs.router,
    audit.router,
    webhooks.router,
    service.router,
)


class Api(FastAPI):
    """FastAPI, with our own OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = document(self.routes)
        return self.openapi_schema


def create_app(services: Services) -> FastAPI:
    """The API on these services. It opens and closes none of them; its lifespan only runs its own housekeeping."""
    app = Api(
        title="Headrace",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        middleware=[Middleware(Access), Middleware(BodyLimit), Middleware(BodyOnGet)],
        exception_handlers={
            HeadraceError: problems.on_headrace_error,
            RequestValidationError: problems.on_query_error,
            Replayed: problems.on_replayed,
            HTTPException: problems.on_http_error,
        },
    )
    # Flat, and the consume routes first: each request tries the routes in turn.
    routes: list[BaseRoute] = [*consume.routes, *docs.routes]
    for router in _ROUTERS:
        routes += router.routes
    app.router.routes = routes
    app.state.services = services
    app.state.methods_of = _methods_of(routes)
    return app


def _methods_of(routes: list[BaseRoute]) -> Callable[[str], set[str]]:
    """Which methods a path takes, by all the routes that match it."""

    def methods(path: str) -> set[str]:
        matching = [route for route in routes if isinstance(route, Route) and route.path_regex.match(path)]
        return {method for route in matching for method in route.methods or ()}

    return methods


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services = app.state.services
    tasks = [asyncio.create_task(_sweep(services)), asyncio.create_task(_write_tally(services))]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await app.state.services.background.stop()


async def _write_tally(services: Services) -> None:
    """Keep what the consumers of this process were given where others find it."""
    while True:
        await asyncio.sleep(_TALLY_EVERY_S)
        try:
            await services.dispatcher.tally.write(services.db)
        except _PASSES as error:
            log.info("tally_put_off", error=type(error).__name__)


async def _sweep(services: Services) -> None:
    """Forget old idempotency keys, and auth links that are over, now and then."""
    while True:
        try:
            async with services.db.api.acquire() as conn:
                now = services.db.clock.now()
                await idempotency.sweep(conn, now)
                await links.sweep(conn, now)
        except _PASSES as error:
            log.warning("idempotency_sweep_failed", error=type(error).__name__)
        await asyncio.sleep(_SWEEP_EVERY_S)
