"""The ledger's rows under those who reach for them at the same moment."""

import asyncio
from datetime import timedelta

from test_bucket import most_in

from headrace.db.pool import Database
from headrace.engine.bucket import Ask, BucketKey, Charge, Slot
from headrace.engine.ledger import Ledger

KEY = BucketKey(b"account", "all", 1000)
OTHER = BucketKey(b"account", "/things", 1000)
WORD = BucketKey(b"account", "all", -1000)
PUBLISHED = {KEY: (200.0, 1.0), OTHER: (150.0, 1.0)}
ASK = Ask((Charge(KEY, 1.0), Charge(OTHER, 1.0)), (Charge(WORD, 1.0),), 0.25)


async def test_no_slot_is_given_out_twice(db: Database) -> None:
    ledgers = [Ledger(db) for _ in range(8)]
    begins: list[float] = []
    for _ in range(5):
        answers = await asyncio.gather(*(ledger.reserve("example", PUBLISHED, [ASK] * 6) for ledger in ledgers))
        begins += [answer.begins for batch in answers for answer in batch if isinstance(answer, Slot)]
        await asyncio.sleep(0.05)
    assert len(begins) > 40
    assert most_in(sorted(begins), 1.0) <= 150
    # Were one slot given out twice, the bucket would not know of it: what it gave out is what came back.
    depth = 15 + 1
    assert len(begins) <= depth + 0.9 * 150 * (max(begins) - min(begins)) + 1


async def test_what_is_left_is_counted_down_once_for_each_request(db: Database) -> None:
    ledger = Ledger(db)
    soon = db.clock.now().timestamp() + 600
    await ledger.told("example", WORD, 10.0, soon)
    answers = await asyncio.gather(*(Ledger(db).reserve("example", PUBLISHED, [ASK] * 3) for _ in range(8)))
    granted = [answer for batch in answers for answer in batch if isinstance(answer, Slot)]
    assert len(granted) == 10
    assert await db.api.fetchval("select believed_remaining from limit_buckets where window_ms = -1000") == 0


async def test_of_two_sayings_the_lower_holds_until_it_resets(db: Database) -> None:
    ledger, now = Ledger(db), db.clock.now().timestamp()
    for remaining in (50.0, 20.0, 90.0):
        await ledger.told("example", WORD, remaining, now + 600)
    assert await db.api.fetchval("select believed_remaining from limit_buckets") == 20
    await db.api.execute("update limit_buckets set refilled_at = $1", db.clock.now() - timedelta(seconds=1))
    await ledger.told("example", WORD, 90.0, now + 600)
    assert await db.api.fetchval("select believed_remaining from limit_buckets") == 90


async def test_rows_that_nobody_uses_are_dropped_and_made_anew(db: Database) -> None:
    ledger = Ledger(db)
    await ledger.reserve("example", PUBLISHED, [ASK])
    later = db.clock.now() + timedelta(days=3)
    await ledger.forget_idle(later, timedelta(days=2))
    assert await db.api.fetchval("select count(*) from limit_buckets") == 0
    [answer] = await ledger.reserve("example", PUBLISHED, [ASK])
    assert isinstance(answer, Slot)
    await ledger.refused("example", PUBLISHED, b"account", "all", later.timestamp())
    await ledger.forget_idle(later, timedelta(days=2))
    assert await db.api.fetchval("select count(*) from limit_buckets where blocked_until is not null") == 1
