"""The health of credentials from what requests meet: refused, and well again."""

from uuid import UUID

import structlog

from headrace.db.pool import Database
from headrace.engine.access import Access
from headrace.engine.outage import OUTAGE
from headrace.providers.kit import Fault
from headrace.vault import credentials

log = structlog.get_logger(__name__)


class CredentialHealth:
    """Writes what is new, and once; a request that succeeds as the one before costs nothing."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._well: dict[UUID, bool] = {}

    async def worked(self, access: Access) -> None:
        """A request with it was answered well."""
        if self._well.get(access.credential_id, access.well):
            return
        await self._set(access, "ok", ())

    async def refused(self, access: Access, fault: Fault) -> None:
        """The provider does not take it, however it was renewed."""
        if self._well.get(access.credential_id) is False:
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
            self._well[access.credential_id] = status == "ok"
