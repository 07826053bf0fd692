"""Which worker runs which sync: leases in the epoch rows, tied to the heartbeat of their owner.

A sync whose owner is dead, has released it, or never was, is an orphan. Workers read the orphans without locks and
claim them by raising the epoch, each as many as its fair share lacks; every append carries the epoch, so a former owner
that still writes is refused. A worker that holds more than its share gives some away.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import ceil
from uuid import UUID

import asyncpg
import structlog

from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.engine import metrics
from headrace.engine.presence import Presence
from headrace.stream.items import Fence

SQL = load(__package__, "leases.sql")
STREAMS, LIVING, HELD = SQL.streams, SQL.living, SQL.held
OWNERS, ORPHANS, CLAIM = SQL.owners, SQL.orphans, SQL.claim
RELEASE, RELEASED = SQL.release, SQL.released

CHANNEL = "headrace_lease"
"""Notified when a worker has released syncs: the others look at once."""

log = structlog.get_logger(__name__)

_PIPELINE = 100
_STREAMS_KEPT_S = 5.0
_MOST_GIVEN_AWAY = 50


@dataclass(frozen=True, slots=True)
class Lease:
    """This worker's right to run a sync: `epoch` is the fence, `revision` the shape of the sync as it was read."""

    stream_id: UUID
    sync_id: UUID
    org_id: UUID
    epoch: int
    revision: int

    @property
    def fence(self) -> Fence:
        return Fence(self.stream_id, self.sync_id, self.epoch, self.revision)


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the leases brought: what is `held` now, and what of it is beyond the fair share, to be given away
    in good order. `contested`: others reached for the same orphans, and there may be some that nobody has got."""

    held: dict[UUID, Lease]
    excess: list[UUID]
    contested: bool


@dataclass(slots=True)
class Leases:
    """The leases of one worker. Not for use by two tasks at a time."""

    db: Database
    presence: Presence
    held: dict[UUID, Lease] = field(default_factory=dict)
    living: frozenset[UUID] = frozenset()
    """The workers that take syncs, this one included; as of the last look."""
    _streams: list[UUID] = field(default_factory=list)
    _streams_read_at: float = -1e9

    def forget_streams(self) -> None:
        """A sync was named that is not known: read the streams again at the next look."""
        self._streams_read_at = -1e9

    async def look(self) -> Look:
        """Read what is held, claim what the fair share lacks. Raises the database's errors; nothing is lost then."""
        me = self.presence.worker_id
        async with self.db.api.acquire() as connection:
            await self._read_streams(connection)
            alive = await connection.fetch(LIVING, *self.presence.lifetime())
            self.living = frozenset(row["id"] for row in alive if row["takes"]) | {me}
            rows = [_lease(row) for row in await connection.fetch(HELD, self._streams, me)]
            total = sum(row["syncs"] for row in await connection.fetch(OWNERS, self._streams))
            share = ceil(total / len(self.living))
            self._keep(rows)
            # What this worker owns by the rows and does not hold, it lost while its heartbeat failed: an orphan too.
            mine = [(lease.stream_id, lease.sync_id, lease.epoch) for lease in rows if lease.sync_id not in self.held]
            others = {row["id"] for row in alive} - {me}
            orphans = await connection.fetch(ORPHANS, self._streams, [*others, me])
            wanted = [*mine, *((row["stream_id"], row["sync_id"], row["epoch"]) for row in orphans)]
            first = self._first(wanted, share - len(self.held))
            won = await self._claim(connection, first)
        metrics.SYNCS_HELD.set(len(self.held))
        return Look(dict(self.held), self._excess(share), contested=0 < won < len(first))

    async def release(self, sync_ids: Collection[UUID]) -> None:
        """Give syncs up, so that others may claim them at once. Raises the database's errors."""
        given = [lease for sync_id in sync_ids if (lease := self.held.pop(sync_id, None)) is not None]
        if not given:
            return
        by_stream: defaultdict[UUID, list[Lease]] = defaultdict(list)
        for lease in given:
            by_stream[lease.stream_id].append(lease)
        me = self.presence.worker_id
        async with self.db.api.acquire() as connection:
            await connection.executemany(
                RELEASE,
                [
                    (stream_id, me, [lease.sync_id for lease in leases], [lease.epoch for lease in leases])
                    for stream_id, leases in by_stream.items()
                ],
            )
            await connection.execute(RELEASED)
        metrics.LEASE_CHANGES.labels("released").inc(len(given))
        metrics.SYNCS_HELD.set(len(self.held))

    def drop_all(self) -> None:
        """The heartbeat is too old: whatever was held may be another's."""
        metrics.LEASE_CHANGES.labels("lost").inc(len(self.held))
        self.held.clear()
        metrics.SYNCS_HELD.set(0)

    def keeps_house_of(self, stream_id: UUID) -> bool:
        """Whether this worker sees to the purges of a stream: each stream falls to one of the living, evenly."""
        me = self.presence.worker_id
        return me == max(self.living | {me}, key=lambda worker: _rank(worker, stream_id))

    @property
    def streams(self) -> Sequence[UUID]:
        return self._streams

    # ── a look ──

    async def _read_streams(self, connection: Conn) -> None:
        now = self.db.clock.monotonic()
        if now - self._streams_read_at > _STREAMS_KEPT_S:
            self._streams = [row["id"] for row in await connection.fetch(STREAMS)]
            self._streams_read_at = now

    def _keep(self, rows: Iterable[Lease]) -> None:
        """Take the rows of what is held as they are now; what is another's or deleted by now is lost."""
        owned = {lease.sync_id: lease for lease in rows}
        for sync_id, lease in list(self.held.items()):
            now = owned.get(sync_id)
            if now is None or now.epoch != lease.epoch:
                del self.held[sync_id]
                metrics.LEASE_CHANGES.labels("lost").inc()
            else:
                self.held[sync_id] = now

    def _first(self, orphans: Sequence[tuple[UUID, UUID, int]], most: int) -> list[tuple[UUID, UUID, int]]:
        """As many as may be claimed: before all those that fall to this worker among the living, so that two seldom
        reach for the same, then others in an order of its own."""
        me = self.presence.worker_id

        def pressing(orphan: tuple[UUID, UUID, int]) -> tuple[bool, bytes]:
            own = _rank(me, orphan[1])
            return all(own >= _rank(worker, orphan[1]) for worker in self.living), own

        return sorted(orphans, key=pressing, reverse=True)[:most] if most > 0 else []

    async def _claim(self, connection: Conn, orphans: Sequence[tuple[UUID, UUID, int]]) -> int:
        """How many of them were won."""
        me, won = self.presence.worker_id, 0
        for start in range(0, len(orphans), _PIPELINE):
            if not self.presence.alive:
                break
            batch = [(*orphan, me) for orphan in orphans[start : start + _PIPELINE]]
            for row in await _won(connection, batch):
                self.held[row["sync_id"]] = _lease(row)
                won += 1
        metrics.LEASE_CHANGES.labels("gained").inc(won)
        return won

    def _excess(self, share: int) -> list[UUID]:
        me = self.presence.worker_id
        over = min(len(self.held) - share, _MOST_GIVEN_AWAY)
        return sorted(self.held, key=lambda sync_id: _rank(me, sync_id))[: max(0, over)]


