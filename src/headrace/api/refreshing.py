"""The search for an account's own collections, in the background of the process that was asked for it."""

import asyncio
from datetime import datetime

import orjson
import structlog

from headrace.api.services import Services
from headrace.engine.access import Access, load_access
from headrace.engine.pace import Priority
from headrace.engine.transport import ReadFailed
from headrace.errors import HeadraceError, ImplementationError
from headrace.providers.kit import Context, Cursor, Discovery, Found
from headrace.vault import collections
from headrace.vault.collections import Sighting
from headrace.vault.credentials import Credential

log = structlog.get_logger()


async def refresh(services: Services, credential: Credential, started_at: datetime) -> None:
    """Search, and record how it ended: `succeeded` with what was found, or `failed` with why. Raises nothing but
    cancellation, which is recorded too."""
    org_id, id_ = credential.org_id, credential.id
    try:
        async with asyncio.timeout(collections.LONGEST_REFRESH.total_seconds()):
            found = await _search(services, credential)
        async with services.db.transaction() as conn:
            now = services.db.clock.now()
            await collections.succeed(conn, org_id, id_, credential.provider, started_at, found, now)
    except asyncio.CancelledError:
        await _failed(services, credential, started_at, "The process that refreshed was stopped. Start it again.")
        raise
    except Exception as error:
        log.warning("collections_refresh_failed", credential_id=str(id_), error=type(error).__name__)
        await _failed(services, credential, started_at, _why(error))


async def _search(services: Services, credential: Credential) -> list[Sighting]:
    async with services.db.api.acquire() as conn:
        access = await load_access(conn, services.keyring, services.providers, credential, services.settings)
    if access.provider.discovery is None:
        return []
    return [_sighting(found) for found in await _pages(services, access, access.provider.discovery)]


async def _pages(services: Services, access: Access, discovery: Discovery) -> list[Found]:
    context = Context(properties=access.public_properties(), now=services.transport.provider_now(access))
    found: list[Found] = []
    cursor: Cursor | None = None
    while True:
        page, following = await services.transport.run(access, None, discovery.page(context, cursor), Priority.SWEEP)
        found += page
        if following is None:
            return found
        if following == cursor:
            raise ImplementationError(f"the discovery of {access.provider.slug} gave the same cursor twice: {cursor}")
        cursor = following


def _sighting(found: Found) -> Sighting:
    return Sighting(
        scope=found.scope,
        upstream_id=found.upstream_id,
        name=found.name,
        schema=orjson.dumps(dict(found.schema)).decode(),
        upstream=orjson.dumps(dict(found.upstream)).decode(),
        collection_id=found.collection_id,
    )


async def _failed(services: Services, credential: Credential, started_at: datetime, summary: str) -> None:
    async with services.db.api.acquire() as conn:
        error = orjson.dumps({"summary": summary}).decode()
        await collections.fail(conn, credential.org_id, credential.id, started_at, error)


def _why(error: Exception) -> str:
    match error:
        case ReadFailed():
            return f"The provider failed: {error.fault.message}"
        case HeadraceError():
            return error.summary
        case TimeoutError():
            return "The provider took too long. Start it again."
        case _:
            return "Headrace failed here. Start it again; if it stays so, report the line in the server's log."
