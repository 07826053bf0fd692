"""The search for an account's own collections, in the background of the process that was asked for it."""

import asyncio
from datetime import datetime

import structlog

from headrace.api.services import Services
from headrace.engine import discovery
from headrace.engine.access import load_access
from headrace.engine.pace import Priority
from headrace.vault import collections
from headrace.vault.credentials import Credential

log = structlog.get_logger()


async def refresh(services: Services, credential: Credential, started_at: datetime) -> None:
    """Search, and record how it ended: `succeeded` with what was found, or `failed` with why. Raises nothing but
    cancellation, which is recorded too."""
    try:
        async with discovery.recorded(services.db, credential.org_id, credential.id, started_at):
            async with asyncio.timeout(collections.LONGEST_REFRESH.total_seconds()):
                await _search(services, credential, started_at)
    except Exception as error:
        log.warning("collections_refresh_failed", credential_id=str(credential.id), error=type(error).__name__)


async def _search(services: Services, credential: Credential, started_at: datetime) -> None:
    async with services.db.api.acquire() as conn:
        access = await load_access(conn, services.keyring, services.providers, credential, services.settings)
    transport = services.transport
    await discovery.search(
        services.db,
        access,
        transport.provider_now(access),
        started_at,
        lambda steps: transport.run(access, None, steps, Priority.REPAIR),
    )
