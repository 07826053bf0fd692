"""The partitions of a collection: repositories, bases, objects that are read one by one."""

from datetime import datetime

from headrace.engine.checkpoints import Span
from headrace.engine.pace import Priority
from headrace.engine.session import Session
from headrace.errors import ImplementationError
from headrace.providers.kit import Cursor, Partitions, Window


async def partitions_of(session: Session, source: Partitions | None, priority: Priority) -> list[str | None]:
    """The ids of all partitions as of now; `[None]` where there are none. Raises ReadFailed, Stopped."""
    if source is None:
        return [None]
    found: dict[str | None, None] = {}
    cursor: Cursor | None = None
    while True:
        pairs, given = await session.run(source.page(session.context(), cursor), priority)
        found.update((key, None) for key, _ in pairs)
        if given is None:
            return list(found)
        if given == cursor:
            raise ImplementationError(f"the page of partitions gave the cursor {given!r} that it was asked with")
        cursor = given


async def spans_of(session: Session, source: Partitions | None, lo: datetime, hi: datetime) -> list[Span]:
    """The window in each partition."""
    return [Span(Window(lo, hi), key) for key in await partitions_of(session, source, Priority.CHANGES)]
