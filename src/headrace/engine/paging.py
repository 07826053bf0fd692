"""Reading page after page: the next are read while the former are stored, and pages that lead nowhere are refused."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import orjson

from headrace.engine.checkpoints import CheckpointKey, merge
from headrace.engine.transport import ReadFailed
from headrace.errors import ImplementationError
from headrace.providers.kit import Cursor, Page
from headrace.stream.items import CheckpointWrite, Item, Record

Take = Callable[[Sequence[Item], list[CheckpointWrite]], Awaitable[None]]
"""Stores everything that the items lead to, and with the last of it the checkpoints."""

_MOST_PAGES = 4
_MOST_ITEMS = 500
_MOST_BYTES = 1 << 20
"""Readers wait while so much has gathered of one reading: changes of other readings queue up behind it."""

MOST_EMPTY = 10_000
"""So many pages in a row without an item, and with a next one, are taken for a next page that never ends."""

_MOST_RESTARTS = 3
"""How often in a row a window whose cursor died is read from its start before the reading counts as failed."""


class Behind:
    """Stores pages while the next are read, in the order in which they are put.

    Pages that come while others are being stored gather, a few of them, and are stored together next: reading does not
    stand still for every flush to disk. Checkpoints go with the last of what is stored together.

    Leaving the block waits until everything is stored, whatever ended it; only a cancellation cancels the storing too.
    After a storing that failed nothing more is stored.
    """

    def __init__(self, take: Take) -> None:
        self._take = take
        self._gathered = _Gathered()
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def put(self, items: Sequence[Item], rows: Iterable[CheckpointWrite]) -> None:
        """Have a page stored with the checkpoints that it proves, behind what was put before. Waits while enough have
        gathered. Raises what the storing raised."""
        await self._raise()
        self._gathered.add(items, rows)
        if self._task is None:
            self._task = asyncio.create_task(self._store())
        while self._gathered.full:
            self._room.clear()
            await self._room.wait()
            await self._raise()

    async def flush(self) -> None:
        """Wait until everything is stored. Raises what the storing raised."""
        task, self._task = self._task, None
        if task is not None:
            await task  # a cancellation of the waiter cancels the task

    async def _raise(self) -> None:
        if self._task is not None and self._task.done():
            await self.flush()

    async def _store(self) -> None:
        try:
            while self._gathered.pages:
                gathered, self._gathered = self._gathered, _Gathered()
                self._room.set()
                await self._take(gathered.items, list(gathered.rows.values()))
        finally:
            self._room.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            if self._task is not None:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)
        else:
            await self.flush()


@dataclass(slots=True)
class _Gathered:
    """Pages that are stored together."""

    items: list[Item] = field(default_factory=list)
    rows: dict[CheckpointKey, CheckpointWrite] = field(default_factory=dict)
    pages: int = 0
    size: int = 0

    def add(self, items: Sequence[Item], rows: Iterable[CheckpointWrite]) -> None:
        self.items += items
        self.pages += 1
        self.size += sum(len(item.raw) for item in items if isinstance(item, Record))
        merge(self.rows, rows)

    @property
    def full(self) -> bool:
        return self.pages >= _MOST_PAGES or len(self.items) >= _MOST_ITEMS or self.size >= _MOST_BYTES


class CursorGuard:
    """Holds a page function to the law that it moves on: a cursor that comes back is a next page that never ends, and
    so is a window whose cursors die again and again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._given: set[int] = set()
        self._empty = 0
        self._restarts = 0

    def check(self, page: Page) -> Cursor | None:
        """The cursor of the next page. Raises ImplementationError."""
        self._restarts = 0
        if page.next is None:
            return None
        mark = hash(orjson.dumps(page.next, option=orjson.OPT_SORT_KEYS))
        self._empty = 0 if page.items else self._empty + 1
        if mark in self._given:
            raise ImplementationError(
                f"{self._name} gave the cursor {page.next!r} twice in one window: its pages would never end"
            )
        if self._empty > MOST_EMPTY:
            raise ImplementationError(f"{self._name} gave {self._empty} pages without a record and still a next one")
        self._given.add(mark)
        return page.next

    async def follow(self, page: Page, behind: Behind) -> Cursor | None:
        """The cursor of the next page, as `check` has it. A page that leads nowhere is put by first, without a
        checkpoint, so that what came with it is kept. Raises ImplementationError, and what `behind` does."""
        try:
            return self.check(page)
        except ImplementationError:
            if page.items:
                await behind.put(page.items, ())
            raise

    def restart(self) -> None:
        """The window is read from its start again, or another one begins."""
        self._given.clear()
        self._empty = 0

    def revive(self, cursor: Cursor | None, failed: ReadFailed) -> None:
        """The page at `cursor` could not be read: where that is because the cursor died, the window is read from its
        start again. Raises `failed` where it is not, and when it was so too often without a page in between."""
        self._restarts += 1
        if failed.fault.kind != "restart" or cursor is None or self._restarts > _MOST_RESTARTS:
            raise failed
        self.restart()


class TokenGuard:
    """Notices when the tokens of a feed lead back, in a circle of any length (Brent's method): one that is kept is
    compared with those that follow, and replaced after one, two, four, … of them. Tokens grow with what a feed watches:
    so they are neither all kept nor all hashed."""

    def __init__(self, token: Cursor) -> None:
        self._kept = token
        self._since, self._turn = 0, 1

    def leads_back(self, token: Cursor) -> bool:
        """Whether this token, which is the next, came before."""
        if token == self._kept:
            return True
        self._since += 1
        if self._since == self._turn:
            self._kept, self._since, self._turn = token, 0, 2 * self._turn
        return False
