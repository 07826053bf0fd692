"""What goes wrong is told in plain words, waited out, and mended by itself where it can be."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from aiohttp import web
from holding import Holding, holding
from shop import SHOP, Asked, Shop, open_shop

from headrace.db.pool import Database
from headrace.engine.confirm import confirm_deletes
from headrace.engine.health import Health
from headrace.errors import Invalid


async def status_is(held: Holding, status: str) -> bool:
    return bool((await held.health())["status"] == status)


def refuse(path: str, status: int, shop: Shop) -> None:
    shop.fail = lambda asked: web.json_response({}, status=status) if asked.path == path else None


def nothing(asked: Asked) -> None:
    return None


async def test_a_refused_credential_is_an_error_until_a_new_one_is_given(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("tag", "t1")
        shop.fail = lambda asked: web.json_response({}, status=401)
        async with holding(db, shop, ["tag"]) as held:
            assert (await held.health())["status"] == "initializing"
            await held.start()
            await held.until(lambda: status_is(held, "error"))
            health = await held.health()
            assert any("Reconnect" in note and str(held.access.credential_id) in note for note in health["notes"])
            assert health["consecutive_errors"] == 1
            assert health["erroring_since"] is not None
            credential = await db.api.fetchrow("select health_status, health_notes from credentials")
            assert credential is not None
            assert credential["health_status"] == "error"
            assert "very-secret-key" not in str(health) + credential["health_notes"]
            assert len(shop.asked) == 1  # it probes, and does not hammer

            shop.fail = nothing
            held.access = replace(held.access, revision=1)
            await held.hand_over()
            await held.until(lambda: status_is(held, "healthy"))
            assert await held.copies(shop, ["tag"])
            assert await db.api.fetchval("select health_status from credentials") == "ok"


async def test_a_missing_permission_stops_its_collection_and_no_other(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("tag", "t1")
        shop.put("order", "o1")
        refuse("/tag", 403, shop)
        async with holding(db, shop, ["order", "tag"]) as held:
            await held.start()
            await held.until(lambda: status_is(held, "error"))
            await held.until(lambda: held.copies(shop, ["order"]))
            assert any("shop:tag" in note and "Grant" in note for note in (await held.health())["notes"])
            assert "not allowed" in (await held.collections())["shop:tag"]["last_error"]
            assert (await held.state())["initial_backfill_completed_at"] is None


async def test_one_horizon_that_fails_does_not_disturb_the_other(db: Database) -> None:
    patient = replace(SHOP, feeds=(replace(SHOP.feeds[0], settle=timedelta(seconds=7)),), _by_id={})
    async with open_shop() as shop:
        shop.put("order", "o1")

        def settled(asked: Asked) -> bool:
            return asked.path == "/events" and float(asked.query["hi"]) < shop.now().timestamp() - 5

        shop.fail = lambda asked: web.json_response({}, status=403) if settled(asked) else None
        shop.before = lambda asked: asyncio.sleep(0.0 if settled(asked) else 0.3)
        async with holding(db, shop, ["order"], patient) as held:
            await held.start()
            await held.read_to_the_end()
            turn = 0

            async def failed_while_changes_come() -> bool:
                nonlocal turn
                turn += 1
                if turn % 25 == 0:
                    shop.put("order", f"new{turn}")
                return await status_is(held, "error")

            await held.until(failed_while_changes_come)
            shop.put("order", "last")

            async def last_is_there() -> bool:
                return "last" in await held.copy("shop:order")

            await held.until(last_is_there)
            notes = (await held.health())["notes"]
            assert [note.split(":")[0] for note in notes] == ["settled of feed"]
            assert not any("unexpected" in note for note in notes)


async def test_a_provider_that_is_down_is_a_warning_that_passes(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("document", "d1")
        calls = 0

        def flaky(asked: Asked) -> web.Response | None:
            nonlocal calls
            calls += 1
            return web.json_response({}, status=500) if calls <= 8 else None

        shop.fail = flaky
        async with holding(db, shop, ["document"]) as held:
            await held.start()
            await held.until(lambda: status_is(held, "warning"), within=60)
            await held.until(lambda: status_is(held, "healthy"), within=60)
            assert await held.copies(shop, ["document"])


async def test_a_page_function_that_never_ends_is_refused(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(15):
            shop.put("tag", f"t{n}")
        stuck = web.json_response

        def loop(asked: Asked) -> web.Response | None:
            if asked.path == "/tag":
                return stuck({"data": list(shop.things["tag"].values())[:10], "next": "[0, 0]"})
            return None

        shop.fail = loop
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await held.until(lambda: status_is(held, "error"))
            assert any("Implementation error" in note for note in (await held.health())["notes"])


async def test_one_record_that_cannot_be_read_is_set_aside_and_tried_again(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "good")
        shop.put("order", "broken")
        shop.events.clear()
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            refuse("/order/broken", 400, shop)
            shop.put("order", "broken", large=True, total=1)
            shop.put("order", "good", large=True, total=1)

            async def good_is_there() -> bool:
                return (await held.copy("shop:order"))["good"] == shop.things["order"]["good"]

            await held.until(good_is_there)
            assert (await held.collections())["shop:order"]["set_aside"] == 1
            assert (await held.health())["status"] == "healthy"

            shop.fail = nothing
            await held.stop()
            await db.api.execute("update set_aside set retry_at = $1", db.clock.now())
            await held.start()
            await held.until(lambda: held.copies(shop, ["order"]))

            async def put_back() -> bool:
                return (await held.collections())["shop:order"]["set_aside"] == 0

            await held.until(put_back)


async def test_one_record_that_cannot_be_stored_is_set_aside_and_tried_again(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("order", "good")
        shop.put("order", "huge", text="x" * (17 << 20))
        shop.events.clear()
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            assert (await held.copy("shop:order")).keys() == {"good"}
            assert (await held.collections())["shop:order"]["set_aside"] == 1

            shop.things["order"]["huge"]["text"] = "short"
            await held.stop()
            await db.api.execute("update set_aside set retry_at = $1", db.clock.now())
            await held.start()
            await held.until(lambda: held.copies(shop, ["order"]))


async def test_a_page_that_is_too_large_to_be_read_is_named(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.engine.wire.MOST_BYTES", 5_000)
    async with open_shop() as shop:
        shop.put("tag", "large", text="x" * 6_000)
        shop.put("order", "o1")
        async with holding(db, shop, ["order", "tag"]) as held:
            await held.start()
            await held.until(lambda: status_is(held, "error"))
            assert ["no smaller page" in note and "shop:tag" in note for note in (await held.health())["notes"]] == [
                True
            ]
            await held.until(lambda: held.copies(shop, ["order"]))


# ── the safety catch ──


async def test_a_mass_delete_is_held_until_it_is_confirmed(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(300):
            shop.put("tag", f"t{n:03}")
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            kept = dict(shop.things["tag"])
            for n in range(150):
                shop.remove("tag", f"t{n:03}")
            await held.ask()
            await held.until(lambda: status_is(held, "error"))
            caught = (await held.collections())["shop:tag"]["held_deletes"]
            assert caught["count"] == 150
            assert any("150 of 300" in note for note in (await held.health())["notes"])
            assert await held.copy("shop:tag") == kept

            async with db.transaction() as conn:
                with pytest.raises(Invalid):
                    await confirm_deletes(conn, held.sync, "shop:tag", uuid4(), db.clock.now())
            sweep_id = (await db.api.fetchval("select sweep_id from held_deletes")) or uuid4()
            async with db.transaction() as conn:
                assert await confirm_deletes(conn, held.sync, "shop:tag", sweep_id, db.clock.now()) == 150
            assert await held.copies(shop, ["tag"])
            assert held.runner is not None
            held.runner.hint()
            await held.until(lambda: status_is(held, "healthy"))


async def test_held_deletes_are_told_although_their_sweep_closed_with_its_process(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stopped(*_: object) -> None:
        """The process ends before it writes what it knows."""

    async with open_shop() as shop:
        for n in range(20):
            shop.put("tag", f"t{n:03}")
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            await held.until(lambda: status_is(held, "healthy"))
            shop.things["tag"] = {}
            with monkeypatch.context() as dying:
                dying.setattr(Health, "save", stopped)
                await held.ask()

                async def closed() -> bool:
                    caught = (await held.collections())["shop:tag"]["held_deletes"]
                    return caught is not None and (await held.rows("sweep"))["shop:tag"]["value"]["state"] == "waiting"

                await held.until(closed)
                await held.kill()
            assert await status_is(held, "healthy")
            await held.start()
            await held.until(lambda: status_is(held, "error"))


async def test_what_comes_back_needs_no_confirming(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(40):
            shop.put("tag", f"t{n:03}")
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            hidden, shop.things["tag"] = shop.things["tag"], {}  # a permission that vanished shows as nothing
            await held.ask()
            await held.until(lambda: status_is(held, "error"))
            assert len(await held.copy("shop:tag")) == 40
            shop.things["tag"] = hidden
            await held.ask()
            await held.until(lambda: status_is(held, "healthy"))
            assert (await held.collections())["shop:tag"]["held_deletes"] is None


async def test_deletes_confirmed_one_by_one_do_not_count(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(300):
            shop.put("order", f"o{n:03}")
        shop.events.clear()
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            for n in range(250):
                shop.remove("order", f"o{n:03}", told=False)
            await held.stop()
            await held.sweep_now("shop:order")
            await held.start()
            await held.until(lambda: held.copies(shop, ["order"]), within=40)
            assert (await held.collections())["shop:order"]["held_deletes"] is None


async def test_a_credential_whose_scopes_changed_meanwhile_deletes_nothing(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(30):
            shop.put("tag", f"t{n:03}")
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            shop.remove("tag", "t001")
            passes = 0

            def narrow(asked: Asked) -> None:
                nonlocal passes
                passes += 1
                if passes == 2:
                    held.access.properties["scope"] = "less"  # type: ignore[index]

            shop.before = narrow
            await held.ask()
            await held.until(lambda: status_is(held, "error"))
            assert "t001" in await held.copy("shop:tag")


async def test_where_nothing_is_seen_any_more_no_fetch_is_believed(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(20):
            shop.put("order", f"o{n:03}")
        shop.events.clear()
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()
            hidden, shop.things["order"] = shop.things["order"], {}  # lists are empty, and each record is a 404
            await held.stop()
            await held.sweep_now("shop:order")
            await held.start()
            await held.until(lambda: status_is(held, "error"))
            assert len(await held.copy("shop:order")) == 20

            shop.things["order"] = hidden
            shop.remove("order", "o003", told=False)
            await held.stop()
            await held.sweep_now("shop:order")
            await held.start()
            await held.until(lambda: status_is(held, "healthy"))
            assert await held.copies(shop, ["order"])  # the one that is gone is told from those that were hidden


async def test_one_record_that_only_ever_fails_holds_up_nothing_else(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.engine.transport.backoff_s", lambda attempt: 0.01)
    async with open_shop() as shop:
        shop.put("order", "good")
        shop.put("order", "broken")
        shop.events.clear()
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()

            def somebody_elses_page(asked: Asked) -> web.Response | None:
                if asked.path != "/order/broken":
                    return None
                return web.Response(text="<html>Something went wrong</html>", content_type="text/html", status=404)

            shop.fail = somebody_elses_page
            shop.put("order", "broken", large=True, total=1)
            shop.put("order", "good", large=True, total=1)

            async def good_is_there() -> bool:
                return (await held.copy("shop:order"))["good"] == shop.things["order"]["good"]

            await held.until(good_is_there)
            assert (await held.collections())["shop:order"]["set_aside"] == 1
            await held.until(lambda: status_is(held, "healthy"))


async def test_children_that_cannot_be_read_are_set_aside_and_the_others_go_on(db: Database) -> None:
    async with open_shop() as shop:
        for key in ("o1", "o2"):
            shop.put("order", key)
        shop.events.clear()
        async with holding(db, shop, ["order", "note"]) as held:
            await held.start()
            await held.read_to_the_end()
            refuse("/order/o1/notes", 400, shop)
            for key in ("o1", "o2"):
                shop.put("note", f"n-{key}", order=key, text="new")
                shop.put("order", key, total=1)

            async def the_other_is_there() -> bool:
                return "n-o2" in await held.copy("shop:note") and await held.copies(shop, ["order"])

            await held.until(the_other_is_there)
            assert "n-o1" not in await held.copy("shop:note")
            assert (await held.collections())["shop:note"]["set_aside"] == 1

            shop.fail = nothing
            await held.stop()
            await db.api.execute("update set_aside set retry_at = $1", db.clock.now())
            await held.start()
            await held.until(lambda: held.copies(shop, ["note"]))
