"""What has to be done beside the syncs: purges in chunks, logs of positions cut behind their readers, rows of the dead.

Each stream's purges fall to one of the living workers. Were two to do the same for a moment, no harm is done.
"""

from collections.abc import Callable, Iterable
from uuid import UUID

import structlog

from headrace.clock import Clock
from headrace.control import idempotency, syncs
from headrace.control.syncs import Sync
from headrace.db.pool import Database
from headrace.db.queries import load
from headrace.engine import activity, metrics
from headrace.engine.idle_grants import refresh_idle
from headrace.engine.leases import Leases
from headrace.engine.outage import OUTAGE
from headrace.engine.pace import Pace
from headrace.engine.services import EngineServices
from headrace.stream import counts as record_counts
from headrace.stream.events.partitions import drop_expired
from headrace.stream.portions import Portions
from headrace.stream.retention import PurgeWalk, drop_old_positions, purge_chunk

SQL = load(__package__, "housekeeping.sql")
PURGING, PURGING_SYNCS, DELETED_SYNCS = SQL.purging, SQL.purging_syncs, SQL.deleted_syncs
HEALTH, OLDEST_READS = SQL.health, SQL.oldest_reads

log = structlog.get_logger(__name__)

_EVERY_S = 2.0
_ACTIVITY_EVERY_S = 5.0
_FIGURES_EVERY_S = 15.0
_SELDOM_S = 600.0
_PURGE_S = 1.0  # of a round, for each stream
_BUSY_LOG = 500
_BUSY_EVERY_S = 10.0
_QUIET_EVERY_S = 300.0
_HEALTHS = ("initializing", "healthy", "warning", "error")


class Housekeeping:
    """One task of a worker. `held` tells the syncs that the worker runs at the moment."""

    def __init__(self, services: EngineServices, leases: Leases, held: Callable[[], Iterable[Sync]]) -> None:
        self._services = services
        self._db: Database = services.db
        self._clock: Clock = services.clock
        self._pace: Pace = services.pace
        self._activity = services.activity
        self._leases = leases
        self._held = held
        self._due: dict[str, float] = {}
        self._positions_due: dict[UUID, float] = {}
        self._purges: dict[UUID, PurgeWalk] = {}

    async def run(self) -> None:
        """Until cancelled. The database being away ends a round, not the task."""
        while True:
            try:
                await self._round()
            except OUTAGE as error:
                log.info("housekeeping_put_off", error=type(error).__name__)
            except Exception:
                log.exception("housekeeping_failed")
            await self._clock.sleep(_EVERY_S)

    async def _round(self) -> None:
        await self._purge()
        await self._cut_positions()
        if self._is_due("activity", _ACTIVITY_EVERY_S):
            await self._activity.write(self._db, {sync.id: sync.stream_id for sync in self._held()})
        if self._is_due("figures", _FIGURES_EVERY_S):
            await self._figures()
        if self._is_due("seldom", _SELDOM_S):
            await self._pace.presence.bury_dead()
            await self._pace.forget_idle()
            await self._forget_answers()
            await refresh_idle(self._services)
            metrics.EVENT_DAYS_DROPPED.inc(await drop_expired(self._db, self._clock.now()))
            for stream_id in filter(self._leases.keeps_house_of, list(self._leases.streams)):
                await activity.forget_old(self._db, stream_id, self._clock.now())

    def _is_due(self, what: str, every_s: float) -> bool:
        now = self._clock.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every_s
        return True

    async def _purge(self) -> None:
        """Some chunks of each stream in turn, so that a great purge holds up no small one."""
        purging = [row["stream_id"] for row in await self._db.ingest.fetch(PURGING)]
        mine = [stream_id for stream_id in purging if self._leases.keeps_house_of(stream_id)]
        self._purges = {stream_id: self._purges.get(stream_id, PurgeWalk()) for stream_id in mine}
        for stream_id, walk in self._purges.items():
            await self._purge_some(stream_id, walk)
        await self._remove_deleted_syncs()

    async def _purge_some(self, stream_id: UUID, walk: PurgeWalk) -> None:
        portions, until = Portions(self._clock), self._clock.monotonic() + _PURGE_S
        while self._clock.monotonic() < until:
            with portions.chunk() as rows:
                gone = await purge_chunk(self._db, stream_id, rows, walk)
            if not gone:
                return
            metrics.PURGED.inc(gone)
            await portions.rest()

    async def _remove_deleted_syncs(self) -> None:
        """The rows of deleted syncs go when nothing is left to be purged for them."""
        async with self._db.api.acquire() as connection:
            deleted = await connection.fetch(DELETED_SYNCS)
            if not deleted:
                return
            streams = list({row["stream_id"] for row in deleted})
            purging = {row["sync_id"] for row in await connection.fetch(PURGING_SYNCS, streams)}
            for row in deleted:
                if row["id"] not in purging:
                    await syncs.remove(connection, row["org_id"], row["id"])
                    log.info("sync_removed", sync_id=str(row["id"]))

    async def _cut_positions(self) -> None:
        now = self._clock.monotonic()
        for stream_id in list(self._leases.streams):
            if now < self._positions_due.get(stream_id, 0.0) or not self._leases.keeps_house_of(stream_id):
                continue
            cut = await drop_old_positions(self._db, stream_id)
            cut += await record_counts.fold(self._db, stream_id)
            pause = _BUSY_EVERY_S if cut > _BUSY_LOG else _QUIET_EVERY_S
            self._positions_due[stream_id] = self._clock.monotonic() + pause
        for stream_id in self._positions_due.keys() - set(self._leases.streams):
            del self._positions_due[stream_id]

    async def _figures(self) -> None:
        held = {sync.id: sync for sync in self._held()}
        streams = list({sync.stream_id for sync in held.values()})
        health = await self._db.api.fetch(HEALTH, streams, list(held))
        counts = {row["health_status"]: row["syncs"] for row in health}
        for status in _HEALTHS:
            metrics.SYNCS.labels(status).set(counts.get(status, 0))
        now, lags = self._clock.now(), dict.fromkeys({sync.provider for sync in held.values()}, 0.0)
        for row in await self._db.api.fetch(OLDEST_READS, streams, list(held)):
            sync = held[row["sync_id"]]
            if row["oldest"] is not None and sync.status == "active" and sync.sync_frequency == "continuous":
                lags[sync.provider] = max(lags[sync.provider], (now - row["oldest"]).total_seconds())
        metrics.READ_LAG.clear()
        for provider, lag in lags.items():
            metrics.READ_LAG.labels(provider).set(lag)

    async def _forget_answers(self) -> None:
        async with self._db.api.acquire() as connection:
            await idempotency.sweep(connection, self._clock.now())
