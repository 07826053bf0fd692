"""How many requests a reading takes: a page may be made of several."""

from collections.abc import Generator
from typing import TypeVar

from headrace.http import Request, Response
from headrace.providers.kit import Context, Cursor, Page, PageFunction, Steps, Window

R = TypeVar("R")


class Tally:
    """Counts the requests of what it is laid around, whatever becomes of them. One that is sent again after a failure
    counts once: what is told of it is the cost while the provider answers."""

    def __init__(self) -> None:
        self._requests = 0

    def around(self, page: PageFunction) -> PageFunction:
        """The same page function, counted."""

        def counted(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
            found: Page = yield from self.counting(page(ctx, window, cursor))
            return found

        return counted

    def counting(self, steps: Generator[Request, Response, R]) -> Generator[Request, Response, R]:
        """The same steps, counted."""
        try:
            request = next(steps)
            while True:
                self._requests += 1
                response = yield request
                request = steps.send(response)
        except StopIteration as end:
            made: R = end.value
            return made
        finally:
            steps.close()

    def take(self) -> int:
        """The requests since the last call."""
        taken, self._requests = self._requests, 0
        return taken
