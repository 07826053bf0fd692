"""Complaint 23: one record without the time by which the cursor goes ended the whole run."""

from holding import holding_at

from headrace.db.pool import Database
from headrace.providers.stripe import STRIPE
from headrace.providers.stripe.access import KEY
from headrace.testing.faults import Fault
from headrace.testing.stripe import StripeServer


async def test_records_without_a_time_are_read_like_any_other(db: Database) -> None:
    fault = Fault("no_created", "/v1/charges", probability=0.5)
    async with StripeServer({"charges": 260}, faults=[fault]) as server:
        properties = {"secret": "sk_test_51", "test": True, "name": "x"}
        async with holding_at(db, server.base_url, ["stripe:charge"], STRIPE, KEY, properties) as held:
            await held.start()
            await held.read_to_the_end()
            copy = await held.copy("stripe:charge")
            assert copy.keys() == set(server.account.ids("charges"))
            assert 0 < sum(charge.get("created") is None for charge in copy.values()) < len(copy)
