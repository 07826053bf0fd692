"""Reading page after page: the next is read while the former is stored, and pages that lead nowhere are refused."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

import orjson

from headrace.errors import ImplementationError
from headrace.providers.kit import Cursor, Page

MOST_EMPTY = 10_000
"""So many pages in a row without an item, and with a next one, are taken for a next page that never ends."""


class Behind:
    """Stores one page while the next is read, in the order in which they are put.

    Leaving the block waits until everything is stored, whatever ended it; only a cancellation cancels the storing too.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def put(self, storing: Coroutine[Any, Any, None]) -> None:
        """Begin to store, once what was put before is stored. Raises what that raised."""
        try:
            await self.flush()
        except BaseException:
            storing.close()
            raise
        self._task = asyncio.create_task(storing)

    async def flush(self) -> None:
        """Wait until everything is stored. Raises what the storing raised."""
        task, self._task = self._task, None
        if task is not None:
            await task  # a cancellation of the waiter cancels the task

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


class CursorGuard:
    """Holds a page function to the law that it moves on: a cursor that comes back is a next page that never ends."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._given: set[int] = set()
        self._empty = 0

    def check(self, page: Page) -> Cursor | None:
        """The cursor of the next page. Raises ImplementationError."""
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

    def restart(self) -> None:
        """The window is read from its start again."""
        self._given.clear()
        self._empty = 0
