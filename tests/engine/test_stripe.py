"""Stripe's connector and Stripe's server, end to end: every collection, while the account keeps changing."""

from collections import Counter

import pytest
from holding import Holding, holding_at

from headrace.db.pool import Database
from headrace.providers.stripe import STRIPE
from headrace.providers.stripe.access import KEY
from headrace.testing.copies import canonical
from headrace.testing.stripe import StripeServer
from headrace.testing.stripe.truth import Truth

ALL = [collection.id for collection in STRIPE.collections]
TOLD = [each.id for each in STRIPE.collections if STRIPE.feeds_of(each.id) and not each.changes]
"""Collections whose every change leaves an event."""


async def differences(held: Holding, server: StripeServer, collections: list[str]) -> Counter[str]:
    """How many records of each collection are missing, phantom or different."""
    truth = Truth(server.account)
    found: Counter[str] = Counter()
    held_records = [record for record in await held.records() if not record.deleted]
    for key in collections:
        collection = STRIPE.collection(key)
        assert collection is not None
        copy = {r.upstream_id: canonical(r.data, collection.canon) for r in held_records if r.collection_id == key}
        real = {name: canonical(raw, collection.canon) for name, raw in truth(key)}
        wrong = [name for name in copy.keys() | real.keys() if copy.get(name) != real.get(name)]
        if wrong:
            found[key] = len(wrong)
    return found


async def test_every_collection_arrives_whole(db: Database) -> None:
    async with StripeServer(1_000, seed=5) as server:
        properties = {"secret": "sk_test_51", "test": True, "name": "x"}
        async with holding_at(db, server.base_url, ALL, STRIPE, KEY, properties) as held:
            await held.start()
            await held.until(held.backfilled, within=180)
            assert not await differences(held, server, ALL)
            assert {row["phase"] for row in (await held.collections()).values()} == {"live"}


@pytest.mark.slow
async def test_what_changes_meanwhile_is_copied_too(db: Database) -> None:
    async with StripeServer(600, seed=6, changes_per_s=20) as server:
        properties = {"secret": "sk_test_51", "test": True, "name": "x"}
        async with holding_at(db, server.base_url, TOLD, STRIPE, KEY, properties) as held:
            await held.start()
            await held.until(held.backfilled, within=180)
            changes = server.account.changes

            async def changed() -> bool:
                return server.account.changes > changes + 60

            await held.until(changed, within=180)
            server.mutator.changes_per_s = 0.0
            wrong: Counter[str] = Counter()

            async def equal() -> bool:
                nonlocal wrong
                wrong = await differences(held, server, TOLD)
                return not wrong

            try:
                await held.until(equal, within=180)
            except TimeoutError:
                pytest.fail(f"still different: {wrong}")


async def test_a_delete_without_an_event_is_found_by_the_sweep(db: Database) -> None:
    async with StripeServer(400, seed=7) as server:
        properties = {"secret": "sk_test_51", "test": True, "name": "x"}
        wanted = ["stripe:customer"]
        async with holding_at(db, server.base_url, wanted, STRIPE, KEY, properties) as held:
            await held.start()
            await held.until(held.backfilled, within=180)
            await held.stop()
            victim = next(iter(await held.copy("stripe:customer")))
            server.account.delete("customers", victim, silent=True)
            await held.sweep_now("stripe:customer")
            await held.start()

            async def equal() -> bool:
                return not await differences(held, server, wanted)

            await held.until(equal, within=180)
