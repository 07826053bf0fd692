"""How many records a backfill has to read, asked of the provider, so that somebody who waits can be told how long."""

from collections.abc import Sequence

import structlog

from headrace.engine.pace import Priority
from headrace.engine.session import Session, Stopped
from headrace.engine.transport import ReadFailed
from headrace.providers.kit import Collection, Window

log = structlog.get_logger(__name__)

MOST_COUNTS = 60
"""Of a collection with more partitions than this it is not asked: each takes a request."""


def may_count(source: Collection, partitions: Sequence[str | None]) -> bool:
    """Whether the provider can tell of the listing how much it holds in all of these partitions."""
    return source.listing is not None and source.listing.count is not None and len(partitions) <= MOST_COUNTS


async def count(
    session: Session, source: Collection, reads: frozenset[str], window: Window, partitions: Sequence[str | None]
) -> int | None:
    """The records of the listing in the window, of all partitions; None where that cannot be had. Raises nothing for
    it: nothing depends on the number but what a person is told."""
    assert source.listing is not None
    assert source.listing.count is not None
    records = 0
    try:
        for partition in partitions:
            steps = source.listing.count(session.context(reads, partition), window)
            total = await session.run(steps, Priority.BACKFILL)
            if total is None:
                return None
            records += total.records
    except (ReadFailed, Stopped):
        return None
    except Exception:
        log.exception("count_broke", provider=session.access.provider.slug, collection_id=source.id)
        return None
    return records
