"""The copy equals what the provider holds, and stays so, whatever kind of reading leads to it."""

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta

from aiohttp import web
from holding import holding
from shop import CAP, SHOP, Asked, Shop, open_shop

from headrace.clock import from_unix
from headrace.db.pool import Database
from headrace.engine import patch

OLD = 1_700_000_000


def fill(shop: Shop, orders: int) -> None:
    """Orders an hour apart, of up to three items; their events are forgotten, as are those of long ago."""
    for n in range(orders):
        shop.put("order", f"o{n:03}", items=[f"i{k}" for k in range(n % 4)], created=OLD + n * 3600)
    shop.events.clear()


async def test_backfill_then_changes_as_they_come(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 95)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            assert await held.copies(shop, ["order"])

            shop.put("order", "o003", total=5)
            shop.put("order", "new", total=1)
            shop.remove("order", "o004")
            await held.until(lambda: held.copies(shop, ["order"]))
            deleted = [record for record in await held.records() if record.deleted]
            assert [record.upstream_id for record in deleted] == ["o004"]


async def test_what_changes_during_the_backfill_is_not_lost(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 60)
        changed = False

        def change(asked: Asked) -> None:
            nonlocal changed
            if asked.path == "/order" and "after" in asked.query and not changed:
                changed = True
                shop.put("order", "o059", total=9)  # on a page that was read
                shop.put("order", "o001", total=9)  # on a page that was not
                shop.remove("order", "o058")
                shop.put("order", "new", total=9)

        shop.before = change
        async with holding(db, shop, ["order", "item"]) as held:
            await held.start()
            await held.until(lambda: held.copies(shop, ["order", "item"]))
            assert changed


async def test_a_change_that_changes_nothing_is_not_emitted(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 25)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            numbers = {record.upstream_id: record.updated_idx for record in await held.records()}
            shop.events.append({"id": "e900", "at": int(shop.now().timestamp()), "what": "changed", "kind": "order",
                                "thing": dict(shop.things["order"]["o001"])})  # fmt: skip
            shop.put("order", "last", total=1)
            await held.until(lambda: held.copies(shop, ["order"]))
            after = {record.upstream_id: record.updated_idx for record in await held.records()}
            assert {key: number for key, number in after.items() if key != "last"} == numbers


async def test_a_mentioned_record_is_fetched(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 5)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            shop.put("order", "o002", large=True, total=7)
            await held.until(lambda: held.copies(shop, ["order"]))
            assert shop.count("/order/o002") >= 1


async def test_an_event_that_turns_up_late_is_found_by_the_settled_read(db: Database) -> None:
    patient = replace(SHOP, feeds=(replace(SHOP.feeds[0], settle=timedelta(seconds=9)),), _by_id={})
    async with open_shop() as shop:
        fill(shop, 5)
        async with holding(db, shop, ["order"], patient) as held:
            await held.start()
            await held.read_to_the_end()
            shop.put("order", "o002", total=7)
            late = shop.events[-1]
            shop.late.add(late["id"])
            forgotten = from_unix(late["at"] + 1)

            async def head_is_past() -> bool:
                position = (await held.rows("changes"))["feed:events"]["value"]["position"]
                return datetime.fromisoformat(position) > forgotten

            await held.until(head_is_past)
            assert not await held.copies(shop, ["order"])
            shop.late.clear()
            await held.until(lambda: held.copies(shop, ["order"]))


async def test_embedded_children_ride_along_with_their_parent(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 40)
        async with holding(db, shop, ["order", "item"]) as held:
            await held.start()
            await held.read_to_the_end()
            assert await held.copies(shop, ["order", "item"])
            assert shop.count("/order") <= 40 / 10 + 5  # slices may end on an empty page

            shop.put("order", "o003", items=["i1", "extra"])
            shop.remove("order", "o002")
            await held.until(lambda: held.copies(shop, ["order", "item"]))


async def test_embedded_children_without_their_parent(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 20)
        async with holding(db, shop, ["item"]) as held:
            await held.start()
            await held.read_to_the_end()
            shop.put("order", "o003", items=["other"])
            await held.until(lambda: held.copies(shop, ["item"]))
            assert {record.collection_id for record in await held.records()} == {"shop:item"}


async def test_children_are_read_again_when_their_parent_changed(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 12)
        for n in range(12):
            shop.put("note", f"n{n}", order=f"o{n % 3:03}", text="a")
        async with holding(db, shop, ["order", "note"]) as held:
            await held.start()
            await held.read_to_the_end()
            assert await held.copies(shop, ["order", "note"])
            assert not any(asked.path.endswith("/notes") for asked in shop.asked)

            shop.put("note", "n0", order="o000", text="b")
            shop.put("note", "new", order="o000", text="c")
            shop.remove("note", "n3", told=False)
            shop.put("order", "o000", total=3)
            await held.until(lambda: held.copies(shop, ["order", "note"]))
            assert {asked.path for asked in shop.asked if asked.path.endswith("/notes")} == {"/order/o000/notes"}


async def test_children_of_a_parent_that_is_not_wanted(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 3)
        async with holding(db, shop, ["note"]) as held:
            await held.start()
            await held.read_to_the_end()
            shop.put("note", "new", order="o000", text="c")
            shop.put("order", "o000", total=3)
            await held.until(lambda: held.copies(shop, ["note"]))
            assert {record.collection_id for record in await held.records()} == {"shop:note"}


