"""What a reading of changes cannot mend by itself, so that a backfill must.

A gap: the source no longer reaches back to where it was read, so what it covers is read anew, with a sweep. Growth:
partitions turned up, whose records changed before anybody looked, so these are read whole.
"""

import structlog

from headrace.engine.assembly import Assembly
from headrace.engine.backfill import listed_in
from headrace.engine.checkpoints import (
    BackfillMark,
    Checkpoints,
    SliceMark,
    SweepMark,
    backfill_mark,
    slice_numbers,
    slice_scope,
    write,
)
from headrace.engine.horizons import Gap, Grown, Horizons
from headrace.engine.ingest import Load
from headrace.stream.items import CheckpointWrite

log = structlog.get_logger(__name__)


async def fall_back(assembly: Assembly, checkpoints: Checkpoints, gap: Gap) -> None:
    """Store, in one append: the source begins anew at the present, its collections are to be backfilled and swept.

    Until the backfill is done each collection counts as complete up to `gap.since` only. Call it while no reading of
    the sync runs. Raises Fenced, ReadFailed.
    """
    session = assembly.session
    source = next(source for source in assembly.sources if source.scope == gap.scope)
    if isinstance(gap, Grown):
        assert isinstance(source, Horizons)
        await session.ingest.store(Load(checkpoints=_grow(assembly, source, checkpoints, gap)))
        return
    log.warning("gap", sync_id=str(session.fence.sync_id), source=gap.scope, since=gap.since.isoformat())
    writes: list[CheckpointWrite] = await source.restart()
    covered = sorted(key for key in source.covers & session.wanted if backfill_mark(checkpoints, key).state != "purged")
    for key in covered:
        writes.append(write("backfill", key, BackfillMark(cause="gap", since=gap.since), key))
    for listing in sorted({listed_in(session.access.provider, key).id for key in covered}):
        row = checkpoints.get(("sweep", listing))
        mark = SweepMark() if row is None else row.mark(SweepMark)
        mark.due_at = session.now()
        writes.append(write("sweep", listing, mark, listing))
    await session.ingest.store(Load(checkpoints=writes))


def _grow(assembly: Assembly, source: Horizons, checkpoints: Checkpoints, grown: Grown) -> list[CheckpointWrite]:
    """The rows by which each collection that is read along these partitions reads the fresh ones, and by which every
    source along them knows them."""
    session = assembly.session
    provider = session.access.provider
    log.info("partitions_found", sync_id=str(session.fence.sync_id), source=grown.scope, count=len(grown.fresh))
    writes: list[CheckpointWrite] = []
    for each in assembly.sources:
        if isinstance(each, Horizons) and each.source.partitions == source.source.partitions and each.head is not None:
            each.head.partitions = grown.partitions
            writes.append(each.head_row())
    for key in sorted(session.wanted):
        listing = listed_in(provider, key)
        if listing.partitions != source.source.partitions:
            continue
        mark = backfill_mark(checkpoints, key)
        if mark.state == "done":
            mark = BackfillMark(
                state="reading", cause="grown", began=session.provider_now(), slices=mark.slices, since=grown.since
            )
        elif mark.state != "reading" or mark.along is not None:
            continue  # it will list them by itself, or with the one that it rides along with
        taken = [number for number, _ in slice_numbers(checkpoints, key)]
        first = max(mark.slices, *taken, 0) + 1
        mark.slices = first + len(grown.fresh) - 1
        for number, partition in enumerate(grown.fresh, first):
            fresh = SliceMark(mark.window, partition=partition)
            writes.append(write("backfill", slice_scope(key, number), fresh, key))
        writes.append(write("backfill", key, mark, key))
    return writes
