"""The Stripe connector against servers that it was not written for: what is there is read, what is not is named in
health, and nothing is lost or deleted by mistake."""

from typing import Any

from holding import Holding, holding_at
from odd_stripe import OddStripe, odd_stripe

from headrace.db.pool import Database
from headrace.providers.stripe import STRIPE
from headrace.providers.stripe.access import KEY

PROPERTIES = {"secret": "sk_test_odd", "test": True, "name": "odd"}
BORN = 1_700_000_000
THERE = ["stripe:customer", "stripe:product"]
NOT_THERE = ["stripe:price", "stripe:billing_meter"]


def things(kind: str, count: int) -> list[dict[str, Any]]:
    """The oldest first, with few of the fields that Stripe's objects have."""
    return [{"id": f"{kind}_{number:03}", "object": kind, "created": BORN + number} for number in range(count)]


def customers_and_products(count: int = 250) -> dict[str, list[dict[str, Any]]]:
    return {"/v1/customers": things("customer", count), "/v1/products": things("product", 3)}


async def is_live(held: Holding, collections: list[str]) -> bool:
    state = await held.collections()
    return all(state[key]["backfill_completed_at"] is not None for key in collections)


async def copies(held: Holding, server: OddStripe) -> bool:
    for kind in ("customer", "product"):
        expected = {each["id"]: each for each in server.lists[f"/v1/{kind}s"]}
        if await held.copy(f"stripe:{kind}") != expected:
            return False
    return True


async def test_what_is_there_is_read_and_what_is_not_is_named(db: Database) -> None:
    server = OddStripe(customers_and_products() | {"/v1/events": []})
    async with (
        odd_stripe(server),
        holding_at(db, server.url, [*THERE, *NOT_THERE], STRIPE, KEY, PROPERTIES) as held,
    ):
        await held.start()
        await held.until(lambda: is_live(held, THERE))
        await held.until(lambda: copies(held, server))

        async def named() -> bool:
            notes = (await held.health())["notes"]
            return all(any(key in note for note in notes) for key in NOT_THERE)

        await held.until(named)
        state = await held.collections()
        assert [state[key]["records"] for key in NOT_THERE] == [0, 0]
        assert all(state[key]["last_error"] is None for key in THERE)
        assert (await held.state())["initial_backfill_completed_at"] is None, "two collections were never read"


async def test_without_a_feed_of_changes_the_copy_is_made_and_the_feed_is_named(db: Database) -> None:
    server = OddStripe(customers_and_products())
    async with odd_stripe(server), holding_at(db, server.url, THERE, STRIPE, KEY, PROPERTIES) as held:
        await held.start()
        await held.until(lambda: copies(held, server))

        async def told() -> bool:
            health = await held.health()
            return health["status"] == "error" and any("events" in note and "404" in note for note in health["notes"])

        await held.until(told)
        server.lists["/v1/events"] = []
        await held.ask()

        async def well() -> bool:
            return bool((await held.health())["status"] == "healthy")

        await held.until(well)


async def test_a_list_that_vanishes_deletes_nothing(db: Database) -> None:
    server = OddStripe(customers_and_products() | {"/v1/events": []})
    async with odd_stripe(server), holding_at(db, server.url, THERE, STRIPE, KEY, PROPERTIES) as held:
        await held.start()
        await held.until(lambda: copies(held, server))
        expected = await held.copy("stripe:customer")
        await held.stop()
        del server.lists["/v1/customers"]
        await held.sweep_now("stripe:customer")
        asked = len(server.asked)
        await held.start()

        async def swept() -> bool:
            return "/v1/customers" in server.asked[asked:]

        await held.until(swept)

        async def told() -> bool:
            return any("stripe:customer" in note for note in (await held.health())["notes"])

        await held.until(told)
        assert await held.copy("stripe:customer") == expected


async def test_fixed_answers_end(db: Database) -> None:
    """A mock gives the same page for ever, and says that it is the last."""
    server = OddStripe(customers_and_products(5) | {"/v1/events": []}, fixed=True)
    async with odd_stripe(server), holding_at(db, server.url, THERE, STRIPE, KEY, PROPERTIES) as held:
        await held.start()
        await held.until(held.backfilled)
        await held.until(lambda: copies(held, server))


async def test_a_parameter_that_is_refused_is_told_in_the_providers_words(db: Database) -> None:
    knows = frozenset({"starting_after", "ending_before", "created[gte]", "created[lt]"})
    server = OddStripe(customers_and_products() | {"/v1/events": []}, knows=knows)
    async with odd_stripe(server), holding_at(db, server.url, THERE, STRIPE, KEY, PROPERTIES) as held:
        await held.start()

        async def told() -> bool:
            return any("Received unknown parameter" in note for note in (await held.health())["notes"])

        await held.until(told)
        assert (await held.health())["status"] == "error"
