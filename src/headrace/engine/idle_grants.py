"""Grants that die unused are used: at half their idle life, whether a sync runs with them or not."""

import asyncio
from datetime import timedelta
from uuid import UUID

import structlog

from headrace.engine.access import load_access
from headrace.engine.outage import OUTAGE
from headrace.engine.services import EngineServices
from headrace.engine.tokens import NoToken
from headrace.errors import HeadraceError
from headrace.vault import credentials, tokens
from headrace.vault.grants import ACCESS_TOKEN

log = structlog.get_logger(__name__)

_MOST_AT_ONCE = 20
_PASSES: tuple[type[Exception], ...] = (HeadraceError, *OUTAGE)
"""What one grant's failure may be; the others are tried all the same."""


async def refresh_idle(services: EngineServices) -> int:
    """Make a token of each grant that was not used for half of its idle life; how many that were. Any number of
    processes may do so at once: a grant is spent by one of them."""
    made, now = 0, services.clock.now()
    for provider in services.providers.values():
        for kind in provider.kinds:
            if kind.grant is None or kind.idle_life_s is None or services.transport.tokens is None:
                continue
            async with services.db.api.acquire() as conn:
                idle = await tokens.idle(conn, kind.kind, now - timedelta(seconds=kind.idle_life_s / 2), _MOST_AT_ONCE)
            made += sum(await asyncio.gather(*(_refresh(services, *each) for each in idle)))
    return made


async def _refresh(services: EngineServices, org_id: UUID, credential_id: UUID) -> bool:
    assert services.transport.tokens is not None
    try:
        async with services.db.api.acquire() as conn:
            held = await credentials.get(conn, org_id, credential_id)
            access = await load_access(conn, services.keyring, services.providers, held, services.settings)
        # The access token that it was given with has long ended, where there is one.
        await services.transport.tokens.ready(access, refused=access.properties.get(ACCESS_TOKEN))
    except NoToken as none:
        log.warning("idle_grant_not_refreshed", credential_id=str(credential_id), reason=none.fault.message)
    except _PASSES as error:
        log.info("idle_grant_put_off", credential_id=str(credential_id), error=type(error).__name__)
    else:
        return True
    return False
