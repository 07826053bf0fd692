"""What the held syncs are told to do: read when a sync is gained, and again when it or its credential has changed."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson

from headrace.control import syncs
from headrace.control.syncs import Sync
from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.engine import account_collections
from headrace.engine.access import Access, load_access
from headrace.engine.leases import Lease
from headrace.errors import HeadraceError
from headrace.providers.kit import Provider
from headrace.settings import Settings
from headrace.vault import credentials
from headrace.vault.keys import Keyring

SQL = load(__package__, "configurations.sql")
CHANGED = SQL.changed
UNUSABLE, SEARCHED = SQL.unusable, SQL.searched

_MARGIN = timedelta(seconds=60)
_ALL_EVERY = timedelta(seconds=30)
_BEGINNING = timedelta(days=36_500)


Mark = tuple[datetime, int, datetime | None]


@dataclass(frozen=True, slots=True)
class Configuration:
    """A sync and its opened credential, as they were read together."""

    sync: Sync
    access: Access

    @property
    def mark(self) -> "Mark":
        """Differs when either has changed, or the account's collections were searched anew, or turned out to be kept
        from the credential."""
        return (self.sync.updated_at, self.access.revision, self.access.searched_at or self.access.refused_at)


class Configurations:
    """Reads configurations in few statements, however many syncs are held."""

    def __init__(self, db: Database, keyring: Keyring, providers: Mapping[str, Provider], settings: Settings) -> None:
        self._db = db
        self._keyring = keyring
        self._providers = providers
        self._settings = settings
        self._looked_at: datetime | None = None
        self._looked_at_all: datetime | None = None

    async def changed(self, marks: Mapping[UUID, Mark]) -> list[UUID]:
        """Of the syncs held with these marks, those that are configured otherwise now."""
        now = self._db.clock.now()
        since = now - _BEGINNING
        if self._looked_at is not None and self._looked_at_all is not None and now < self._looked_at_all + _ALL_EVERY:
            since = self._looked_at - _MARGIN
        else:
            self._looked_at_all = now
        rows = await self._db.api.fetch(CHANGED, list(marks), since)
        self._looked_at = now
        return [row["id"] for row in rows if marks[row["id"]] != tuple(row)[1:]]

    async def load(self, leases: Sequence[Lease]) -> dict[UUID, Configuration | HeadraceError]:
        """The configurations of these syncs. One whose credential cannot be opened has the error instead; one that
        was deleted meanwhile is left out."""
        found: dict[UUID, Configuration | HeadraceError] = {}
        by_org: dict[UUID, list[UUID]] = defaultdict(list)
        for lease in leases:
            by_org[lease.org_id].append(lease.sync_id)
        async with self._db.api.acquire() as connection:
            for org_id, sync_ids in by_org.items():
                found |= await self._of_org(connection, org_id, sync_ids)
        return found

    async def mark_unusable(self, lease: Lease, note: str) -> None:
        """Say in the sync's health that it cannot be run, and why."""
        notes = orjson.dumps([note]).decode()
        await self._db.api.execute(UNUSABLE, lease.stream_id, lease.sync_id, notes, self._db.clock.now(), lease.epoch)

    async def _of_org(
        self, connection: Conn, org_id: UUID, sync_ids: Collection[UUID]
    ) -> dict[UUID, Configuration | HeadraceError]:
        wanted = await syncs.by_ids(connection, org_id, sync_ids)
        held = await credentials.by_ids(connection, org_id, {sync.credential_id for sync in wanted})
        searched = await connection.fetch(SEARCHED, org_id, [credential.id for credential in held])
        searches = {row["credential_id"]: (row["last_succeeded_at"], row["refused_at"]) for row in searched}
        accesses: dict[UUID, Access | HeadraceError] = {}
        for credential in held:
            try:
                access = await load_access(connection, self._keyring, self._providers, credential, self._settings)
                accesses[credential.id] = access.searched(*searches.get(credential.id, (None, None)))
            except HeadraceError as error:
                accesses[credential.id] = error
        found: dict[UUID, Configuration | HeadraceError] = {}
        for sync in wanted:
            opened = accesses.get(sync.credential_id)
            if isinstance(opened, HeadraceError):
                found[sync.id] = opened
            elif opened is not None:
                own = await account_collections.for_sync(connection, opened, sync)
                found[sync.id] = Configuration(sync, own)
        return found
