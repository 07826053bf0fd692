"""Who has lost a sync writes nothing beside its records either."""

from datetime import timedelta

import pytest
from holding import holding
from shop import open_shop

from headrace.db.pool import Database
from headrace.engine.fetching import Fetcher
from headrace.engine.health import NOTE_ERROR
from headrace.engine.session import Session
from headrace.errors import Fenced
from headrace.stream.items import Fence


@pytest.mark.parametrize("late", [(-1, 0), (0, -1)])
async def test_a_late_worker_sets_nothing_aside_and_puts_nothing_off(db: Database, late: tuple[int, int]) -> None:
    async with open_shop() as shop, holding(db, shop, ["order"]) as held:
        now = Fence(held.sync.stream_id, held.sync.id, 0, 0)
        before = Fence(held.sync.stream_id, held.sync.id, *late)

        async def write(fence: Fence, key: str) -> None:
            fetcher = Fetcher(Session(held.services, held.sync, fence, held.access, lambda: True))
            await fetcher.set_aside("shop:order", "record", key, None, "refused")
            await fetcher.put_off("shop:order", f"{key} again", None, db.clock.now() + timedelta(minutes=1))

        with pytest.raises(Fenced):
            await write(before, "late")
        fetcher = Fetcher(Session(held.services, held.sync, before, held.access, lambda: True))
        with pytest.raises(Fenced):
            await fetcher.put_off("shop:order", "late", None, db.clock.now())
        await write(now, "own")
        rows = await db.api.fetch("select upstream_id from set_aside order by upstream_id")
        assert [row["upstream_id"] for row in rows] == ["own", "own again"]


async def test_a_late_worker_notes_no_error(db: Database) -> None:
    async with open_shop() as shop, holding(db, shop, ["tag"]) as held:
        await held.sweep_now("shop:tag")
        row = (held.sync.stream_id, held.sync.id, "sweep", "shop:tag")
        for epoch, noted in ((-1, None), (0, '"it broke"')):
            await db.ingest.execute(NOTE_ERROR, *row, '"it broke"', epoch)
            assert (await held.rows("sweep"))["shop:tag"]["last_error"] == noted
