"""What becomes of a record that cannot be stored: it is tried again, noted for as long as sweeps meet it, and never
taken for gone."""

from datetime import timedelta
from typing import Any

import pytest
from holding import Holding, holding
from shop import open_shop

from headrace.db.pool import Database

HUGE = "x" * 6_000


@pytest.fixture(autouse=True)
def small_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.stream.codec.LARGEST", 5_000)


async def noted(held: Holding) -> dict[str, Any]:
    """The notes by id."""
    return {row["upstream_id"]: row for row in await held.db.api.fetch("select * from set_aside")}


async def make_due(held: Holding) -> None:
    await held.stop()
    await held.db.api.execute("update set_aside set retry_at = $1", held.db.clock.now())
    await held.start()


async def sweep(held: Holding, collection: str) -> None:
    """A whole comparison from its beginning to its end."""
    await held.stop()
    before = (await held.rows("sweep")).get(collection, {}).get("completed_at")
    await held.sweep_now(collection)
    await held.start()

    async def done() -> bool:
        return bool((await held.rows("sweep"))[collection]["completed_at"] != before)

    await held.until(done)


async def test_each_try_of_one_that_is_still_too_large_comes_later(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "huge", text=HUGE)
        shop.events.clear()
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            for attempts in (1, 2, 3):
                note = (await noted(held))["huge"]
                assert note["attempts"] == attempts
                assert "a record may have" in note["reason"]
                least = note["first_at"] + timedelta(minutes=2 ** (attempts - 1))
                assert note["retry_at"] >= least
                await make_due(held)

                async def tried(attempts: int = attempts) -> bool:
                    return bool((await noted(held))["huge"]["attempts"] > attempts)

                await held.until(tried)
            assert await held.copy("shop:order") == {}


async def test_one_that_nothing_can_be_asked_for_stays_noted_while_sweeps_meet_it(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("tag", "good")
        shop.put("tag", "huge", text=HUGE)
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            first = (await noted(held))["huge"]
            assert first["retry_at"] - first["first_at"] == timedelta(days=8)  # longer than from one sweep to the next

            await sweep(held, "shop:tag")
            met = (await noted(held))["huge"]
            assert met["retry_at"] > first["retry_at"]

            shop.remove("tag", "huge")
            await sweep(held, "shop:tag")
            assert (await noted(held))["huge"]["retry_at"] == met["retry_at"]
            await make_due(held)

            async def forgotten() -> bool:
                return not await noted(held)

            await held.until(forgotten)
            assert await held.copies(shop, ["tag"])


async def test_one_that_was_held_before_it_grew_too_large_keeps_its_last_good_picture(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(3):
            shop.put("tag", f"t{n}")
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            good = dict(shop.things["tag"])
            shop.put("tag", "t1", text=HUGE)
            await sweep(held, "shop:tag")
            await sweep(held, "shop:tag")
            assert await held.copy("shop:tag") == good
            shop.put("tag", "t1", text="short")
            await sweep(held, "shop:tag")
            assert await held.copies(shop, ["tag"])


async def test_a_child_that_cannot_be_stored_is_no_child_that_is_gone(db: Database) -> None:
    """The set of a parent's children names it, whether or not it is stored; the others of the set come and go."""
    async with open_shop() as shop:
        shop.put("order", "o1", total=1)
        shop.put("note", "grown", order="o1", text="good")
        shop.put("note", "gone", order="o1")
        shop.events.clear()
        async with holding(db, shop, ["order", "note"]) as held:
            await held.start()
            await held.read_to_the_end()
            good = shop.things["note"]["grown"]
            shop.put("note", "grown", order="o1", text=HUGE)
            shop.put("note", "new and huge", order="o1", text=HUGE)
            shop.put("note", "new", order="o1")
            shop.remove("note", "gone")
            shop.put("order", "o1", total=2)
            await held.until(lambda: held.copies(shop, ["order"]))
            assert await held.copy("shop:note") == {"grown": good, "new": shop.things["note"]["new"]}
            assert (await noted(held)).keys() == {"grown", "new and huge"}

            shop.remove("note", "grown")
            shop.put("order", "o1", total=3)
            await held.until(lambda: held.copies(shop, ["order"]))
            assert (await held.copy("shop:note")).keys() == {"new"}
