"""The laws of page functions, checked: by the engine at each page, by tests for a whole window."""

from collections.abc import Callable
from typing import Any

import orjson

from headrace.errors import ImplementationError
from headrace.http import Request, Response
from headrace.providers.kit.readings import Context, Cursor, Page, PageFunction, Steps, Window


def check_next(page: Page, cursor: Cursor | None) -> None:
    """Raise ImplementationError when the page's next cursor is not JSON, changes on its way through JSON, or is the one
    that asked for this page: then the list would never end. `cursor` is the one that asked for it."""
    if page.next is None:
        return
    if through_json(page.next) != page.next:
        raise ImplementationError(f"the cursor {page.next!r} changes on its way through JSON: keep to JSON's own types")
    if page.next == cursor:
        raise ImplementationError(
            f"the next page's cursor is this page's again ({cursor!r}): a list that never ends. "
            "Let the cursor tell the place, and for a job count the polls"
        )


def through_json(value: Any) -> Any:
    """`value` as it comes back from a checkpoint. Raises ImplementationError for what is no JSON."""
    try:
        return orjson.loads(orjson.dumps(value))
    except TypeError as error:
        raise ImplementationError(f"the cursor {value!r} is no JSON: {error}") from None


def drive(steps: Steps, respond: Callable[[Request], Response]) -> tuple[Page, list[Request]]:
    """Run a page function on answers given by `respond`: the page and the requests that it made."""
    asked: list[Request] = []
    try:
        request = next(steps)
        while True:
            asked.append(request)
            request = steps.send(respond(request))
    except StopIteration as stop:
        return stop.value, asked


def walk(
    page: PageFunction,
    ctx: Context,
    window: Window,
    respond: Callable[[Request], Response],
    most: int = 100_000,
) -> list[Page]:
    """Read a window to its end on the answers of `respond`, as the engine does, with the laws held at each page:

    the same arguments make the same requests (each page is read twice, on the same answers); the cursor survives JSON
    and never repeats; the end comes within `most` pages. Raises ImplementationError for a breach.
    """
    read: list[Page] = []
    cursor: Cursor | None = None
    seen: set[bytes] = set()
    while True:
        answers: list[Response] = []

        def kept(request: Request, answers: list[Response] = answers) -> Response:
            answers.append(respond(request))
            return answers[-1]

        got, asked = drive(page(ctx, window, cursor), kept)
        replay = iter(answers)
        again, asked_again = drive(page(ctx, window, cursor), lambda request, replay=replay: next(replay))  # type: ignore[misc]
        if asked != asked_again or again != got:
            raise ImplementationError(
                f"the page at {cursor!r} differs when it is read again: it may depend on nothing "
                "but its arguments and the answers"
            )
        check_next(got, cursor)
        read.append(got)
        if got.next is None:
            return read
        cursor = through_json(got.next)
        key = orjson.dumps(cursor, option=orjson.OPT_SORT_KEYS)
        if key in seen or len(read) >= most:
            raise ImplementationError(f"the list goes in circles: the cursor {cursor!r} came before")
        seen.add(key)
