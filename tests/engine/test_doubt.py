"""Which picture of a record is the newest, where moments alone do not tell."""

from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web
from holding import holding
from shop import SHOP, open_shop

from headrace.db.pool import Database

SLOW = replace(SHOP, feeds=(replace(SHOP.feeds[0], settle=timedelta(minutes=5)),), _by_id={})
"""Its settled re-read comes too late to mend anything here."""


async def test_two_changes_within_a_second_are_shown_at_once(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o1", total=0)
        shop.events.clear()
        async with holding(db, shop, ["order"], SLOW) as held:
            await held.start()
            await held.read_to_the_end()
            for turn in range(1, 4):
                shop.put("order", "o1", total=turn)
                await held.until(lambda: held.copies(shop, ["order"]))
                changed = shop.things["order"]["o1"]["updated"]
                shop.put("order", "o1", total=turn + 100)
                await held.until(lambda: held.copies(shop, ["order"]))
                assert shop.now().timestamp() - changed < 30  # far from the settled re-read
            assert await db.api.fetchval("select count(*) from set_aside") == 0


async def test_a_change_that_was_taken_back_lets_no_older_picture_in(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o1", total=0)
        as_it_was = dict(shop.things["order"]["o1"])
        shop.events.clear()
        async with holding(db, shop, ["order"], SLOW) as held:
            await held.start()
            await held.read_to_the_end()
            seen = [record.updated_idx for record in await held.records()]
            at = int(shop.now().timestamp()) - 4
            between = {**as_it_was, "total": 7}
            shop.events.append({"id": "e2", "at": at + 3, "what": "changed", "kind": "order", "thing": as_it_was})

            async def read_again() -> bool:
                return shop.count("/events", asked) > 2

            asked = len(shop.asked)
            await held.until(read_again)
            shop.events.append({"id": "e1", "at": at, "what": "changed", "kind": "order", "thing": between})
            asked = len(shop.asked)
            await held.until(read_again)
            assert [record.updated_idx for record in await held.records()] == seen


async def test_children_alone_follow_the_mentions_of_a_parent_that_is_not_wanted(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(3):
            shop.put("order", f"o{n}", items=["a"])
        shop.events.clear()
        async with holding(db, shop, ["item"], SLOW) as held:
            await held.start()
            await held.read_to_the_end()
            shop.put("order", "o1", items=["a", "b"], large=True)
            await held.until(lambda: held.copies(shop, ["item"]))
            assert await held.copy("shop:order") == {}
            assert shop.count("/order/o1") >= 1


async def test_a_fetched_record_has_the_time_of_the_change_that_mentioned_it(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o1", created=1_700_000_000)
        shop.events.clear()
        async with holding(db, shop, ["order"], SLOW) as held:
            await held.start()
            await held.read_to_the_end()
            shop.put("order", "o1", large=True, total=1)
            told = shop.events[-1]["at"]
            await held.until(lambda: held.copies(shop, ["order"]))
            [record] = await held.records()
            assert record.upstream_updated_at is not None
            assert record.upstream_updated_at.timestamp() == told


async def test_a_parent_that_cannot_be_read_shows_with_the_children_that_are_wanted(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "o1", items=["a"])
        shop.events.clear()
        async with holding(db, shop, ["item"], SLOW) as held:
            await held.start()
            await held.read_to_the_end()
            shop.fail = lambda asked: web.json_response({}, status=400) if asked.path == "/order/o1" else None
            shop.put("order", "o1", items=["a", "b"], large=True)

            async def told() -> bool:
                return bool((await held.collections())["shop:item"]["set_aside"] == 1)

            await held.until(told)
            shop.fail = lambda asked: None
            await held.stop()
            await db.api.execute("update set_aside set retry_at = $1", db.clock.now())
            await held.start()
            await held.until(lambda: held.copies(shop, ["item"]))


@pytest.mark.parametrize("wanted", [["order", "note"], ["note"]])
@pytest.mark.parametrize("grain", [timedelta(0), timedelta(minutes=10)])
async def test_children_are_read_once_more_when_their_parents_moment_is_over(
    db: Database, wanted: list[str], grain: timedelta
) -> None:
    """A child that is born in the second in which its parent was read changes nothing of the parent that could be
    seen."""
    note = next(each for each in SHOP.collections if each.id == "shop:note")
    assert note.children is not None
    grained = replace(note, children=replace(note.children, grain=grain))
    collections = tuple(grained if each is note else each for each in SHOP.collections)
    async with open_shop() as shop:
        shop.put("order", "o1")
        shop.events.clear()
        async with holding(db, shop, wanted, replace(SHOP, collections=collections, _by_id={})) as held:
            await held.start()
            await held.read_to_the_end()
            shop.put("note", "first", order="o1")
            shop.put("order", "o1", total=1)
            await held.until(lambda: held.copies(shop, wanted))
            noted = await db.api.fetch("select what, attempts, retry_at from set_aside")
            assert [(row["what"], row["attempts"]) for row in noted] == [("children", 0)] * bool(grain)
            if noted:
                assert noted[0]["retry_at"] > db.clock.now() + timedelta(minutes=8)
                assert (await held.collections())["shop:note"]["set_aside"] == 0
                shop.put("note", "second", order="o1")
                await db.api.execute("update set_aside set retry_at = $1", db.clock.now())
                await held.ask()
                await held.until(lambda: held.copies(shop, wanted))

                async def done() -> bool:
                    return not await db.api.fetchval("select count(*) from set_aside")

                await held.until(done)
