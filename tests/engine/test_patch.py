"""Each parameter of a PATCH changes what is asked of the provider, also while the sync runs."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from holding import Holding, holding
from shop import Asked, Shop, open_shop

from headrace.control.syncs import RateLimit
from headrace.db.pool import Database
from headrace.engine import patch
from headrace.engine.plan import Plan
from headrace.errors import Invalid, NotFound

DAY = 86_400
HOUR = 3_600


def orders(shop: Shop, count: int, apart: float = DAY) -> None:
    """Orders that are so far apart, the youngest of today; their events are forgotten."""
    now = shop.now().timestamp()
    for n in range(count):
        shop.put("order", f"o{n:03}", created=now - 60 - n * apart)
    shop.events.clear()


async def plan(held: Holding, **changes: object) -> Plan:
    async with held.db.transaction() as conn:
        done = await patch.patch_sync(
            conn, held.services.providers, held.sync.org_id, held.sync.id, changes, held.db.clock.now(), dry_run=True
        )
    assert isinstance(done, Plan)
    return done


async def test_repeating_what_is_there_changes_nothing(db: Database) -> None:
    async with open_shop() as shop, holding(db, shop, ["tag"]) as held:
        before = held.sync
        assert await held.patch(name=before.name, status="active", max_age_days=None) == before
        assert (await plan(held, name=before.name)) == Plan()


async def test_an_unknown_sync_is_not_found(db: Database) -> None:
    async with db.transaction() as conn:
        with pytest.raises(NotFound):
            await patch.patch_sync(conn, {}, uuid4(), uuid4(), {"name": "x"}, db.clock.now())


async def test_name_and_metadata_disturb_nothing(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 30)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            asked = shop.count("/order")
            await held.patch(name="other", metadata='{"a": 1}', external_id="x")
            seen = shop.count("/events")
            await held.until(lambda: _more(shop, "/events", seen + 2))
            assert shop.count("/order") == asked


async def _more(shop: Shop, path: str, than: int) -> bool:
    return shop.count(path) > than


# ── collection_ids ──


async def test_a_new_collection_is_backfilled_beside_the_others(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 20)
        shop.put("tag", "t1")
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            completed, asked = (await held.state())["initial_backfill_completed_at"], shop.count("/order")
            assert (await plan(held, collection_ids=("shop:order", "shop:tag"))).render()["backfill"] == [
                {"collection_id": "shop:tag", "requests": None, "seconds": None, "exact": False}
            ]
            await held.patch(collection_ids=("shop:order", "shop:tag"))
            await held.until(lambda: held.copies(shop, ["order", "tag"]))
            assert shop.count("/order") == asked
            assert (await held.state())["initial_backfill_completed_at"] == completed


async def test_a_collection_taken_away_stops_and_keeps_its_records(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 20)
        shop.put("document", "d1")
        async with holding(db, shop, ["order", "document"]) as held:
            await held.start()
            await held.read_to_the_end()
            await held.patch(collection_ids=("shop:order",))
            asked, others = shop.count("/document"), shop.count("/events")
            shop.put("document", "d2")
            await held.until(lambda: _more(shop, "/events", others + 2))
            assert shop.count("/document") <= asked + 1  # the one under way
            assert set(await held.copy("shop:document")) == {"d1"}


async def test_a_collection_given_back_is_read_and_swept_afresh(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 20)
        async with holding(db, shop, ["order", "tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            await held.patch(collection_ids=("shop:tag",))
            shop.put("order", "o001", total=5)
            shop.remove("order", "o002")
            shop.put("order", "new")
            shop.events.clear()  # nothing but a fresh reading can tell of these
            await held.patch(collection_ids=("shop:tag", "shop:order"))
            await held.until(lambda: held.copies(shop, ["order"]))


async def test_taking_the_last_unread_collection_away_completes_the_initial_backfill(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 10)
        hang = asyncio.Event()
        shop.before = lambda asked: hang.wait() if asked.path == "/tag" else None
        async with holding(db, shop, ["order", "tag"]) as held:
            await held.start()

            async def orders_are_read() -> bool:
                return (await held.rows("backfill"))["shop:order"]["completed_at"] is not None

            await held.until(orders_are_read)
            assert (await held.state())["initial_backfill_completed_at"] is None
            await held.patch(collection_ids=("shop:order",))
            assert (await held.state())["initial_backfill_completed_at"] is not None
            hang.set()


async def test_a_late_answer_of_the_former_configuration_is_not_stored(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("tag", "t1")
        hang = asyncio.Event()
        shop.before = lambda asked: hang.wait() if asked.path == "/tag" else None
        async with holding(db, shop, ["order", "tag"]) as held:
            await held.start()

            async def tag_is_asked_for() -> bool:
                return shop.count("/tag") > 0

            await held.until(tag_is_asked_for)
            await held.patch(collection_ids=("shop:order",))
            hang.set()
            await held.read_to_the_end()
            assert await held.records("shop:tag") == []


# ── max_age_days ──


async def test_only_what_is_young_enough_is_read_and_stored(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 30)
        async with holding(db, shop, ["order"], max_age_days=9.5) as held:
            await held.start()
            await held.read_to_the_end()
            assert set(await held.copy("shop:order")) == {f"o{n:03}" for n in range(10)}
            assert all("lo" in asked.query for asked in shop.asked if asked.path == "/order")


async def test_what_is_seen_changing_is_young(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 30)
        async with holding(db, shop, ["order"], max_age_days=9.5) as held:
            await held.start()
            await held.read_to_the_end()
            shop.put("order", "o025", total=1)

            async def is_there() -> bool:
                return "o025" in await held.copy("shop:order")

            await held.until(is_there)


async def test_a_raised_age_limit_reads_the_missing_span_only(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 30)
        async with holding(db, shop, ["order"], max_age_days=9.5) as held:
            await held.start()
            await held.read_to_the_end()
            asked = len(shop.asked)
            await held.patch(max_age_days=19.5)

            async def twenty() -> bool:
                return set(await held.copy("shop:order")) == {f"o{n:03}" for n in range(20)}

            await held.until(twenty)
            lists = [one.query for one in shop.asked[asked:] if one.path == "/order"]
            former = (shop.now() - timedelta(days=9.5)).timestamp()
            assert all("hi" in query and float(query["hi"]) <= former + 60 for query in lists)
            await held.patch(max_age_days=None)
            await held.until(lambda: held.copies(shop, ["order"]))


async def test_a_lowered_age_limit_purges_without_a_delete_message(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 30)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            planned = await plan(held, max_age_days=9.5)
            assert planned.render()["purge"] == [{"collection_id": "shop:order", "records": 20}]
            await held.patch(max_age_days=9.5)

            async def ten() -> bool:
                return len(await held.records("shop:order")) == 10

            await held.until(ten)
            assert not any(record.deleted for record in await held.records())


async def test_a_raised_age_limit_in_the_midst_of_a_backfill_keeps_what_was_read(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 400, HOUR)
        shop.before = lambda asked: asyncio.sleep(0.02)
        async with holding(db, shop, ["order"], max_age_days=10) as held:
            await held.start()

            async def begun() -> bool:
                return (await held.rows("backfill"))["shop:order"]["records"] >= 50

            await held.until(begun)
            await held.patch(max_age_days=None)
            await held.read_to_the_end()
            await held.until(lambda: held.copies(shop, ["order"]))
            assert shop.count("/order") < 40 + 40


# ── status ──


async def test_a_disabled_sync_asks_for_nothing_and_goes_on_where_it_stood(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 200)
        shop.before = lambda asked: asyncio.sleep(0.02)
        async with holding(db, shop, ["order"]) as held:
            await held.start()

            async def begun() -> bool:
                return (await held.rows("backfill"))["shop:order"]["records"] >= 20

            await held.until(begun)
            await held.patch(status="disabled")
            patched_at = shop.now()
            await quiet(shop, for_s=1.3)
            assert shop.asked[-1].at < patched_at + timedelta(seconds=1)  # those under way were awaited
            stored = sum(row["records"] for row in (await held.rows("backfill")).values())
            asked = Counter(_page(one) for one in shop.asked if one.path == "/order")
            assert stored >= 10 * len(asked) - 10  # their answers are stored
            assert "disabled" in (await held.health())["notes"]

            await held.patch(status="active")
            await held.read_to_the_end()
            assert await held.copies(shop, ["order"])


def _page(asked: Asked) -> tuple[str | None, str | None]:
    return asked.query.get("after"), asked.query.get("lo")


async def quiet(shop: Shop, for_s: float = 0.3) -> None:
    """Until nothing is under way, and a little longer: long enough for what should not begin to begin."""
    async with asyncio.timeout(60):
        while shop.under_way:
            await asyncio.sleep(0.02)
    await asyncio.sleep(for_s)


# ── sync_frequency ──


async def test_every_four_hours_reads_changes_only_in_runs(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 20)
        async with holding(db, shop, ["order", "tag"], sync_frequency="4h") as held:
            await held.start()
            await held.read_to_the_end()
            state = await held.state()
            due = state["next_run_at"] - held.sync.created_at
            assert timedelta(hours=4) <= due <= timedelta(hours=4, minutes=11)
            asked = len(shop.asked)
            shop.put("order", "o001", total=5)
            shop.put("tag", "t", colour="red")
            assert held.runner is not None
            held.runner.hint()  # a webhook is kept for the next run
            await quiet(shop)
            assert len(shop.asked) == asked

            await held.ask()
            await held.until(lambda: held.copies(shop, ["order", "tag"]))
            state = await held.state()
            assert state["next_run_at"] == state["last_run_started_at"] + timedelta(hours=4)


async def test_a_run_that_fell_due_while_disabled_starts_once_on_enabling(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 5)
        async with holding(db, shop, ["order"], sync_frequency="4h") as held:
            await held.start()
            await held.read_to_the_end()
            await held.patch(status="disabled")
            shop.put("order", "o001", total=5)
            missed = db.clock.now() - timedelta(hours=9)
            await db.api.execute("update sync_states set next_run_at = $1", missed)
            events = shop.count("/events")
            assert held.runner is not None
            held.runner.hint()
            await asyncio.sleep(0.2)
            assert shop.count("/events") == events
            await held.patch(status="active")
            await held.until(lambda: held.copies(shop, ["order"]))
            state = await held.state()
            assert state["next_run_at"] == missed + timedelta(hours=12)  # the grid is kept


async def test_from_continuous_to_four_hours_and_back(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 5)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            await held.until(lambda: _more(shop, "/events", 2))
            await held.patch(sync_frequency="4h")
            await quiet(shop)
            state = await held.state()
            assert abs(state["next_run_at"] - db.clock.now() - timedelta(hours=4)) < timedelta(minutes=1)
            events = shop.count("/events")
            shop.put("order", "o001", total=5)
            await asyncio.sleep(1.2)
            assert shop.count("/events") == events

            await held.patch(sync_frequency="continuous")
            await held.until(lambda: held.copies(shop, ["order"]))
            assert (await held.state())["next_run_at"] is None


# ── rate_limit, max_poll_ms ──


async def test_a_rate_limit_holds_from_the_next_request_on(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 300)
        shop.before = lambda asked: asyncio.sleep(0.01)
        async with holding(db, shop, ["order"]) as held:
            await held.start()

            async def begun() -> bool:
                return shop.count("/order") >= 3

            await held.until(begun)
            await held.patch(rate_limit=RateLimit(1, 1))
            held.services.pace.limit_sync(held.sync)  # as the worker does
            asked = len(shop.asked)
            started = asyncio.get_running_loop().time()
            await held.until(lambda: _asked(shop, asked + 5))
            assert asyncio.get_running_loop().time() - started > 2.0


async def _asked(shop: Shop, count: int) -> bool:
    return len(shop.asked) >= count


async def test_max_poll_bounds_the_pause_between_two_reads(db: Database) -> None:
    async with open_shop() as shop, holding(db, shop, ["order"], max_poll_ms=3_600_000) as held:
        await held.start()
        await held.read_to_the_end()
        await held.until(lambda: _slowed(shop))
        await held.patch(max_poll_ms=500)
        events = shop.count("/events")
        # Pauses that went on growing, of four seconds, eight, sixteen, would leave room for four.
        await held.until(lambda: _more(shop, "/events", events + 6), within=40)


async def _slowed(shop: Shop) -> bool:
    """Idle: the pauses have grown beyond two seconds."""
    reads = [asked.at for asked in shop.asked if asked.path == "/events"]
    return len(reads) > 2 and reads[-1] - reads[-2] > timedelta(seconds=2)


# ── delete, purge, backfills ──


async def test_a_deleted_sync_is_gone_at_once_and_never_written_again(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 60)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            async with db.transaction() as conn:
                planned = await patch.delete_sync(conn, held.sync.org_id, held.sync.id, db.clock.now(), dry_run=True)
            assert planned is not None
            assert planned.render()["purge"] == [{"collection_id": "shop:order", "records": 60}]
            async with db.transaction() as conn:
                assert await patch.delete_sync(conn, held.sync.org_id, held.sync.id, db.clock.now()) is None
            assert await held.records() == []


async def test_a_purge_empties_and_a_backfill_that_is_asked_for_fills_again(db: Database) -> None:
    async with open_shop() as shop:
        orders(shop, 40)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            ids = {record.record_id for record in await held.records()}
            last = max(record.updated_idx for record in await held.records())
            async with db.transaction() as conn:
                assert await patch.purge_records(conn, held.sync, "shop:order", db.clock.now()) == 40
            assert await held.records() == []
            await held.hand_over()
            await held.until(lambda: _noted(held, "purged"))
            assert (await held.collections())["shop:order"]["phase"] == "purged"

            async with db.transaction() as conn:
                await patch.start_backfills(conn, held.sync, None, db.clock.now())
            await held.hand_over()
            await held.until(lambda: held.copies(shop, ["order"]))
            again = await held.records()
            assert {record.record_id for record in again} == ids
            assert min(record.updated_idx for record in again) > last


async def _noted(held: Holding, word: str) -> bool:
    return any(word in note for note in (await held.health())["notes"])


async def test_a_purge_of_another_providers_collection_is_refused(db: Database) -> None:
    async with open_shop() as shop, holding(db, shop, ["order"]) as held, db.transaction() as conn:
        with pytest.raises(Invalid):
            await patch.purge_records(conn, held.sync, "other:thing", db.clock.now())
