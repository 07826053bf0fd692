"""How many requests a page function takes: a page may be made of several."""

from headrace.http import Request, Response
from headrace.providers.kit import Context, Cursor, Page, PageFunction, Steps, Window


class Tally:
    """Counts the requests of the page functions that it is laid around, whatever becomes of them. One that is sent
    again after a failure counts once: what is told of it is the cost while the provider answers."""

    def __init__(self) -> None:
        self._requests = 0

    def around(self, page: PageFunction) -> PageFunction:
        """The same page function, counted."""

        def counted(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
            steps = page(ctx, window, cursor)
            try:
                request: Request = next(steps)
                while True:
                    self._requests += 1
                    response: Response = yield request
                    request = steps.send(response)
            except StopIteration as end:
                made: Page = end.value
                return made
            finally:
                steps.close()

        return counted

    def take(self) -> int:
        """The requests since the last call."""
        taken, self._requests = self._requests, 0
        return taken
