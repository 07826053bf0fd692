"""/health, /ready, /metrics: for whoever runs Headrace. No token is needed."""

import asyncio
from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, disable_created_metrics, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from headrace.api import shapes
from headrace.api.answers import Json
from headrace.api.services import Services, services_of
from headrace.db.trouble import NO_WRITES, PASSING, in_words

router = APIRouter(tags=["service"])

disable_created_metrics()  # type: ignore[no-untyped-call]  # a moment beside each counter: twice the series, and nobody asks for them

_PATIENCE_S = 3.0


@router.get("/health", response_model=shapes.Health)
async def health() -> Json:
    """Whether the process is up and answers. It looks at nothing else."""
    return Json({"status": "up"})


@router.get(
    "/ready",
    response_model=shapes.Ready,
    responses={503: {"model": shapes.Ready, "description": "Not ready; the body says which part and why"}},
)
async def ready(request: Request) -> Json:
    """Whether the process does its work: the database answers and takes writes; its engine, if any, is alive and not
    stalled."""
    services = services_of(request)
    database = await _database(services)
    engine = _engine(services)
    is_ready = database["note"] is None and (engine is None or (engine["alive"] and not engine["stalled"]))
    content = {"ready": is_ready, "role": services.settings.role, "database": database, "engine": engine}
    return Json(content, 200 if is_ready else 503)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics() -> Response:
    """Figures for Prometheus. docs/metrics.md says what each one means."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


async def _database(services: Services) -> dict[str, Any]:
    try:
        async with asyncio.timeout(_PATIENCE_S), services.db.api.acquire() as conn:
            writable = await conn.fetchval("show transaction_read_only") == "off"
    except PASSING as error:
        return {"reachable": False, "note": in_words(error)}
    if not writable:
        await services.db.renew()
    return {"reachable": True, "note": None if writable else in_words(NO_WRITES[0]())}


def _engine(services: Services) -> dict[str, Any] | None:
    return None if services.worker is None else services.worker.status()
