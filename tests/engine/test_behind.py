"""Reading ahead of the storing: order, bounds, and what a failure leaves."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.paging import Behind, CursorGuard, TokenGuard
from headrace.errors import ImplementationError
from headrace.providers.kit import Page
from headrace.stream.items import CheckpointWrite, Item, Record

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass
class Store:
    """Takes what it is given, a gate before each; fails at the storing with that number."""

    fails_at: int | None = None
    stored: list[tuple[list[str], int]] = field(default_factory=list)
    at_once: int = 0
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def __call__(self, items: Sequence[Item], rows: list[CheckpointWrite]) -> None:
        self.at_once += 1
        assert self.at_once == 1
        await self.gate.acquire()
        self.at_once -= 1
        if len(self.stored) == self.fails_at:
            raise ConnectionError("the storing failed")
        assert len(rows) == 1
        self.stored.append(([item.id for item in items if isinstance(item, Record)], rows[0].value["page"]))

    @property
    def names(self) -> list[str]:
        return [name for names, _ in self.stored for name in names]


async def put(behind: Behind, page: int, size: int = 1) -> None:
    record = Record("x:y", str(page), b"x" * size, NOW)
    await behind.put([record], [CheckpointWrite("sweep", "a", {"page": page}, pages=1)])


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.none() | st.integers(0, 20))
def test_pages_are_stored_in_order_and_none_after_a_failure(steps: list[bool], fails_at: int | None) -> None:
    """A step reads a page, or lets one storing go on. What stands is a first part of the pages that were put, and the
    checkpoint that stands is that of its last page."""

    async def play() -> None:
        store = Store(fails_at)
        pages = count()
        reading: asyncio.Task[None] | None = None
        try:
            async with Behind(store) as behind:
                for reads in steps:
                    if reads and (reading is None or reading.done()):
                        if reading is not None:
                            reading.result()
                        reading = asyncio.create_task(put(behind, next(pages)))
                    elif not reads:
                        store.gate.release()
                    await settle()
                for _ in steps:
                    store.gate.release()
                if reading is not None:
                    await reading
        except ConnectionError:
            assert fails_at is not None
            assert len(store.stored) == fails_at
        else:
            assert len(store.names) == next(pages)
        assert store.names == [str(page) for page in range(len(store.names))]
        assert all(page == int(names[-1]) for names, page in store.stored)

    asyncio.run(play())


@pytest.mark.parametrize(("size", "pages"), [(1, 1 + 4), (2 << 20, 1 + 1)])
async def test_a_reader_that_is_far_ahead_waits(size: int, pages: int) -> None:
    """One page is being stored; a few gather, of large records only one."""
    store = Store()
    async with Behind(store) as behind:
        for page in range(pages - 1):
            await put(behind, page, size)
            await settle()
        last = asyncio.create_task(put(behind, pages - 1, size))
        await settle()
        assert not last.done()
        store.gate.release()
        await last
        store.gate.release()
    assert store.names == [str(page) for page in range(pages)]
    assert len(store.stored) == 2


async def test_a_reader_that_is_cut_short_stores_no_more() -> None:
    store = Store()

    async def read() -> None:
        async with Behind(store) as behind:
            await put(behind, 0)
            await put(behind, 1)
            await asyncio.Event().wait()

    reading = asyncio.create_task(read())
    await settle()
    reading.cancel()
    store.gate.release()
    store.gate.release()
    await asyncio.wait([reading])
    await settle()
    assert reading.cancelled()
    assert store.names in ([], ["0"])


@given(st.integers(0, 12), st.integers(1, 12))
def test_a_page_that_leads_nowhere_is_stored_before_that_is_told(before: int, circle: int) -> None:
    """Cursors that lead into a circle of any length, after any number of others."""

    async def play() -> None:
        names: list[str] = []

        async def store(items: Sequence[Item], rows: list[CheckpointWrite]) -> None:
            names.extend(item.id for item in items if isinstance(item, Record))

        read = [Page([Record("x:y", str(at), b"{}", NOW)], {"at": at + 1}) for at in range(before + circle)]
        read[-1].next = {"at": before}
        read.append(read[before])
        guard = CursorGuard("the list")

        async def follow() -> None:
            async with Behind(store) as behind:
                for page in read:
                    cursor = await guard.follow(page, behind)
                    await behind.put(page.items, [CheckpointWrite("sweep", "a", {"cursor": cursor})])

        with pytest.raises(ImplementationError, match="never end"):
            await follow()
        assert set(names) == {str(at) for at in range(before + circle)}

    asyncio.run(play())


@given(st.integers(0, 40), st.integers(1, 40))
def test_tokens_that_lead_back_are_noticed_within_a_few_turns_and_others_never(before: int, circle: int) -> None:
    guard = TokenGuard({"at": -1})
    assert not any(guard.leads_back({"at": at}) for at in range(1000))
    guard, read = TokenGuard({"at": 0}), 0
    while not guard.leads_back({"at": read + 1 if read < before else before + (read + 1 - before) % circle}):
        read += 1
    assert before + circle - 1 <= read <= 4 * (before + circle)
