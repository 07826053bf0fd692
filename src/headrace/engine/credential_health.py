"""The health of credentials from what requests meet: refused, well again, and about to end."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog

from headrace.db.pool import Database
from headrace.engine.access import Access
from headrace.engine.outage import OUTAGE
from headrace.http import Response
from headrace.providers.kit import Fault, Provider
from headrace.vault import credentials

log = structlog.get_logger(__name__)

SOON = timedelta(days=7)

Health = tuple[str, tuple[str, ...]]
"""(status, notes)"""


def outlook(provider: Provider, ends: datetime | None, now: datetime, soon: timedelta = SOON) -> Health:
    """The health of a credential that works: well, or about to end whatever is done here. `ends` None: nobody knows."""
    if ends is None or ends > now + soon:
        return "ok", ()
    day = ends.date().isoformat()
    return "warn", (f"{provider.name} lets this access end on {day}: connect the account again before.",)


class CredentialHealth:
    """Writes what is new, and once; a request that succeeds as the one before costs nothing."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._told: dict[UUID, str] = {}

    async def worked(self, access: Access, response: Response, *, minted: bool) -> None:
        """A request with it was answered well. What was said when its token was `minted` here stands: a good answer
        does not tell that the grant goes on."""
        told = self._told.get(access.credential_id)
        if told is None:
            told = "ok" if access.well or (minted and access.warned) else ""
        ends = access.kind.ends(response)
        if ends is None and told == "ok":
            return
        status, notes = outlook(access.provider, ends, self._db.clock.now())
        if status != told:
            await self._set(access, status, notes)

    async def refused(self, access: Access, fault: Fault) -> None:
        """The provider does not take it, however it was renewed."""
        if self._told.get(access.credential_id) == "error":
            return
        note = (
            f"{access.provider.name} refuses it: {fault.message}. Give what holds now to PATCH /v1/credentials/{{id}}, "
            "or import it again."
        )
        await self._set(access, "error", (note,))

    async def _set(self, access: Access, status: str, notes: tuple[str, ...]) -> None:
        try:
            async with self._db.api.acquire() as conn:
                now = self._db.clock.now()
                await credentials.set_health(conn, access.org_id, access.credential_id, status, notes, now)
        except OUTAGE as error:
            log.info("credential_health_put_off", error=type(error).__name__)
        else:
            self._told[access.credential_id] = status
