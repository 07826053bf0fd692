"""Reading a closed stretch of time, window by window, resumable at each page."""

from collections.abc import Callable, Mapping
from functools import partial

from headrace.engine.checkpoints import Span, Walk
from headrace.engine.intake import Intake, Origin
from headrace.engine.pace import Priority
from headrace.engine.paging import Behind, CursorGuard
from headrace.engine.partitions import has_gone
from headrace.engine.refused import is_refused, leave_out
from headrace.engine.session import Session
from headrace.engine.sources import TimeSource
from headrace.engine.transport import ReadFailed
from headrace.engine.windows import halves
from headrace.providers.kit import Cursor, Page
from headrace.stream.items import CheckpointWrite


async def walk_through(
    session: Session,
    intake: Intake,
    source: TimeSource,
    walk: Walk,
    origin: Origin,
    rows: Callable[[int], list[CheckpointWrite]],
) -> None:
    """Read what is left of the walk. `rows(n)` are the checkpoints to store with a page that gave n items; they are
    asked for after the walk has moved on, with `walk.spans` empty at the end.

    A window that shows as many items as the source's cap, or that the provider calls too large, is cut in the middle
    down to the source's floor; a window of that length is the page function's to walk by id. Raises ReadFailed.
    """
    guard = CursorGuard(f"the page of {source.scope}")
    refused: dict[str, ReadFailed] = {}
    if not walk.spans:  # a source of partitions that has none
        await intake.take([], rows(0), origin=origin)
    async with Behind(partial(intake.take, origin=origin)) as behind:
        while walk.spans:
            span = walk.spans[0]
            try:
                page = await _page(session, source, span, walk, origin.priority)
            except ReadFailed as failed:
                guard.restart()
                if failed.fault.kind == "split" and _split(walk, source):
                    continue
                if await has_gone(session, source.partitions, span.partition, failed, origin.priority):
                    walk.spans.pop(0)
                    walk.cursor, walk.read = None, 0
                    await behind.put([], rows(0))
                    continue
                if source.scope == source.collection_id and is_refused(span.partition, failed):
                    assert span.partition is not None
                    refused[span.partition] = failed
                    await _pass_over(session, source, walk, refused, origin.priority)
                    if not walk.spans:
                        await behind.put([], rows(0))
                    continue
                guard.revive(walk.cursor, failed)
                walk.cursor, walk.read = None, 0
                continue
            _move(walk, source, page, await guard.follow(page, behind), guard)
            await behind.put(page.items, rows(len(page.items)))
            await session.pause(page)


async def _pass_over(
    session: Session, source: TimeSource, walk: Walk, refused: Mapping[str, ReadFailed], priority: Priority
) -> None:
    """Read the refused partitions' windows last; when only they are left, leave them out."""
    walk.cursor, walk.read = None, 0
    last = [span for span in walk.spans if span.partition in refused]
    others = [span for span in walk.spans if span.partition not in refused]
    walk.spans[:] = [*others, *last]
    if not others:
        await leave_out(session, source.partitions, source.scope, refused, priority)
        walk.spans.clear()


async def _page(session: Session, source: TimeSource, span: Span, walk: Walk, priority: Priority) -> Page:
    context = session.context(partition=span.partition)
    return await session.read_window(source.scope, source.page, context, span.window, walk.cursor, priority)


def _move(walk: Walk, source: TimeSource, page: Page, cursor: Cursor | None, guard: CursorGuard) -> None:
    """Take the walk past a page, to the cursor that follows it."""
    walk.read += len(page.items)
    if source.cap is not None and walk.read >= source.cap and _split(walk, source):
        guard.restart()
        return
    if cursor is None:
        walk.spans.pop(0)
        walk.read = 0
        guard.restart()
    walk.cursor = cursor


def _split(walk: Walk, source: TimeSource) -> bool:
    """Cut the window under way in the middle; False when it is as short as it may be."""
    span = walk.spans[0]
    cut = halves(span.window, source.floor)
    if cut is None:
        return False
    walk.spans[0:1] = [Span(window, span.partition) for window in cut]
    walk.cursor, walk.read = None, 0
    return True
