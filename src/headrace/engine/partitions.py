"""The partitions of a collection: repositories, bases, objects that are read one by one. They come and go."""

from collections.abc import Generator
from datetime import datetime, timedelta

from headrace.engine.checkpoints import Span
from headrace.engine.pace import Priority
from headrace.engine.session import Session
from headrace.engine.tally import Tally
from headrace.engine.transport import ReadFailed
from headrace.http import Request, Response
from headrace.providers.kit import Context, Cursor, FaultClass, Partitions, Window
from headrace.providers.kit.trail import Trail

KEPT = timedelta(minutes=1)
"""How long a list of partitions serves the readings of changes: so late a new one is noticed."""
REFUSALS: frozenset[FaultClass] = frozenset({"gone", "permission", "bad", "config"})
"""What a provider answers of a partition that is not there any more."""


async def partitions_of(
    session: Session,
    source: Partitions | None,
    priority: Priority,
    *,
    kept: timedelta = timedelta(0),
    tally: Tally | None = None,
) -> list[str | None]:
    """The ids of all partitions, as they were at most `kept` ago; `[None]` where there are none. What is asked for it
    is counted by `tally`. Raises ReadFailed, Stopped."""
    if source is None:
        return [None]
    known = session.partitions.get(source)
    if known is not None and session.now() - known[0] < kept:
        return list(known[1])
    now = session.now()
    steps = every_partition(source, session.context())
    found: list[str | None] = [*await session.run(steps if tally is None else tally.counting(steps), priority)]
    session.partitions[source] = (now, found)
    return list(found)


def every_partition(source: Partitions, context: Context) -> Generator[Request, Response, list[str]]:
    """The ids of all partitions, page after page. Raises Faulted where their list goes in circles."""
    found: dict[str, None] = {}
    cursor: Cursor | None = None
    trail = Trail()
    while True:
        pairs, given = yield from source.page(context, cursor)
        found.update((key, None) for key, _ in pairs)
        if given is None:
            return list(found)
        cursor = trail.follow(given)


async def spans_of(session: Session, scope: str, source: Partitions | None, lo: datetime, hi: datetime) -> list[Span]:
    """The window in each partition but for those that are left out of the collection `scope`."""
    keys = await partitions_of(session, source, Priority.CHANGES, kept=KEPT)
    return [Span(Window(lo, hi), key) for key in keys if key not in session.refused.get(scope, {})]


async def has_gone(
    session: Session, source: Partitions | None, partition: str | None, failed: ReadFailed, priority: Priority
) -> bool:
    """Whether a read failed because its partition is not there any more: what is left of it need not be read, and the
    next sweep finds its records missing. Raises ReadFailed, Stopped."""
    if source is None or partition is None or failed.fault.kind not in REFUSALS:
        return False
    return partition not in await partitions_of(session, source, priority)
