"""What a request waits for before it is sent: its slots, the pause before another try. All of it ends when no request
may begin any more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from headrace.errors import HeadraceError


class Withdrawn(HeadraceError):
    """No request may begin any more: nothing of this one was sent."""

    def __init__(self) -> None:
        super().__init__("the request was withdrawn before it was sent")


class Waits:
    """The waits of one sync's requests. `proceed()` tells whether a request may begin."""

    def __init__(self, proceed: Callable[[], bool] = lambda: True) -> None:
        self._proceed = proceed
        self._under_way: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def wait(self) -> AsyncIterator[None]:
        """The block waits for something. Raises Withdrawn when no request may begin before it or after it, and in the
        midst of it when that is told."""
        self._check()
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._under_way.add(scope)
                try:
                    yield
                finally:
                    self._under_way.discard(scope)
        except TimeoutError:
            if scope.expired():
                raise Withdrawn from None
            raise
        self._check()

    def end(self) -> None:
        """No request may begin any more: `proceed()` says so from now on. What is being sent goes on."""
        now = asyncio.get_running_loop().time()
        while self._under_way:
            self._under_way.pop().reschedule(now)

    def _check(self) -> None:
        if not self._proceed():
            raise Withdrawn
