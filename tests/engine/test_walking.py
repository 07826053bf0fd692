"""A window is read whole whatever the provider shows of it at most, however many records share a moment."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.checkpoints import HeadMark, Span, Walk, decode, encode, write
from headrace.engine.intake import Origin
from headrace.engine.pace import Priority
from headrace.engine.sources import TimeSource
from headrace.engine.transport import ReadFailed
from headrace.engine.walking import walk_through
from headrace.providers.kit import Context, Cursor, Fault, Page, Record, Steps, Window
from headrace.stream.items import CheckpointWrite

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
FLOOR = timedelta(seconds=1)
ORIGIN = Origin(Priority.CHANGES)


class Searched:
    """A provider that shows `cap` results of a query and no more, `size` a page, and takes what is asked of one moment
    by id.

    At its request `dies_at` it forgets the listing of which a cursor then tells: that cursor leads nowhere any more."""

    def __init__(self, moments: list[int], cap: int, size: int, dies_at: int) -> None:
        self.rows = [(BEGIN + timedelta(seconds=moment), f"r{n:03}") for n, moment in enumerate(moments)]
        self.cap, self.size, self.asked = cap, size, 0
        self._dies_at, self._begun, self._forgotten = dies_at, 0, 0

    def page(self, ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        yield from ()
        assert window.lo is not None
        assert window.hi is not None
        self.asked += 1
        if cursor is None:
            self._begun += 1
        elif self.asked >= self._dies_at:
            self._forgotten = self._forgotten or cursor["of"]
        of = self._begun if cursor is None else cursor["of"]
        if of == self._forgotten:
            raise ReadFailed(Fault("restart", "the listing is kept no longer"), attempts=1)
        rows = sorted(row for row in self.rows if window.lo <= row[0] < window.hi)
        if window.hi - window.lo <= FLOOR:
            above = "" if cursor is None else cursor["above"]
            page = [row for row in rows if row[1] > above][: self.size]
            following: Cursor | None = {"above": page[-1][1], "of": of} if page else None
        else:
            first = 0 if cursor is None else cursor["at"]
            shown = rows[: self.cap]
            page = shown[first : first + self.size]
            following = {"at": first + self.size, "of": of} if first + self.size < len(shown) else None
        return Page([Record("c", key, b"{}", at) for at, key in page], following)


class Reader:
    """The session and the intake of a walk, without a provider's server or a database."""

    def __init__(self, die_after: int) -> None:
        self.seen: set[str] = set()
        self.taken = 0
        self._die_after = die_after

    def context(self, partition: str | None = None) -> Context:
        return Context({}, BEGIN)

    async def read_window(
        self, what: str, page: Any, ctx: Context, window: Window, cursor: Cursor | None, _: Any
    ) -> Page:
        steps = page(ctx, window, cursor)
        try:
            next(steps)
        except StopIteration as end:
            found: Page = end.value
            return found
        raise AssertionError

    async def pause(self, page: Page) -> None:
        """It asks for no wait."""

    async def take(self, items: list[Record], rows: list[CheckpointWrite], *, origin: Origin) -> None:
        if self.taken == self._die_after:
            raise InterruptedError
        self.taken += 1
        self.seen |= {item.id for item in items}
        self.stored = rows[-1].value


@given(
    moments=st.lists(st.integers(0, 40), max_size=80),
    cap=st.integers(2, 12),
    size=st.integers(1, 5),
    die_after=st.integers(0, 60),
    dies_at=st.integers(1, 60),
)
def test_everything_in_the_window_is_seen_through_a_death_and_a_resumption(
    moments: list[int], cap: int, size: int, die_after: int, dies_at: int
) -> None:
    provider = Searched(moments, cap, size, dies_at)
    source = TimeSource("s", frozenset({"c"}), provider.page, FLOOR, FLOOR, FLOOR, cap=cap, floor=FLOOR)
    lo, hi = BEGIN, BEGIN + timedelta(seconds=41)
    walk = Walk(lo, hi, [Span(Window(lo, hi))], BEGIN, BEGIN)
    reader: Any = Reader(die_after)
    reader.stored = encode(HeadMark(lo, lo, walk))

    async def walked() -> None:
        again = decode(HeadMark, 1, _text(reader.stored)).walk
        assert again is not None

        def rows(_: int) -> list[CheckpointWrite]:
            return [write("changes", "s", HeadMark(lo, lo, again))]

        await walk_through(reader, reader, source, again, ORIGIN, rows)

    try:
        asyncio.run(walked())
    except InterruptedError:
        reader._die_after = -1
        asyncio.run(walked())
    assert reader.seen == {key for _, key in provider.rows}
    assert provider.asked <= 4 * (len(moments) + 41)


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