async def _won(connection: Conn, claims: Sequence[tuple[UUID, UUID, int, UUID]]) -> list[asyncpg.Record]:
    """The claims that were won, all in one pipeline. An append under way of a former owner holds its row for a moment;
    where one does, the claims are made singly and that one is left for the next look."""
    try:
        return await _claim_all(connection, claims)
    except asyncpg.LockNotAvailableError:
        won = []
        for claim in claims:
            try:
                won += await _claim_all(connection, [claim])
            except asyncpg.LockNotAvailableError:
                log.info("claim_waits_for_append", sync_id=str(claim[1]))
        return won


async def _claim_all(connection: Conn, claims: Sequence[tuple[UUID, UUID, int, UUID]]) -> list[asyncpg.Record]:
    async with connection.transaction():
        await connection.execute("set local lock_timeout = '500ms'")
        return await connection.fetchmany(CLAIM, claims)


def _lease(row: asyncpg.Record) -> Lease:
    return Lease(row["stream_id"], row["sync_id"], row["org_id"], row["epoch"], row["revision"])


def _rank(worker: UUID, thing: UUID) -> bytes:
    """Rendezvous hashing: each thing has an order of the workers of its own, and each worker of the things."""
    return blake2b(worker.bytes + thing.bytes, digest_size=8).digest()
