"""The partitions of a collection: repositories, bases, objects that are read one by one. They come and go."""

from datetime import datetime, timedelta

from headrace.engine.checkpoints import Span
from headrace.engine.pace import Priority
from headrace.engine.session import Session
from headrace.engine.transport import ReadFailed
from headrace.errors import ImplementationError
from headrace.providers.kit import Cursor, FaultClass, Partitions, Window

KEPT = timedelta(minutes=1)
"""How long a list of partitions serves the readings of changes: so late a new one is noticed."""
REFUSALS: frozenset[FaultClass] = frozenset({"gone", "permission", "bad", "config"})
"""What a provider answers of a partition that is not there any more."""


async def partitions_of(
    session: Session, source: Partitions | None, priority: Priority, *, kept: timedelta = timedelta(0)
) -> list[str | None]:
    """The ids of all partitions, as they were at most `kept` ago; `[None]` where there are none. Raises ReadFailed,
    Stopped."""
    if source is None:
        return [None]
    known = session.partitions.get(source)
    if known is not None and session.now() - known[0] < kept:
        return list(known[1])
    found: dict[str | None, None] = {}
    cursor: Cursor | None = None
    now = session.now()
    while True:
        pairs, given = await session.run(source.page(session.context(), cursor), priority)
        found.update((key, None) for key, _ in pairs)
        if given is None:
            session.partitions[source] = (now, list(found))
            return list(found)
        if given == cursor:
            raise ImplementationError(f"the page of partitions gave the cursor {given!r} that it was asked with")
        cursor = given


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