async def test_more_changes_than_one_query_shows(db: Database) -> None:
    async with open_shop() as shop, holding(db, shop, ["document"]) as held:
        await held.start()
        await held.read_to_the_end()
        for n in range(3 * CAP):
            shop.put("document", f"d{n}")
        await held.until(lambda: held.copies(shop, ["document"]))


async def test_what_is_found_by_comparison_only(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(35):
            shop.put("tag", f"t{n}", colour="red")
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            shop.put("tag", "t3", colour="blue")
            shop.put("tag", "new", colour="green")
            shop.remove("tag", "t5")
            await held.ask()
            await held.until(lambda: held.copies(shop, ["tag"]))
            passes = sum(asked.path == "/tag" and "after" not in asked.query for asked in shop.asked)
            assert passes == 3  # the backfill, and two by which one that has no fetch must be missed


async def test_a_delete_that_nobody_told_is_found_by_the_sweep(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 30)
        async with holding(db, shop, ["order", "item"]) as held:
            await held.start()
            await held.read_to_the_end()
            shop.remove("order", "o007", told=False)
            await held.stop()
            await held.sweep_now("shop:order")
            await held.start()
            await held.until(lambda: held.copies(shop, ["order", "item"]))
            assert shop.count("/order/o007") == 1  # confirmed one by one


async def test_slices_are_read_side_by_side_and_cover_everything_once(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 400)
        under_way = most = 0

        async def linger(asked: Asked) -> None:
            nonlocal under_way, most
            if asked.path == "/order":
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.02)
                under_way -= 1

        shop.before = linger
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            assert await held.copies(shop, ["order"])
            assert most > 3
            row = (await held.rows("backfill"))["shop:order"]
            assert row["records"] < 400 + 10 * row["value"]["slices"]  # at most a page read twice for each share
            assert list(await held.rows("backfill")) == ["shop:order"]


async def test_a_cursor_that_died_restarts_its_window_only(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 80)
        shop.numbered = True
        died: list[int] = []

        def die(asked: Asked) -> web.Response | None:
            """The first listing whose cursor is used has died: its cursors lead nowhere, for ever."""
            if asked.path != "/order" or "after" not in asked.query:
                return None
            listing = json.loads(asked.query["after"])[2]
            if died and listing not in died:
                return None
            died.append(listing)
            return web.json_response({}, status=409)

        shop.fail = die
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            asked = [one for one in shop.asked if one.path == "/order"]
            [refused] = [one.query for one in asked if one.status == 409]
            window = {bound: value for bound, value in refused.items() if bound != "after"}
            assert [one.query for one in asked].count(window) == 1
            assert [one.query for one in asked].count({}) == 1
            assert await held.copies(shop, ["order"])


async def test_a_feed_that_no_longer_reaches_back_leads_to_a_fresh_backfill_and_sweep(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 30)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            await held.stop()
            shop.put("order", "o001", total=3)
            shop.remove("order", "o002")
            shop.events.clear()
            asked = len(shop.asked)
            aged_out = web.json_response({}, status=410)
            shop.fail = lambda one: aged_out if one.path == "/events" and shop.asked.index(one) == asked else None
            await held.start()
            await held.until(lambda: held.copies(shop, ["order"]))
            backfill = (await held.rows("backfill"))["shop:order"]["value"]
            assert backfill["cause"] == "gap"
            assert (await held.state())["initial_backfill_completed_at"] is not None


async def test_a_restart_goes_on_where_it_stood(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 200)
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            row: dict[str, int] = {"records": 0}

            async def halfway() -> bool:
                rows = await held.rows("backfill")
                return bool(rows["shop:order"]["records"] >= 50)

            await held.until(halfway)
            await held.kill()
            row = (await held.rows("backfill"))["shop:order"]
            asked = shop.count("/order")
            await held.start()
            await held.read_to_the_end()
            assert await held.copies(shop, ["order"])
            left = 200 - row["records"]
            assert shop.count("/order") - asked <= left / 10 + 20  # pages left, and some that end a slice


async def test_a_log_that_a_newer_release_reads_is_followed_from_its_first_start_on(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 15)
        before = replace(SHOP, feeds=(), _by_id={})
        async with holding(db, shop, ["order"], before) as held:
            await held.start()
            await held.read_to_the_end()
            await held.stop()
            shop.put("order", "o003", total=1)
            shop.events.clear()
            held.services = replace(held.services, providers={"shop": SHOP})
            held.access = replace(held.access, provider=SHOP)
            await held.start()
            await held.until(lambda: held.copies(shop, ["order"]))
            shop.put("order", "o004", total=1)
            await held.until(lambda: held.copies(shop, ["order"]))


async def test_a_gap_does_not_fill_what_was_purged(db: Database) -> None:
    async with open_shop() as shop:
        fill(shop, 12)
        async with holding(db, shop, ["order", "item"]) as held:
            await held.start()
            await held.read_to_the_end()
            await held.stop()
            async with db.transaction() as conn:
                await patch.purge_records(conn, held.sync, "shop:order", db.clock.now())
            before = (await held.rows("backfill"))["shop:item"]["value"]["began"]
            refused = False

            def aged_out(asked: Asked) -> web.Response | None:
                nonlocal refused
                if asked.path != "/events" or refused:
                    return None
                refused = True
                return web.json_response({}, status=410)

            shop.fail = aged_out
            await held.start()

            async def read_anew() -> bool:
                row = (await held.rows("backfill"))["shop:item"]["value"]
                return bool(row["state"] == "done" and row["began"] != before)

            await held.until(read_anew)
            assert await held.copies(shop, ["item"])
            assert await held.copy("shop:order") == {}
