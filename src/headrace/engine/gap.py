"""A gap in a source: it no longer reaches back to where it was read, so what it covers is read anew, with a sweep."""

import structlog

from headrace.engine.assembly import Assembly
from headrace.engine.backfill import listed_in
from headrace.engine.checkpoints import BackfillMark, Checkpoints, SweepMark, write
from headrace.engine.horizons import Gap
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
    log.warning("gap", sync_id=str(session.fence.sync_id), source=gap.scope, since=gap.since.isoformat())
    writes: list[CheckpointWrite] = await source.restart()
    covered = sorted(source.covers & session.wanted)
    for key in covered:
        writes.append(write("backfill", key, BackfillMark(cause="gap", since=gap.since), key))
    for listing in sorted({listed_in(session.access.provider, key).id for key in covered}):
        row = checkpoints.get(("sweep", listing))
        mark = SweepMark() if row is None else row.mark(SweepMark)
        mark.due_at = session.now()
        writes.append(write("sweep", listing, mark, listing))
    await session.ingest.store(Load(checkpoints=writes))
