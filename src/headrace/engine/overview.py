"""How far whole syncs are, without a look at their records: for those who look at many at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.control.syncs import Sync
from headrace.db.pool import Conn
from headrace.engine import account_collections
from headrace.engine.checkpoints import Checkpoints, load_checkpoints_of
from headrace.engine.reach import reaches
from headrace.providers.kit import Provider


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a sync as a whole, which is as far as the slowest of its collections.

    `read_at` is when the last finished read of changes began (the database's clock), `settled_through` the moment up to
    which the copy is complete and final (the provider's clock); None while that is not known of every collection.
    `filling` of its `collections` are being backfilled or wait for it.
    """

    collections: int
    filling: int
    records_read: int
    read_at: datetime | None
    settled_through: datetime | None


async def progress(conn: Conn, providers: Mapping[str, Provider], syncs: Sequence[Sync]) -> dict[UUID, Progress]:
    """Of each, by its checkpoints."""
    held = await load_checkpoints_of(conn, [sync.stream_id for sync in syncs], [sync.id for sync in syncs])
    found = {}
    for sync in syncs:
        provider = await account_collections.provider_of(conn, providers, sync)
        found[sync.id] = _progress(provider, sync, held.get(sync.id, {}))
    return found


def _progress(provider: Provider | None, sync: Sync, checkpoints: Checkpoints) -> Progress:
    found = reaches(provider, sync, checkpoints) if provider is not None else {}
    return Progress(
        collections=len(sync.collection_ids),
        filling=sum(1 for reach in found.values() if reach.backfill.state in ("due", "reading")),
        records_read=sum(row.records for (reading, _), row in checkpoints.items() if reading == "backfill"),
        read_at=_slowest([reach.read_at for reach in found.values()]),
        settled_through=_slowest([reach.settled_through for reach in found.values()]),
    )


def _slowest(moments: Sequence[datetime | None]) -> datetime | None:
    known = [moment for moment in moments if moment is not None]
    return min(known) if known and len(known) == len(moments) else None
