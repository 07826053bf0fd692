"""In a sync that is read every four hours, a sweep begins with the last run before it would be late."""

from datetime import timedelta

import pytest
from holding import holding
from shop import open_shop

from headrace.db.pool import Database
from headrace.engine.checkpoints import SweepMark, put, write


@pytest.mark.parametrize(("due_in", "swept"), [(timedelta(hours=3), True), (timedelta(hours=5), False)])
async def test_a_sweep_that_falls_due_before_the_next_run_begins_with_this_one(
    db: Database, due_in: timedelta, swept: bool
) -> None:
    async with open_shop() as shop:
        shop.put("document", "d1")
        async with holding(db, shop, ["document"], sync_frequency="4h") as held:
            await held.start()
            await held.read_to_the_end()
            await held.stop()
            mark = write("sweep", "shop:document", SweepMark(due_at=db.clock.now() + due_in), "shop:document")
            async with db.transaction() as conn:
                await put(conn, held.sync.stream_id, held.sync.id, mark)
            await held.start()
            before = (await held.rows("changes"))["shop:document"]["value"]["read_at"]
            await held.ask()

            async def read() -> bool:
                changes = (await held.rows("changes"))["shop:document"]["value"]["read_at"]
                done = (await held.rows("sweep"))["shop:document"]["completed_at"] is not None
                return changes != before and done is swept

            await held.until(read)
