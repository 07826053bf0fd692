"""Text that no column holds or no parser reads costs the record that has it nothing, or that record alone; never what
came beside it."""

from dataclasses import replace

import pytest
from aiohttp import web
from holding import Holding, holding
from shop import SHOP, Asked, open_shop

from headrace.db.pool import Database
from headrace.http import Response
from headrace.providers.kit import Fault

HALF = "half of a pair: \ud83d"
NUL = "with\0zero"


async def aside(held: Holding, kind: str) -> int:
    return int((await held.collections())[f"shop:{kind}"]["set_aside"])


async def test_half_a_surrogate_pair_in_a_value_is_stored_as_it_was_sent(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("tag", "plain", text="\U0001f600")
        shop.put("tag", "odd", text=HALF, **{"\udc00": ["\\ud83d", "\U0001f600\ude00"]})
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            assert await held.copies(shop, ["tag"])
            assert await aside(held, "tag") == 0


async def test_a_record_whose_id_is_no_text_is_set_aside_alone(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("tag", "good")
        shop.put("tag", HALF)
        async with holding(db, shop, ["tag"]) as held:
            await held.start()
            await held.read_to_the_end()
            assert (await held.copy("shop:tag")).keys() == {"good"}
            assert await aside(held, "tag") == 1
            await held.ask()  # a whole comparison, which meets it again
            swept = (await held.rows("sweep")).get("shop:tag", {}).get("completed_at")

            async def compared() -> bool:
                row = (await held.rows("sweep")).get("shop:tag")
                return row is not None and row["completed_at"] not in (None, swept)

            await held.until(compared)
            assert await aside(held, "tag") == 1
            assert (await held.health())["status"] == "healthy"


async def test_an_id_with_a_zero_character_is_stored_followed_and_deleted(db: Database) -> None:
    """No text column of the database holds it, so it is written `%00` there; the record's own id is of the true one."""
    async with open_shop() as shop:
        for key in ("good", NUL):
            shop.put("order", key)
            shop.put("tag", key)
        shop.put("note", "note\0", order=NUL)
        shop.events.clear()
        async with holding(db, shop, ["order", "note", "tag"]) as held:

            async def same() -> bool:
                for kind in ("order", "note", "tag"):
                    truth = {key.replace("\0", "%00"): thing for key, thing in shop.things[kind].items()}
                    if await held.copy(f"shop:{kind}") != truth:
                        return False
                return True

            await held.start()
            await held.read_to_the_end()
            assert await same()
            shop.put("order", NUL, large=True, total=1)
            shop.put("note", "another\0", order=NUL)
            await held.until(same)
            shop.remove("note", "note\0")
            shop.put("order", NUL, large=False, total=2)
            shop.remove("tag", NUL)
            await held.ask()
            await held.until(same)
            await held.stop()
            shop.remove("order", NUL, told=False)
            await held.sweep_now("shop:order")
            await held.start()
            shop.things["note"].clear()
            await held.until(lambda: held.copies(shop, ["order", "tag"]))


@pytest.mark.parametrize("key", [NUL, "zero\0 and \ud83d"])
async def test_what_is_set_aside_may_have_any_id(db: Database, key: str) -> None:
    async with open_shop() as shop:
        shop.put("order", "good")
        shop.events.clear()
        async with holding(db, shop, ["order"]) as held:
            await held.start()
            await held.read_to_the_end()

            def refused(asked: Asked) -> web.Response | None:
                return (
                    web.json_response({}, status=400) if asked.path.startswith(("/order/with", "/order/zero")) else None
                )

            shop.fail = refused
            shop.put("order", key, large=True)
            shop.put("order", "good", large=True, total=1)

            async def good_is_there() -> bool:
                return bool((await held.copy("shop:order"))["good"] == shop.things["order"]["good"])

            await held.until(good_is_there)
            assert await aside(held, "order") == 1


async def test_a_provider_may_say_anything_of_what_it_refuses(db: Database) -> None:
    """Its words are stored beside what was set aside, and, of the credential, as its health."""

    def with_zero(response: Response) -> Fault | None:
        fault = SHOP.fault(response)
        return None if fault is None else Fault(fault.kind, f"no \0 {response.status}")

    async with open_shop() as shop:
        shop.put("order", "good")
        shop.events.clear()
        async with holding(db, shop, ["order"], replace(SHOP, fault=with_zero, _by_id={})) as held:
            await held.start()
            await held.read_to_the_end()

            def refuses(status: int, path: str) -> None:
                shop.fail = lambda asked: web.Response(status=status) if asked.path.startswith(path) else None

            async def noted() -> bool:
                return await aside(held, "order") == 1

            async def told() -> bool:
                text = await db.api.fetchval("select health_notes::text from credentials where health_status = 'error'")
                return text is not None and "no %00 401" in text

            refuses(400, "/order/bad")
            shop.put("order", "bad", large=True)
            await held.until(noted)
            assert await db.api.fetchval("select reason from set_aside") == "no %00 400"
            refuses(401, "/")
            await held.until(told)
            assert any("no %00 401" in note for note in (await held.health())["notes"])
